//! The wire vectors, read by the protocol core: what the suite's own codec makes of these bytes, `bpmux` must make too.

use std::collections::HashMap;

use bpmux::decoder::{Decoder, Field};
use bpmux::{Event, HalfKey, Limits, Link, LinkError, Violation};
use tests::vectors::{Block, blocks, hex, meaning};
use tests::wire::{Chunk, Kind, chunk, parse_all};

const VALID: &str = include_str!("../../vectors/valid.txt");
const VIOLATIONS: &str = include_str!("../../vectors/violations.txt");

fn bytes(block: &Block, key: &str) -> Vec<u8> {
    block.all(key).flat_map(hex).collect()
}

fn kind(kind: bpmux::Kind) -> Kind {
    match kind {
        bpmux::Kind::OutRequest => Kind::OutRequest,
        bpmux::Kind::InRequest => Kind::InRequest,
        bpmux::Kind::OutSink => Kind::OutSink,
        bpmux::Kind::InSink => Kind::InSink,
        bpmux::Kind::OutStream => Kind::OutStream,
        bpmux::Kind::InStream => Kind::InStream,
        bpmux::Kind::Duplex => Kind::Duplex,
        bpmux::Kind::Partial => panic!("a Partial is a field of its own"),
    }
}

/// What the decoder makes of `pieces`, put together to chunks again.
fn decode(pieces: &[&[u8]]) -> Vec<Chunk> {
    let mut decoder = Decoder::default();
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut partial = None;
    for piece in pieces {
        let mut at = 0;
        loop {
            let (used, field) = decoder.next(&piece[at..]).expect("the stream is valid");
            at += used;
            let Some(field) = field else { break };
            let seen = &piece[..at];
            match field {
                Field::Partial { total } => partial = Some(total),
                Field::Head { kind: seen_kind, flags, id, .. } => {
                    let ack_end = flags.has(bpmux::Flags::ACK_END);
                    let payload = flags.has(bpmux::Flags::PAYLOAD).then(Vec::new);
                    let start = Chunk { partial: partial.take(), payload, ack_end, ..chunk(kind(seen_kind), id) };
                    chunks.push(start);
                }
                Field::Payload { len, .. } => {
                    let payload = &mut chunks.last_mut().expect("a head comes first").payload;
                    payload.get_or_insert_default().extend_from_slice(&seen[at - len..]);
                }
                Field::Credit(amount) => chunks.last_mut().expect("a head comes first").credit = Some(amount),
                Field::Ping => chunks.last_mut().expect("a head comes first").ping = true,
                Field::End { .. } => chunks.last_mut().expect("a head comes first").end = Some(Vec::new()),
                Field::EndPayload { len, .. } => {
                    let payload = &mut chunks.last_mut().expect("a head comes first").end;
                    payload.get_or_insert_default().extend_from_slice(&seen[at - len..]);
                }
            }
        }
    }
    chunks
}

#[test]
fn valid_streams_mean_the_same_however_they_are_cut() {
    let blocks = blocks(VALID);
    assert!(blocks.len() > 10, "the file is there");
    for block in &blocks {
        let stream = bytes(block, "hex");
        let expected: Vec<Chunk> = block.all("chunk").map(meaning).collect();
        assert_eq!(decode(&[&stream]), expected, "[{}]", block.title);
        for cut in 0..=stream.len() {
            assert_eq!(decode(&[&stream[..cut], &stream[cut..]]), expected, "[{}] cut at {cut}", block.title);
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&single), expected, "[{}] byte by byte", block.title);
    }
}

/// Does on our side what the chunk, which we have sent before, says.
fn say(link: &mut Link<()>, halves: &mut HashMap<(Kind, u64), HalfKey>, said: &Chunk) {
    let out = &mut Vec::new();
    let credit = said.credit.unwrap_or(0);
    let opening = said.payload.as_deref().unwrap_or_default();
    match (said.kind, said.id) {
        (Kind::InStream, 0) => link.grant(HalfKey::TOP_READER, credit),
        (Kind::Duplex, id) => loop {
            // Ids are the link's to choose: it counts up to the one that the vector has.
            let keys = link.open_duplex(1, opening, credit, out).expect("empty openings cost nothing");
            if link.id(keys.writer) == Some(id) {
                halves.insert((Kind::OutSink, id), keys.writer);
                halves.insert((Kind::OutStream, id), keys.reader);
                break;
            }
        },
        (Kind::OutRequest, id) => loop {
            let key = link.open(bpmux::Kind::OutRequest, opening, credit, out).expect("empty openings cost nothing");
            if link.id(key) == Some(id) {
                halves.insert((Kind::OutRequest, id), key);
                break;
            }
        },
        half => link.grant(halves[&half], credit),
    }
    if let Some(payload) = &said.end {
        assert!(link.end(halves[&(said.kind, said.id)], payload));
    }
    link.flush_owed(out, usize::MAX);
}

fn read(link: &mut Link<()>, mut input: &[u8]) -> Result<(), LinkError> {
    loop {
        let step: bpmux::Step<()> = link.next(input)?;
        input = &input[step.used..];
        let Some(event) = step.event else { return Ok(()) };
        if let Event::Piece(_, (), piece) = event {
            assert!(piece.len as u64 <= piece.total);
        }
    }
}

/// The variants that may stand for a rule of the file.
fn variants(rule: &str) -> &'static [Violation] {
    match rule {
        "varu64-not-shortest" => &[Violation::VarintNotShortest],
        "credit-exceeded" => &[Violation::CreditExceeded],
        "credit-sum-overflow" => &[Violation::CreditOverflow],
        "opening-without-payload" => &[Violation::OpeningWithoutPayload],
        "duplex-id-in-use" => &[Violation::DuplexIdInUse],
        "not-open" => &[Violation::NotOpen],
        "payload-on-existing" => &[Violation::PayloadFromReader],
        "payload-and-end-on-in-request" => &[Violation::ResponseWithEnd],
        "second-response" => &[Violation::SecondResponse],
        "chunk-after-own-end" => &[Violation::ChunkAfterEnd],
        "second-end" => &[Violation::SecondEnd],
        "ack-end-without-end" => &[Violation::AckWithoutEnd],
        "flags-beside-ack-end" => &[Violation::FlagBesideAck],
        "partial-total-zero" => &[Violation::PartialTotalZero],
        "partial-total-not-shortest" => &[Violation::PartialTotalNotShortest],
        "partial-behind-partial" => &[Violation::PartialBehindPartial],
        "partial-before-neither-payload-nor-end" => &[Violation::PartialWithoutPayload],
        "second-partial" => &[Violation::SecondPartial],
        "partial-total-exceeded" => &[Violation::PartialExceeded],
        "payload-amid-partial-end" => &[Violation::PayloadAmidEnd],
        other => panic!("no variant is known for the rule {other}"),
    }
}

#[test]
fn violations_are_named() {
    let blocks = blocks(VIOLATIONS);
    assert!(blocks.len() > 50, "the file is there");
    for block in &blocks {
        let rule = block.title.split(" /").next().expect("a title has a first part");
        let bad = bytes(block, "bad");
        for cut in 0..bad.len() {
            let mut link = Link::new(Limits { halves_max: 100, openings_partial_max: 10 });
            let mut halves = HashMap::new();
            for (key, value) in &block.lines {
                match key.as_str() {
                    "sent" => {
                        let said = parse_all(&hex(value)).expect("what was sent is right");
                        said.iter().for_each(|chunk| say(&mut link, &mut halves, chunk));
                    }
                    "got" => read(&mut link, &hex(value)).unwrap_or_else(|error| panic!("[{}]: {error}", block.title)),
                    _ => {}
                }
            }
            let result = read(&mut link, &bad[..cut]).and_then(|()| read(&mut link, &bad[cut..]));
            let Err(LinkError::Violation(found)) = result else { panic!("[{}] cut at {cut}: {result:?}", block.title) };
            assert!(variants(rule).contains(&found), "[{}] cut at {cut}: {found:?}", block.title);
        }
    }
}
