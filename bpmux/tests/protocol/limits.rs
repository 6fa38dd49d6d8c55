//! What a link refuses besides the violations that the vectors show: what passes a limit.

use bpmux::{HalfKey, Kind, Limits, Link, LinkError, Over, Violation};

use crate::support::{End, LIMITS, Seen, chunk, feed};

#[test]
fn the_longest_length_is_no_more_than_too_long() {
    let mut link = Link::<()>::new(LIMITS);
    link.grant(HalfKey::TOP_READER, 16);
    let found = feed(&mut link, &[0x70, 0, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], &mut Vec::new());
    assert_eq!(found, Err(LinkError::Violation(Violation::CreditExceeded)));
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
    assert_eq!(feed(&mut link, sink(1).partial(1).bytes()), Ok(()));
    assert_eq!(feed(&mut link.clone(), sink(2).partial(1).bytes()), Err(LinkError::TooManyOpenings(1)));
    assert_eq!(feed(&mut link.clone(), duplex.partial(1).bytes()), Err(LinkError::TooManyOpenings(1)));
    assert_eq!(feed(&mut link, sink(2).bytes()), Ok(()), "a whole opening is not meant");
    // Given up, it is off the count.
    assert_eq!(feed(&mut link, chunk(Kind::OutSink, 1).end(b"").bytes()), Ok(()));
    assert_eq!(feed(&mut link, sink(3).partial(1).bytes()), Ok(()));
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

#[test]
fn a_partial_opening_that_we_ended_and_the_peer_acked_is_over() {
    let mut end = End::with(Limits { openings_partial_max: 1, ..LIMITS });
    for kind in [Kind::OutRequest, Kind::OutSink, Kind::OutStream, Kind::OutSink] {
        let half = end.peer_opens(&chunk(kind, 1).payload(b"a").partial(3).bytes());
        assert!(end.link.end(half, b""));
        end.flush();
        assert_eq!(end.feed(&chunk(kind, 1).ack_end().bytes()), [Seen::Over(half, Over::Acked)]);
        assert!(end.is_gone(half));
    }
}
