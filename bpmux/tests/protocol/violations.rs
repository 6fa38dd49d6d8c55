//! Every violation, by bytes that show it with their last one, wherever they are cut.

use std::collections::HashSet;

use bpmux::{HalfKey, Kind, Limits, Link, LinkError, Violation};

use crate::support::{LIMITS, chunk, feed};

/// The peer may spend 16 bytes at the top level. These are ours: request 1 (8 bytes for the response), sink 2, stream 3 (8
/// bytes), duplex 4 (8 bytes), and sink 5, which we have closed.
fn fixture() -> Link<()> {
    let mut link = Link::new(LIMITS);
    let mut out = Vec::new();
    link.grant(HalfKey::TOP_READER, 16);
    link.open(Kind::OutRequest, b"", 8, &mut out).unwrap();
    link.open(Kind::OutSink, b"", 0, &mut out).unwrap();
    link.open(Kind::OutStream, b"", 8, &mut out).unwrap();
    link.open_duplex(1, b"", 8, &mut out).unwrap();
    let closed = link.open(Kind::OutSink, b"", 0, &mut out).unwrap();
    assert!(link.end(closed, b""));
    assert!(!link.flush_owed(&mut out, usize::MAX));
    assert_eq!(link.id(closed), Some(5));
    link
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).expect("two hex digits")).collect()
}

/// What feeding these pieces to a fresh fixture ends with.
fn fed(pieces: &[&[u8]]) -> Result<(), LinkError> {
    let mut link = fixture();
    pieces.iter().try_for_each(|piece| feed(&mut link, piece, &mut Vec::new()))
}

#[track_caller]
fn check(hex: &str, violation: Violation) {
    let bytes = bytes(hex);
    let found = Err(LinkError::Violation(violation));
    assert_eq!(fed(&[&bytes[..bytes.len() - 1]]), Ok(()), "{hex} is a violation before its last byte");
    for cut in 0..=bytes.len() {
        let (before, after) = bytes.split_at(cut);
        assert_eq!(fed(&[before, after]), found, "{hex} cut at {cut}");
    }
    assert_eq!(fed(&bytes.chunks(1).collect::<Vec<_>>()), found, "{hex} in single bytes");
}

/// All of them. Chunks: 00 Out-Request, 20 In-Request, 40 Out-Sink, 60 In-Sink, 80 Out-Stream, a0 In-Stream, c0 Duplex, e0
/// Partial; flags: 10 payload, 08 credit, 04 ping, 02 end, 01 ack-end.
const VIOLATIONS: &[(&str, Violation)] = &[
    // The id, the length of a payload, an amount of credit, the length of an end payload.
    ("40 f8 05", Violation::VarintNotShortest),
    ("50 01 f8 00", Violation::VarintNotShortest),
    ("68 03 f8 f7", Violation::VarintNotShortest),
    ("62 03 f9 00 ff", Violation::VarintNotShortest),
    ("40 ff 00 ff ff ff ff ff ff ff", Violation::VarintNotShortest),
    // A top-level message, an opening of each kind, a message, a response, an end, a cancel, a top-level end.
    ("70 00 11", Violation::CreditExceeded),
    ("10 01 11", Violation::CreditExceeded),
    ("50 01 11", Violation::CreditExceeded),
    ("90 01 11", Violation::CreditExceeded),
    ("d0 01 11", Violation::CreditExceeded),
    ("70 03 09", Violation::CreditExceeded),
    ("70 04 09", Violation::CreditExceeded),
    ("30 01 09", Violation::CreditExceeded),
    ("62 03 09", Violation::CreditExceeded),
    ("a2 02 01", Violation::CreditExceeded),
    ("62 00 11", Violation::CreditExceeded),
    ("50 01 00 50 01 01", Violation::CreditExceeded),
    ("70 03 ff 80 00 00 00 00 00 00 00", Violation::CreditExceeded),
    // The rest of an opening; a message and then its end; an opening that leaves less for a message.
    ("e0 14 50 01 01 61 50 01 10", Violation::CreditExceeded),
    ("72 03 08 61 61 61 61 61 61 61 61 01", Violation::CreditExceeded),
    ("50 01 01 61 70 00 10", Violation::CreditExceeded),
    // A half that we have ended drops what arrives, but not for nothing.
    ("a2 05 01", Violation::CreditExceeded),
    ("a8 00 ff ff ff ff ff ff ff ff ff a8 00 01", Violation::CreditOverflow),
    ("d8 01 00 01 88 01 ff ff ff ff ff ff ff ff ff", Violation::CreditOverflow),
    ("00 01", Violation::OpeningWithoutPayload),
    ("40 01", Violation::OpeningWithoutPayload),
    ("80 01", Violation::OpeningWithoutPayload),
    ("c0 01", Violation::OpeningWithoutPayload),
    ("48 01", Violation::OpeningWithoutPayload),
    ("44 01", Violation::OpeningWithoutPayload),
    ("42 01", Violation::OpeningWithoutPayload),
    ("e0 01 42 01", Violation::OpeningWithoutPayload),
    ("40 00", Violation::OpeningWithoutPayload),
    ("80 00", Violation::OpeningWithoutPayload),
    ("d0 01 00 d0 01 00", Violation::DuplexIdInUse),
    ("d0 01 00 c4 01", Violation::DuplexIdInUse),
    ("50 01 00 d0 01 00", Violation::DuplexIdInUse),
    ("90 01 00 d0 01 00", Violation::DuplexIdInUse),
    ("e0 02 d0 01 01 61 d0 01 01", Violation::DuplexIdInUse),
    // One half of it is over but not acked.
    ("d0 01 00 42 01 00 d0 01 00", Violation::DuplexIdInUse),
    // Ids of nothing, and of something in another space.
    ("20 09", Violation::NotOpen),
    ("60 09", Violation::NotOpen),
    ("a0 09", Violation::NotOpen),
    ("30 09 00", Violation::NotOpen),
    ("61 09", Violation::NotOpen),
    ("20 02", Violation::NotOpen),
    ("60 02", Violation::NotOpen),
    ("a0 03", Violation::NotOpen),
    ("20 00", Violation::NotOpen),
    // What the peer opened it speaks of as Out.
    ("50 09 00 60 09", Violation::NotOpen),
    ("90 09 00 a0 09", Violation::NotOpen),
    // Acked and forgotten.
    ("a1 05 a1 05", Violation::NotOpen),
    ("10 01 00 10 01 00", Violation::PayloadFromReader),
    ("90 01 00 90 01 00", Violation::PayloadFromReader),
    ("d0 01 00 90 01 00", Violation::PayloadFromReader),
    ("90 01 00 e0 01 90 01 00", Violation::PayloadFromReader),
    ("b0 02 00", Violation::PayloadFromReader),
    ("b0 04 00", Violation::PayloadFromReader),
    ("b0 00 00", Violation::PayloadFromReader),
    ("e0 01 d0 01 01 61 90 01 00", Violation::PayloadFromReader),
    ("32 01 00", Violation::ResponseWithEnd),
    ("e0 02 30 01 01 61 32 01 01", Violation::ResponseWithEnd),
    ("30 01 00 30 01 00", Violation::SecondResponse),
    ("62 03 00 60 03", Violation::ChunkAfterEnd),
    ("62 03 00 64 03", Violation::ChunkAfterEnd),
    ("62 03 00 68 03", Violation::ChunkAfterEnd),
    ("62 03 00 70 03 00", Violation::ChunkAfterEnd),
    ("62 03 00 61 03", Violation::ChunkAfterEnd),
    ("a2 02 00 a4 02", Violation::ChunkAfterEnd),
    ("30 01 00 24 01", Violation::ChunkAfterEnd),
    ("22 01 00 30 01 00", Violation::ChunkAfterEnd),
    ("52 01 00 00 40 01", Violation::ChunkAfterEnd),
    ("12 01 00 00 00 01", Violation::ChunkAfterEnd),
    ("d2 01 00 00 84 01", Violation::ChunkAfterEnd),
    ("62 00 00 70 00 00", Violation::ChunkAfterEnd),
    ("a2 00 00 a8 00", Violation::ChunkAfterEnd),
    ("62 03 00 62 03", Violation::SecondEnd),
    ("22 01 00 22 01", Violation::SecondEnd),
    ("30 01 00 22 01", Violation::SecondEnd),
    ("a2 02 00 a2 02", Violation::SecondEnd),
    ("52 01 00 00 42 01", Violation::SecondEnd),
    ("62 00 00 62 00", Violation::SecondEnd),
    ("61 03", Violation::AckWithoutEnd),
    ("21 01", Violation::AckWithoutEnd),
    ("a1 02", Violation::AckWithoutEnd),
    ("61 00", Violation::AckWithoutEnd),
    ("a1 00", Violation::AckWithoutEnd),
    ("01 01", Violation::AckWithoutEnd),
    ("c1 01", Violation::AckWithoutEnd),
    ("50 01 00 41 01", Violation::AckWithoutEnd),
    ("65 03", Violation::FlagBesideAck),
    ("a5 05", Violation::FlagBesideAck),
    ("a9 05", Violation::FlagBesideAck),
    ("a3 05", Violation::FlagBesideAck),
    ("b1 05 00", Violation::FlagBesideAck),
    ("51 01 00", Violation::FlagBesideAck),
    ("e0 00", Violation::PartialTotalZero),
    ("ff 00 00 00 00 00 00 00 00", Violation::PartialTotalZero),
    ("e1 00 05", Violation::PartialTotalNotShortest),
    ("e7 00 ff ff ff ff ff ff ff", Violation::PartialTotalNotShortest),
    ("e0 05 e0 05", Violation::PartialBehindPartial),
    ("e0 05 e1 01 00", Violation::PartialBehindPartial),
    ("e0 05 60 03", Violation::PartialWithoutPayload),
    ("e0 05 68 03", Violation::PartialWithoutPayload),
    ("e0 05 64 03", Violation::PartialWithoutPayload),
    ("e0 05 a1 05", Violation::PartialWithoutPayload),
    ("e0 05 40 01", Violation::PartialWithoutPayload),
    // Message upon message, end upon end, end upon message, opening upon opening, response upon response.
    ("e0 03 70 03 01 61 e0 02 70 03 01", Violation::SecondPartial),
    ("e0 03 62 03 01 61 e0 02 62 03 01", Violation::SecondPartial),
    ("e0 03 70 03 01 61 e0 02 62 03 01", Violation::SecondPartial),
    ("e0 03 50 01 01 61 e0 02 50 01 01", Violation::SecondPartial),
    ("e0 03 30 01 01 61 e0 02 30 01 01", Violation::SecondPartial),
    ("e0 03 70 00 01 61 e0 02 70 00 01", Violation::SecondPartial),
    ("e0 02 70 03 03", Violation::PartialExceeded),
    ("e0 02 70 03 01 61 70 03 02", Violation::PartialExceeded),
    ("e0 02 50 01 03", Violation::PartialExceeded),
    ("e0 02 50 01 01 61 50 01 02", Violation::PartialExceeded),
    ("e0 02 d0 01 01 61 90 01 02", Violation::PartialExceeded),
    ("e0 02 62 03 03", Violation::PartialExceeded),
    ("e0 02 62 03 01 61 62 03 02", Violation::PartialExceeded),
    ("e0 02 30 01 03", Violation::PartialExceeded),
    ("e0 02 62 03 01 61 70 03 00", Violation::PayloadAmidEnd),
    ("e0 02 62 03 00 70 03 00", Violation::PayloadAmidEnd),
    ("e0 02 22 01 01 61 30 01 00", Violation::PayloadAmidEnd),
    ("e0 02 62 03 01 61 e0 02 70 03 01", Violation::PayloadAmidEnd),
];

#[test]
fn each_is_found_with_its_last_byte_wherever_it_is_cut() {
    for &(hex, violation) in VIOLATIONS {
        check(hex, violation);
    }
}

#[test]
fn each_variant_is_shown() {
    let shown: HashSet<Violation> = VIOLATIONS.iter().map(|&(_, violation)| violation).collect();
    assert_eq!(shown.len(), Violation::PayloadAmidEnd as usize + 1);
}

#[test]
fn limits_hold_for_the_opening_chunk_itself() {
    let with = |limits| Link::<()>::new(limits);
    let feed = |link: &mut Link<()>, bytes: Vec<u8>| feed(link, &bytes, &mut Vec::new());
    let sink = |id| chunk(Kind::OutSink, id).payload(b"");
    let duplex = chunk(Kind::Duplex, 9).payload(b"");

    let mut link = with(Limits { halves_max: 0, ..LIMITS });
    assert_eq!(feed(&mut link, sink(1).bytes()), Err(LinkError::TooManyHalves(0)));

    let mut link = with(Limits { halves_max: 2, ..LIMITS });
    assert_eq!(feed(&mut link, sink(1).bytes()), Ok(()));
    assert_eq!(feed(&mut link.clone(), duplex.bytes()), Err(LinkError::TooManyHalves(2)), "a duplex is two halves");
    assert_eq!(feed(&mut link, chunk(Kind::OutRequest, 1).payload(b"").bytes()), Ok(()));
    assert_eq!(feed(&mut link.clone(), sink(2).bytes()), Err(LinkError::TooManyHalves(2)));
    // A half that is over still counts until it is forgotten.
    assert_eq!(feed(&mut link, chunk(Kind::OutSink, 1).end(b"").bytes()), Ok(()));
    assert_eq!(feed(&mut link.clone(), sink(2).bytes()), Err(LinkError::TooManyHalves(2)));
    link.flush_owed(&mut Vec::new(), usize::MAX);
    assert_eq!(feed(&mut link, sink(2).bytes()), Ok(()));

    let mut link = with(Limits { openings_partial_max: 1, ..LIMITS });
    assert_eq!(feed(&mut link, sink(1).part_of(1)), Ok(()));
    assert_eq!(feed(&mut link.clone(), sink(2).part_of(1)), Err(LinkError::TooManyOpenings(1)));
    assert_eq!(feed(&mut link.clone(), duplex.part_of(1)), Err(LinkError::TooManyOpenings(1)));
    assert_eq!(feed(&mut link, sink(2).bytes()), Ok(()), "a whole opening is not meant");
    // Given up, it is off the count.
    assert_eq!(feed(&mut link, chunk(Kind::OutSink, 1).end(b"").bytes()), Ok(()));
    assert_eq!(feed(&mut link, sink(3).part_of(1)), Ok(()));
}

#[test]
fn what_we_opened_does_not_count_against_the_peer() {
    let mut link = Link::<()>::new(Limits { halves_max: 1, ..LIMITS });
    for _ in 0..3 {
        link.open_duplex(1, b"", 0, &mut Vec::new()).unwrap();
    }
    assert_eq!(link.peer_halves(), 0);
    assert_eq!(feed(&mut link, &chunk(Kind::OutSink, 1).payload(b"").bytes(), &mut Vec::new()), Ok(()));
    assert_eq!(link.peer_halves(), 1);
}
