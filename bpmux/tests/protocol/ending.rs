//! "Ending": closes, cancels, acks and ends that cross.

use bpmux::{HalfKey, Kind, What};

use crate::support::{End, chunk, whole};

#[test]
fn the_top_level_is_never_acked() {
    let mut end = End::new();
    assert_eq!(end.feed(&chunk(Kind::InSink, 0).end(b"why").bytes()), [whole(HalfKey::TOP_READER, What::End, b"why")]);
    assert_eq!(end.flush(), []);
    assert!(!end.link.is_open(HalfKey::TOP_READER));
    assert_eq!(end.feed(&chunk(Kind::InStream, 0).end(b"").bytes()), [whole(HalfKey::TOP_WRITER, What::End, b"")]);
    assert_eq!(end.flush(), []);
}

#[test]
fn the_top_level_is_not_acked_behind_a_pong_either() {
    let mut end = End::new();
    end.link.pong(HalfKey::TOP_READER);
    end.feed(&chunk(Kind::InSink, 0).end(b"").bytes());
    assert_eq!(end.flush(), chunk(Kind::InStream, 0).bytes());
}

#[test]
fn an_end_of_the_top_level_that_was_not_written_is_dropped_when_the_peer_ends_it() {
    let mut end = End::new();
    assert!(end.link.end(HalfKey::TOP_WRITER, b"why"));
    end.feed(&chunk(Kind::InStream, 0).end(b"").bytes());
    assert_eq!(end.flush(), []);
}
