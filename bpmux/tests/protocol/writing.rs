//! What the ledger writes: parts, and what is owed while there is room.

use bpmux::{HalfKey, Kind, Link, Rewrite, What, varint};
use oracle::wire::parse_all;

use crate::support::{End, LIMITS, Seen, cat, chunk, whole};

/// An end that may write 100 bytes on a stream of the peer's.
fn writer() -> (End, HalfKey) {
    let mut end = End::new();
    let key = end.peer_opens(&chunk(Kind::OutStream, 1).payload(b"").credit(100).bytes());
    (end, key)
}

#[test]
fn grants_add_up_to_one_chunk_with_a_ping() {
    let (mut end, _) = writer();
    end.link.grant(HalfKey::TOP_READER, 3);
    end.link.ping(HalfKey::TOP_READER);
    end.link.grant(HalfKey::TOP_READER, 4);
    assert_eq!(end.flush(), chunk(Kind::InStream, 0).credit(7).ping().bytes());
    end.link.grant(HalfKey::TOP_READER, 0);
    end.link.pings(HalfKey::TOP_READER, 0);
    assert!(!end.link.owes());
    end.link.pings(HalfKey::TOP_READER, 2);
    assert_eq!(end.flush(), chunk(Kind::InStream, 0).ping().bytes().repeat(2));
}

#[test]
fn halves_take_turns_and_stop_when_the_room_is_used_up() {
    let (mut end, key) = writer();
    for _ in 0..5 {
        end.link.pong(key);
    }
    end.link.pong(HalfKey::TOP_READER);
    assert!(end.link.end(key, b"bye"));
    let pong = chunk(Kind::InSink, 1);
    // Below what the longest chunk may take nothing is begun.
    for room in 0..=18 {
        let mut out = Vec::new();
        assert!(end.link.flush_owed(&mut out, room));
        assert_eq!(out, []);
    }
    let mut out = b"full".to_vec();
    assert!(end.link.flush_owed(&mut out, 22));
    assert_eq!(out, b"full", "what stands in the buffer counts");
    let mut written = Vec::new();
    let mut flushes = 0;
    loop {
        let mut out = Vec::new();
        let more = end.link.flush_owed(&mut out, 19);
        assert_eq!(more, end.link.owes());
        assert_eq!(parse_all(&out).map(|chunks| chunks.len()), Ok(1), "19 bytes are room for one chunk");
        written.extend(out);
        flushes += 1;
        if !more {
            break;
        }
    }
    assert_eq!(flushes, 7);
    let others = pong.bytes().repeat(4);
    let expected = cat(&[&pong.bytes(), &chunk(Kind::InStream, 0).bytes(), &others, &pong.clone().end(b"bye").bytes()]);
    assert_eq!(written, expected);
}

#[test]
fn an_id_has_the_width_that_is_asked_for() {
    let mut end = End::new();
    for width in 1..=9 {
        let mut out = Vec::new();
        let keys = end.link.open_duplex(width, b"", 0, &mut out).unwrap();
        let id = end.link.id(keys.writer).unwrap();
        assert_eq!((varint::len(id), out.len()), (width, width + 2));
        assert_eq!(end.feed(&chunk(Kind::InSink, id).ping().bytes()), [Seen::Ping(keys.reader)]);
        assert_eq!(end.feed(&chunk(Kind::InStream, id).ping().bytes()), [Seen::Ping(keys.writer)]);
    }
}

#[test]
fn our_ids_are_free_again_when_all_of_their_halves_are_forgotten() {
    let mut end = End::new();
    let open = |end: &mut End| end.link.open_duplex(2, b"", 0, &mut Vec::new()).unwrap();
    let duplexes: Vec<_> = (0..8).map(|_| open(&mut end)).collect();
    let ids: Vec<_> = duplexes.iter().map(|keys| end.link.id(keys.writer).unwrap()).collect();
    assert_eq!(ids, (248..=255).collect::<Vec<_>>(), "eight ids take two bytes");
    let ninth = open(&mut end);
    assert_eq!(end.link.id(ninth.writer), Some(256), "then three");
    end.feed(&chunk(Kind::InSink, 250).end(b"").bytes());
    end.flush();
    let tenth = open(&mut end);
    assert_eq!(end.link.id(tenth.writer), Some(257), "the other half is still there");
    end.feed(&chunk(Kind::InStream, 250).end(b"").bytes());
    end.flush();
    let eleventh = open(&mut end);
    assert_eq!(end.link.id(eleventh.writer), Some(250));
}

#[test]
fn a_key_of_a_half_that_is_gone_does_nothing() {
    let (mut end, key) = writer();
    end.link.set_user(key, 5);
    assert_eq!(end.link.user(key), Some(5));
    end.feed(&chunk(Kind::OutStream, 1).end(b"").bytes());
    end.flush();
    let again = end.peer_opens(&chunk(Kind::OutStream, 1).payload(b"").credit(7).bytes());
    assert_eq!(
        (end.link.id(key), end.link.user(key), end.link.may_send(key), end.link.may_receive(key)),
        (None, None, 0, 0)
    );
    assert_eq!((end.link.is_open(key), end.link.outgoing_left(key)), (false, 0));
    assert_eq!(end.link.user(again), Some(0), "what stood beside it is gone, too");
    end.link.set_user(key, 6);
    end.link.grant(key, 1);
    end.link.ping(key);
    end.link.pong(key);
    assert!(end.link.end(key, b"far more than there is credit for"));
    assert_eq!(end.flush(), []);
    let mut message = chunk(Kind::OutStream, 1).payload(b"").bytes();
    assert_eq!(end.link.take_run(key, &mut message, Some(&Rewrite::to(2))).bytes, 0);
    assert_eq!((end.link.user(again), end.link.may_send(again)), (Some(0), 7));
}

#[test]
fn the_user_s_word_comes_with_each_event() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.set_user(sink, 42);
    let message = chunk(Kind::OutSink, 1).payload(b"").bytes();
    let step = end.link.next(&message).unwrap();
    let Some(bpmux::Event::Piece(key, 42, piece)) = step.event else { panic!("{step:?}") };
    assert_eq!((key, piece.what, step.used), (sink, What::Message, message.len()));
    assert_eq!(end.feed(&chunk(Kind::OutSink, 1).end(b"").bytes()), [whole(sink, What::End, b"")]);
}

#[test]
fn a_farewell_is_the_top_level_close_and_nothing_else() {
    let (mut end, key) = writer();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.feed(&chunk(Kind::OutSink, 1).end(b"").bytes());
    end.link.grant(HalfKey::TOP_READER, 5);
    end.link.ping(key);
    end.link.farewell(b"why");
    // A second one changes nothing.
    end.link.farewell(b"never written");
    assert_eq!(end.flush(), chunk(Kind::InSink, 0).end(b"why").bytes());
    assert!(!end.is_gone(sink), "its ack was not written");
}

#[test]
fn a_farewell_without_credit_for_it_is_silent() {
    let mut link = Link::<()>::new(LIMITS);
    link.grant(HalfKey::TOP_READER, 5);
    link.farewell(b"why");
    let mut out = Vec::new();
    assert!(!link.flush_owed(&mut out, usize::MAX));
    assert_eq!(out, []);
}
