//! The wire vectors: what the oracle makes of these bytes, the decoder and the link must make too.

use std::collections::{HashMap, HashSet};

use bpmux::decoder::{Decoder, Field};
use bpmux::{HalfKey, Link, LinkError, Violation};
use oracle::vectors::{Block, VALID, VIOLATIONS, blocks, hex, meaning};
use oracle::wire::{Chunk, Kind, chunk, parse_all};

use crate::support::{LIMITS, feed, kind, kind_of};

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
                    let start = Chunk { partial: partial.take(), payload, ack_end, ..chunk(kind_of(seen_kind), id) };
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
        let stream = block.all("hex").flat_map(hex).collect::<Vec<u8>>();
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
        (opens @ (Kind::OutRequest | Kind::OutSink | Kind::OutStream), id) if said.payload.is_some() => loop {
            let key = link.open(kind(opens), opening, credit, out).expect("empty openings cost nothing");
            if link.id(key) == Some(id) {
                halves.insert((opens, id), key);
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

/// The variant that stands for a rule of the file.
fn variant(rule: &str) -> Violation {
    match rule {
        "varu64-not-shortest" => Violation::VarintNotShortest,
        "credit-exceeded" => Violation::CreditExceeded,
        "credit-sum-overflow" => Violation::CreditOverflow,
        "opening-without-payload" => Violation::OpeningWithoutPayload,
        "duplex-id-in-use" => Violation::DuplexIdInUse,
        "not-open" => Violation::NotOpen,
        "payload-on-existing" => Violation::PayloadFromReader,
        "payload-and-end-on-in-request" => Violation::ResponseWithEnd,
        "second-response" => Violation::SecondResponse,
        "chunk-after-own-end" => Violation::ChunkAfterEnd,
        "second-end" => Violation::SecondEnd,
        "ack-end-without-end" => Violation::AckWithoutEnd,
        "flags-beside-ack-end" => Violation::FlagBesideAck,
        "partial-total-zero" => Violation::PartialTotalZero,
        "partial-total-not-shortest" => Violation::PartialTotalNotShortest,
        "partial-behind-partial" => Violation::PartialBehindPartial,
        "partial-before-neither-payload-nor-end" => Violation::PartialWithoutPayload,
        "second-partial" => Violation::SecondPartial,
        "partial-total-exceeded" => Violation::PartialExceeded,
        "payload-amid-partial-end" => Violation::PayloadAmidEnd,
        other => panic!("no variant is known for the rule {other}"),
    }
}

/// A link on which has happened what the block says.
fn before(block: &Block) -> Link<()> {
    let mut link = Link::new(LIMITS);
    let mut halves = HashMap::new();
    for sent in block.all("sent") {
        let said = parse_all(&hex(sent)).expect("what was sent is right");
        said.iter().for_each(|chunk| say(&mut link, &mut halves, chunk));
    }
    for got in block.all("got") {
        read(&mut link, &[&hex(got)]).unwrap_or_else(|error| panic!("[{}]: {error}", block.title));
    }
    link
}

fn read(link: &mut Link<()>, pieces: &[&[u8]]) -> Result<(), LinkError> {
    pieces.iter().try_for_each(|piece| feed(link, piece, &mut Vec::new()))
}

#[test]
fn violations_are_named_wherever_they_are_cut() {
    let mut shown = HashSet::new();
    for block in &blocks(VIOLATIONS) {
        let link = before(block);
        let violation = variant(block.rule());
        let found = Err(LinkError::Violation(violation));
        let bad = block.all("bad").map(|bad| (bad, false)).chain(block.all("last").map(|last| (last, true)));
        for (text, with_the_last) in bad {
            shown.insert(violation);
            let bytes = hex(text);
            let what = format!("[{}] {text}", block.title);
            if with_the_last {
                let early = read(&mut link.clone(), &[&bytes[..bytes.len() - 1]]);
                assert_eq!(early, Ok(()), "{what}: before its last byte");
            }
            for cut in 0..=bytes.len() {
                let (before, after) = bytes.split_at(cut);
                assert_eq!(read(&mut link.clone(), &[before, after]), found, "{what}: cut at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&mut link.clone(), &single), found, "{what}: in single bytes");
        }
    }
    assert_eq!(shown.len(), Violation::PayloadAmidEnd as usize + 1, "each variant is shown");
}
