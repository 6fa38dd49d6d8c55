//! "Partial": payloads in parts.

use bpmux::{Kind, Limits, What};

use crate::support::{End, LIMITS, cat, chunk, whole};

#[test]
fn a_partial_opening_that_we_ended_and_the_peer_acked_is_over() {
    let mut end = End::with(Limits { openings_partial_max: 1, ..LIMITS });
    for kind in [Kind::OutRequest, Kind::OutSink, Kind::OutStream, Kind::OutSink] {
        let half = end.peer_opens(&chunk(kind, 1).payload(b"a").part_of(3));
        assert!(end.link.end(half, b""));
        end.flush();
        assert_eq!(end.feed(&chunk(kind, 1).ack().bytes()), []);
        assert!(end.is_gone(half));
    }
}
#[test]
fn an_empty_part_is_no_piece() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.grant(sink, 10);
    let message = chunk(Kind::OutSink, 1);
    let parts = cat(&[
        &message.clone().payload(b"").part_of(2),
        &message.clone().payload(b"").bytes(),
        &message.payload(b"ab").bytes(),
    ]);
    assert_eq!(end.feed(&parts), [whole(sink, What::Message, b"ab")]);
    let close = chunk(Kind::OutSink, 1);
    let parts = cat(&[&close.clone().end(b"").part_of(2), &close.clone().end(b"").bytes(), &close.end(b"cd").bytes()]);
    assert_eq!(end.feed(&parts), [whole(sink, What::End, b"cd")]);
}
