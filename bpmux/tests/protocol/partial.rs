//! "Partial": payloads in parts.

use bpmux::{Kind, Limits};

use crate::support::{End, LIMITS, chunk};

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
