//! "Heartbeats": pings and pongs.

use bpmux::{HalfKey, Kind};

use crate::support::{End, Seen, cat, chunk};

#[test]
fn a_pong_is_the_inverted_type_without_flags() {
    let mut end = End::new();
    let check = |end: &mut End, key, ping: Kind, pong: Kind, id| {
        assert_eq!(end.feed(&chunk(ping, id).ping().bytes()), [Seen::Ping(key)]);
        end.link.pong(key);
        assert_eq!(end.flush(), chunk(pong, id).bytes(), "the pong to {ping:?}");
        // And the other way round: we ping as we would pong, and the peer pongs as it would ping.
        end.link.ping(key);
        assert_eq!(end.flush(), chunk(pong, id).ping().bytes());
        assert_eq!(end.feed(&chunk(ping, id).bytes()), [Seen::Pong(key)]);
    };
    check(&mut end, HalfKey::TOP_WRITER, Kind::InStream, Kind::InSink, 0);
    check(&mut end, HalfKey::TOP_READER, Kind::InSink, Kind::InStream, 0);
    let of_peer =
        [(Kind::OutRequest, Kind::InRequest), (Kind::OutSink, Kind::InStream), (Kind::OutStream, Kind::InSink)];
    for (kind, inverted) in of_peer {
        let theirs = end.peer_opens(&chunk(kind, 9).payload(b"").bytes());
        check(&mut end, theirs, kind, inverted, 9);
        let ours = end.opens(kind, 0);
        let id = end.link.id(ours).unwrap();
        check(&mut end, ours, inverted, kind, id);
    }
    let theirs = end.peer_opens_duplex(&chunk(Kind::Duplex, 8).payload(b"").bytes());
    check(&mut end, theirs.reader, Kind::OutSink, Kind::InStream, 8);
    check(&mut end, theirs.writer, Kind::OutStream, Kind::InSink, 8);
}

#[test]
fn every_ping_is_answered() {
    let mut end = End::new();
    for _ in 0..3 {
        end.link.pong(HalfKey::TOP_READER);
        end.link.ping(HalfKey::TOP_READER);
    }
    let (ping, pong) = (chunk(Kind::InStream, 0).ping().bytes(), chunk(Kind::InStream, 0).bytes());
    assert_eq!(end.flush(), cat(&[&ping, &ping, &ping, &pong, &pong, &pong]));
}

#[test]
fn a_half_that_we_ended_ignores_pings_and_pongs() {
    for flushed in [false, true] {
        let mut end = End::new();
        let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
        assert!(end.link.end(sink, b""));
        let mut out = Vec::new();
        if flushed {
            out.extend(end.flush());
        }
        assert_eq!(end.feed(&chunk(Kind::OutSink, 1).ping().bytes()), []);
        assert_eq!(end.feed(&chunk(Kind::OutSink, 1).bytes()), []);
        end.link.pong(sink);
        end.link.ping(sink);
        out.extend(end.flush());
        assert_eq!(out, chunk(Kind::InStream, 1).end(b"").bytes());
    }
}

#[test]
fn pongs_go_before_the_end_and_before_the_ack() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").ping().bytes());
    end.link.pong(sink);
    assert!(end.link.end(sink, b""));
    let half = chunk(Kind::InStream, 1);
    assert_eq!(end.flush(), cat(&[&half.bytes(), &half.clone().end(b"").bytes()]));

    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.feed(&chunk(Kind::OutSink, 1).ping().end(b"").bytes());
    end.link.pong(sink);
    end.link.pong(sink);
    assert_eq!(end.flush(), cat(&[&half.bytes(), &half.bytes(), &half.ack_end().bytes()]));
    assert!(end.is_gone(sink));
    end.link.pong(sink);
    assert!(!end.link.owes(), "a half that is gone owes nothing");
}
