//! Runs: the way of many small messages has the effects of the ordinary one.

use bpmux::{HalfKey, Kind, Link, LinkError, Rewrite, Run, What, copy_run, varint};
use oracle::wire::{Chunk, parse_all};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{End, LIMITS, Seen, cat, chunk, feed, note, whole};

fn message(id: u64, payload: &[u8]) -> Chunk {
    chunk(Kind::OutSink, id).payload(payload)
}

/// An end with a sink of the peer's, on which it may write 10 bytes.
fn reader(id: u64) -> (End, HalfKey) {
    let mut end = End::new();
    let key = end.peer_opens(&message(id, b"").bytes());
    end.link.grant(key, 10);
    end.flush();
    (end, key)
}

#[test]
fn whole_messages_get_their_new_id_and_are_paid_for() {
    let (mut end, key) = reader(5);
    end.link.set_user(key, 42);
    let mut input = cat(&[&message(5, b"abc").bytes(), &message(5, b"").bytes(), &message(5, b"de").bytes()]);
    assert_eq!(end.link.run_at(&input), Some((key, 42)));
    let run = end.link.take_run(key, &mut input, Some(&Rewrite::to(200)));
    assert_eq!(run, Run { bytes: 14, messages: 3, payload_bytes: 5 });
    assert_eq!(input, cat(&[&message(200, b"abc").bytes(), &message(200, b"").bytes(), &message(200, b"de").bytes()]));
    assert_eq!(end.link.may_receive(key), 5);
}

#[test]
fn a_run_stops_before_all_that_is_not_a_whole_message_of_its_half() {
    let first = message(5, b"a").bytes();
    let stops = [
        message(6, b"x").bytes(),
        message(5, b"x").partial(3).bytes(),
        message(5, b"x").ping().bytes(),
        message(5, b"x").end(b"").bytes(),
        message(5, b"x").credit(1).bytes(),
        chunk(Kind::OutSink, 5).end(b"").bytes(),
        chunk(Kind::InSink, 5).payload(b"x").bytes(),
        // More than the credit that is left, a cut message, and lengths that are cut or too long.
        message(5, &[0; 10]).bytes(),
        message(5, b"xyz").bytes()[..5].to_vec(),
        message(5, b"").bytes()[..2].to_vec(),
        vec![0x50, 5, 0xf9, 0],
        vec![0x50, 5, 0xf8, 1, 0],
        vec![0x50, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for stop in stops {
        let (mut end, key) = reader(5);
        let mut input = cat(&[&first, &stop]);
        let run = end.link.take_run(key, &mut input, Some(&Rewrite::to(9)));
        assert_eq!(run, Run { bytes: first.len(), messages: 1, payload_bytes: 1 }, "before {stop:?}");
        assert_eq!(input, cat(&[&message(9, b"a").bytes(), &stop]), "what is not taken is as it was");
        assert_eq!(end.link.may_receive(key), 9);
    }
}

#[test]
fn no_run_begins_where_a_message_means_more() {
    let (end, key) = reader(5);
    let input = message(5, b"a").bytes();
    let begins = |end: &End, input: &[u8]| end.link.run_at(input).is_some();
    assert!(begins(&end, &input) && begins(&end, &input[..2]) && !begins(&end, &input[..1]) && !begins(&end, b""));
    assert!(!begins(&end, &message(6, b"a").bytes()), "nothing is open there");
    assert!(!begins(&end, &chunk(Kind::InSink, 0).payload(b"a").bytes()), "the top level");
    assert!(!begins(&end, &message(5, b"a").ping().bytes()));
    assert!(!begins(&end, &message(5, b"a").partial(2).bytes()));

    let after = |act: &dyn Fn(&mut End)| {
        let mut end = end.clone();
        act(&mut end);
        begins(&end, &input)
    };
    assert!(!after(&|end| drop(end.feed(&message(5, b"a").partial(2).bytes()))), "amid a message in parts");
    assert!(!after(&|end| drop(end.feed(&message(5, b"abc").bytes()[..4]))), "amid a payload");
    assert!(!after(&|end| drop(end.feed(&input[..1]))), "amid a head");
    assert!(!after(&|end| drop(end.feed(&message(5, b"").partial(1).bytes()[..2]))), "behind a Partial");
    assert!(!after(&|end| assert!(end.link.end(key, b""))), "we have ended it");
    assert!(!after(&|end| drop(end.feed(&chunk(Kind::OutSink, 5).end(b"").bytes()))), "the peer has ended it");
    assert!(after(&|end| drop(end.feed(&cat(&[&message(5, b"a").partial(2).bytes(), &message(5, b"b").bytes()])))));

    let mut end = End::new();
    end.feed(&message(5, b"a").partial(2).bytes());
    assert!(!begins(&end, &input), "the opening goes on");
}

/// What is said behind nothing at all would be heard before the payload that came before it and went another way.
#[test]
fn a_part_is_one_that_brings_payload() {
    let (mut end, key) = reader(5);
    end.link.set_user(key, 42);
    let is_part = |input: &[u8]| end.link.part_at(input) == Some((key, 42));
    for whole in [message(5, b"a").bytes(), message(5, b"a").partial(2).bytes()] {
        assert!(is_part(&whole) && is_part(&whole[..whole.len() - 1]) && !is_part(&whole[..whole.len() - 2]));
    }
    assert!(!is_part(&message(5, b"").bytes()) && !is_part(&message(5, b"").partial(2).bytes()));
    assert!(!is_part(&message(6, b"a").bytes()) && !is_part(&message(5, b"a").ping().bytes()));
}

#[test]
fn an_id_of_the_widest_kind_is_exchanged_in_place() {
    let (mut end, key) = reader(1 << 56);
    let mut input = message(1 << 56, b"a").bytes();
    assert_eq!(end.link.take_run(key, &mut input, Some(&Rewrite::to(u64::MAX))).messages, 1);
    assert_eq!(input, message(u64::MAX, b"a").bytes());
}

#[test]
fn a_run_is_copied_with_an_id_of_any_width() {
    for (from, to) in [(5, 248), (248, 5), (255, 256), (300, 1 << 16), (7, 8), (u64::MAX, 0)] {
        let (mut end, key) = reader(from);
        let with = |id| cat(&[&message(id, b"a").bytes(), &message(id, b"").bytes(), &message(id, b"bcd").bytes()]);
        let mut input = with(from);
        assert_eq!(end.link.take_run(key, &mut input, None).bytes, input.len());
        assert_eq!(input, with(from), "without a new id it stays as it was");
        let mut out = b"before".to_vec();
        copy_run(&input, varint::len(from), &Rewrite::to(to), &mut out);
        assert_eq!(out, cat(&[b"before", &with(to)]));
    }
}

#[test]
fn an_ordinary_id_0_makes_runs() {
    let (mut end, key) = reader(0);
    let mut input = message(0, b"a").bytes();
    assert_eq!(end.link.run_at(&input), Some((key, 0)));
    assert_eq!(end.link.take_run(key, &mut input, Some(&Rewrite::to(0))).messages, 1);
}

#[test]
fn the_other_end_accounts_for_a_run() {
    let mut end = End::new();
    let stream = end.peer_opens(&chunk(Kind::OutStream, 1).payload(b"").credit(10).bytes());
    end.link.spend_on_run(stream, 7);
    assert_eq!(end.link.may_send(stream), 3);
    assert_eq!(
        end.feed(&chunk(Kind::InSink, 0).payload(b"").bytes()),
        [whole(HalfKey::TOP_READER, What::Message, b"")]
    );
}

/// The ids of the halves on which the peer writes, and what they are rewritten to; one to another width.
const IDS: [(u64, u64); 4] = [(1, 247), (2, 3), (300, 301), (9, 900)];

/// The peer may write on a duplex, two sinks, and a stream of ours.
fn fixture() -> Link<u32> {
    let mut link = Link::new(LIMITS);
    link.grant(HalfKey::TOP_READER, 1000);
    for id in 1..=9 {
        let mut out = Vec::new();
        assert_eq!(link.open(Kind::OutStream, b"", 50, &mut out).map(|key| link.id(key)), Ok(Some(id)));
    }
    for opening in [chunk(Kind::Duplex, 1), chunk(Kind::OutSink, 2), chunk(Kind::OutSink, 300)] {
        let mut seen = Vec::new();
        feed(&mut link, &opening.payload(b"").bytes(), &mut seen).unwrap();
        let (bpmux::Opened::Sink(key) | bpmux::Opened::Duplex(bpmux::DuplexKeys { reader: key, .. })) = (match seen[0] {
            Seen::Opened(opened) => opened,
            _ => panic!("{seen:?}"),
        }) else {
            panic!("{seen:?}")
        };
        link.grant(key, 50);
    }
    link.flush_owed(&mut Vec::new(), usize::MAX);
    link
}

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop::sample::select(&[Kind::OutSink, Kind::OutSink, Kind::OutSink, Kind::InSink][..]);
    let ids = prop::sample::select(&[1, 1, 1, 2, 300, 9, 0, 4][..]);
    let payload = prop::collection::vec(any::<u8>(), 0..12);
    let part = (kinds, ids, payload, 0..60_u8).prop_map(|(kind, id, payload, form)| {
        let half = chunk(kind, id);
        match form {
            0 => half.clone().ping().bytes(),
            1 => half.clone().payload(&payload).ping().bytes(),
            2 => half.clone().end([]).bytes(),
            3 | 4 => half.payload(&payload).partial(20).bytes(),
            5 => vec![form; 3],
            _ => half.payload(&payload).bytes(),
        }
    });
    let repeated = (part, 1..5_usize).prop_map(|(part, times)| part.repeat(times));
    prop::collection::vec(repeated, 1..20).prop_map(|parts| parts.concat())
}

/// Reads all of a piece, by runs where there are some.
fn read_by_runs(link: &mut Link<u32>, input: &mut [u8], seen: &mut Vec<Seen>) -> Result<(), LinkError> {
    let mut at = 0;
    loop {
        if let Some((key, _)) = link.run_at(&input[at..]) {
            let id = link.id(key).unwrap();
            let to = IDS.iter().find(|&&(from, _)| from == id).map_or(id, |&(_, to)| to);
            let rewrite = Rewrite::to(to);
            let in_place = varint::len(to) == varint::len(id);
            let run = link.take_run(key, &mut input[at..], in_place.then_some(&rewrite));
            let mut copied = input[at..at + run.bytes].to_vec();
            if !in_place {
                copied.clear();
                copy_run(&input[at..at + run.bytes], varint::len(id), &rewrite, &mut copied);
            }
            let chunks = parse_all(&copied).expect("it is valid");
            assert_eq!(chunks.len() as u64, run.messages);
            let payloads: Vec<Vec<u8>> = chunks
                .into_iter()
                .map(|chunk| {
                    assert_eq!((chunk.partial, chunk.id), (None, to));
                    chunk.payload.unwrap()
                })
                .collect();
            assert_eq!(payloads.iter().map(Vec::len).sum::<usize>() as u64, run.payload_bytes);
            seen.extend(payloads.iter().map(|payload| whole(key, What::Message, payload)));
            at += run.bytes;
        }
        let step = link.next(&input[at..])?;
        at += step.used;
        match step.event {
            Some(event) => note(seen, event, &input[..at]),
            None => return Ok(()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn runs_have_the_effects_of_the_ordinary_way(bytes in conversation(), places: [Index; 5]) {
        let (mut ordinary, mut by_runs) = (fixture(), fixture());
        let (mut seen, mut seen_by_runs) = (Vec::new(), Vec::new());
        let result = feed(&mut ordinary, &bytes, &mut seen);
        let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let result_by_runs = places
            .windows(2)
            .try_for_each(|ends| read_by_runs(&mut by_runs, &mut bytes[ends[0]..ends[1]].to_vec(), &mut seen_by_runs));
        assert_eq!((seen_by_runs, result_by_runs), (seen.clone(), result));
        for seen in seen {
            if let Seen::Payload { key, .. } = seen {
                assert_eq!(by_runs.may_receive(key), ordinary.may_receive(key));
            }
        }
    }
}
