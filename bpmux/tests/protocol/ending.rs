//! "Ending": closes, cancels, acks and ends that cross.

use bpmux::{HalfKey, Kind, What};

use crate::support::{End, Seen, cat, chunk, whole};

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

#[test]
fn what_follows_the_response_in_its_chunk_means_no_half_that_took_its_place() {
    let mut end = End::new();
    let request = end.opens(Kind::OutRequest, 0);
    let id = end.link.id(request).unwrap();
    let response = chunk(Kind::InRequest, id).payload(b"").credit(5).ping().bytes();
    // The credit is cut off; meanwhile the ack is written and the slot is taken by another half.
    assert_eq!(end.feed(&response[..3]), [whole(request, What::Message, b"")]);
    assert_eq!(end.flush(), chunk(Kind::OutRequest, id).ack().bytes());
    let sink = end.opens(Kind::OutSink, 0);
    assert_eq!(end.feed(&response[3..]), []);
    assert_eq!(end.link.may_send(sink), 0);
}

#[test]
fn a_ping_beside_the_response_is_answered_before_the_ack() {
    let mut end = End::new();
    let request = end.opens(Kind::OutRequest, 0);
    let id = end.link.id(request).unwrap();
    let seen = end.feed(&chunk(Kind::InRequest, id).payload(b"").ping().bytes());
    assert_eq!(seen, [whole(request, What::Message, b""), Seen::Ping(request)]);
    end.link.pong(request);
    let pong = chunk(Kind::OutRequest, id);
    assert_eq!(end.flush(), cat(&[&pong.bytes(), &pong.clone().ack().bytes()]));
    assert!(end.is_gone(request));
}

#[test]
fn pongs_that_are_owed_go_before_the_response() {
    let mut end = End::new();
    let request = end.peer_opens(&chunk(Kind::OutRequest, 1).payload(b"").ping().bytes());
    end.link.pong(request);
    let mut out = Vec::new();
    end.link.put_part(request, 0, 0, &mut out);
    let answer = chunk(Kind::InRequest, 1);
    assert_eq!(out, cat(&[&answer.bytes(), &answer.clone().payload(b"").bytes()]));
    assert_eq!(end.flush(), []);
}

#[test]
fn what_comes_with_the_response_to_a_request_that_we_cancelled_is_dropped_too() {
    let mut end = End::new();
    let request = end.opens(Kind::OutRequest, 0);
    let id = end.link.id(request).unwrap();
    assert!(end.link.end(request, b""));
    // The cancel is not written yet.
    assert_eq!(end.feed(&chunk(Kind::InRequest, id).payload(b"").credit(1).ping().bytes()), []);
    assert_eq!(end.flush(), chunk(Kind::OutRequest, id).ack().bytes());
}

#[test]
fn nothing_is_said_on_a_top_level_that_is_over() {
    let mut end = End::new();
    assert!(end.link.end(HalfKey::TOP_READER, b""));
    end.feed(&chunk(Kind::InSink, 0).end(b"").bytes());
    end.link.pong(HalfKey::TOP_READER);
    end.link.ping(HalfKey::TOP_READER);
    end.link.grant(HalfKey::TOP_READER, 1);
    assert_eq!(end.flush(), []);
}
