//! Input that nobody has promised to be sane: it never panics, and means the same wherever it is cut.

use bpmux::{HalfKey, Kind, Limits, Link, LinkError};
use oracle::wire::Chunk;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Seen, chunk, feed};

const LIMITS: Limits = Limits { halves_max: 6, openings_partial_max: 2 };

/// A link on which the peer may do a few things.
fn fixture() -> Link<u32> {
    let mut link = Link::new(LIMITS);
    let mut out = Vec::new();
    link.grant(HalfKey::TOP_READER, 1 << 20);
    for kind in [Kind::OutRequest, Kind::OutSink, Kind::OutStream] {
        link.open(kind, b"", 1 << 20, &mut out).unwrap();
    }
    let duplex = link.open_duplex(1, b"", 1 << 20, &mut out).unwrap();
    link.end(duplex.writer, b"");
    link.flush_owed(&mut out, usize::MAX);
    link
}

/// Feeds all of it in pieces, without a word of ours in between.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Result<(), LinkError>) {
    let (mut link, mut seen) = (fixture(), Vec::new());
    let result = pieces.into_iter().try_for_each(|piece| feed(&mut link, piece, &mut seen));
    let mut out = Vec::new();
    link.flush_owed(&mut out, usize::MAX);
    (seen, result)
}

fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

fn check(bytes: &[u8], places: &[Index]) {
    let whole = read([bytes]);
    assert_eq!(read(cut(bytes, places)), whole);
    assert_eq!(read(bytes.chunks(1)), whole);
}

/// A plausible conversation.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let payload = || prop::collection::vec(any::<u8>(), 0..9);
    let part = (0..7_u8, 0..6_u64, payload(), prop::option::weighted(0.2, 1..30_u64), 0..12_u8).prop_map(
        |(kind, id, payload, total, form)| {
            let chunk = chunk(Kind::of_tag(kind << 5), id);
            let chunk = match form {
                0 => chunk.end(&payload),
                1 => chunk.ping(),
                2 => chunk.credit(payload.len() as u64 * 77),
                3 => chunk,
                4 => chunk.ack_end(),
                5 => chunk.payload(&payload).credit(1).ping().end(&payload),
                _ => chunk.payload(&payload),
            };
            Chunk { partial: total, ..chunk }.bytes()
        },
    );
    prop::collection::vec(part, 1..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), places: [Index; 4]) {
        check(&bytes, &places);
    }

    #[test]
    fn bytes_of_low_values(bytes in prop::collection::vec(0..8_u8, 0..100), tags: [(Index, u8); 8], places: [Index; 4]) {
        let mut bytes = bytes;
        for (at, tag) in tags {
            let at = at.index(bytes.len() + 1);
            bytes.insert(at, tag);
        }
        check(&bytes, &places);
    }

    #[test]
    fn chunks_in_any_order(bytes in conversation(), places: [Index; 4]) {
        check(&bytes, &places);
    }

    #[test]
    fn mutated_conversations(bytes in conversation(), mutations: [(Index, u8, u8); 3], places: [Index; 4]) {
        let mut bytes = bytes;
        for (at, form, value) in mutations {
            let at = at.index(bytes.len());
            match form % 3 {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                _ if bytes.len() > 1 => { bytes.remove(at); },
                _ => {}
            }
        }
        check(&bytes, &places);
    }
}
