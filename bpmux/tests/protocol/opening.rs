//! "Opening", "Top level" and "Credit": who pays for what, and which half a field means.

use bpmux::{DuplexKeys, HalfKey, Kind, OpenError, Opened, What};

use crate::support::{End, Seen, TOP_CREDIT, cat, chunk, some, whole};

#[test]
fn each_kind_opens_with_a_payload_and_its_other_fields_follow() {
    for (kind, id) in [(Kind::OutRequest, 7), (Kind::OutSink, 7), (Kind::OutStream, 7), (Kind::OutSink, u64::MAX)] {
        let mut end = End::new();
        let seen = end.feed(&chunk(kind, id).payload(b"hello").credit(9).ping().bytes());
        let Seen::Opened(opened) = seen[0] else { panic!("{seen:?}") };
        let (Opened::Request(key) | Opened::Sink(key) | Opened::Stream(key)) = opened else { panic!("{opened:?}") };
        let expected = match kind {
            Kind::OutRequest => Opened::Request(key),
            Kind::OutSink => Opened::Sink(key),
            _ => Opened::Stream(key),
        };
        assert_eq!(opened, expected);
        assert_eq!(seen[1..], [whole(key, What::Opening, b"hello"), Seen::Credit(key, 9), Seen::Ping(key)]);
        assert_eq!((end.link.may_send(key), end.link.may_receive(key)), (9, 0));
        assert_eq!((end.link.id(key), end.link.peer_halves()), (Some(id), 1));
        assert_eq!(end.link.may_receive(HalfKey::TOP_READER), TOP_CREDIT - 5);
    }
}

#[test]
fn the_fields_of_a_duplex_chunk_mean_the_opener_s_reading_half() {
    let mut end = End::new();
    let opening = chunk(Kind::Duplex, 3).payload(b"x").credit(9).ping().end(b"").bytes();
    let seen = end.feed(&opening);
    let Seen::Opened(Opened::Duplex(DuplexKeys { writer, reader })) = seen[0] else { panic!("{seen:?}") };
    let expected = [
        whole(writer, What::Opening, b"x"),
        Seen::Credit(writer, 9),
        Seen::Ping(writer),
        whole(writer, What::End, b""),
    ];
    assert_eq!(seen[1..], expected);
    assert_eq!((end.link.may_send(writer), end.link.may_send(reader)), (9, 0));
    assert!(!end.link.is_open(writer) && end.link.is_open(reader));
    // The pong to it and its ack stand on the half that we write.
    assert_eq!(end.flush(), chunk(Kind::InSink, 3).ack_end().bytes());
    assert!(end.is_gone(writer) && !end.is_gone(reader));
    assert_eq!(end.link.peer_halves(), 1);
}

#[test]
fn a_duplex_carries_messages_both_ways() {
    let mut end = End::new();
    let keys = end.peer_opens_duplex(&chunk(Kind::Duplex, 3).payload(b"").credit(5).bytes());
    end.link.grant(keys.reader, 4);
    assert_eq!(end.flush(), chunk(Kind::InStream, 3).credit(4).bytes());
    assert_eq!(
        end.feed(&chunk(Kind::OutSink, 3).payload(b"ping").bytes()),
        [whole(keys.reader, What::Message, b"ping")]
    );
    assert_eq!(end.feed(&chunk(Kind::OutStream, 3).credit(2).bytes()), [Seen::Credit(keys.writer, 2)]);
    let mut out = Vec::new();
    end.link.put_part(keys.writer, 7, 7, &mut out);
    assert_eq!(cat(&[&out, b"pongpon"]), chunk(Kind::InSink, 3).payload(b"pongpon").bytes());
}

#[test]
fn openings_and_top_level_messages_spend_the_top_level_credit() {
    let mut end = End::new();
    let left = |end: &End| end.link.may_receive(HalfKey::TOP_READER);
    let long = vec![b'x'; TOP_CREDIT as usize - 10];
    assert_eq!(
        end.feed(&chunk(Kind::InSink, 0).payload(&long).bytes()),
        [whole(HalfKey::TOP_READER, What::Message, &long)]
    );
    assert_eq!(left(&end), 10);
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"abcd").bytes());
    assert_eq!(left(&end), 6);
    // What follows the opening spends the half's own credit.
    end.link.grant(sink, 3);
    end.feed(&chunk(Kind::OutSink, 1).payload(b"abc").bytes());
    assert_eq!((left(&end), end.link.may_receive(sink)), (6, 0));
    // The rest of an opening spends the top level's.
    end.peer_opens(&chunk(Kind::OutStream, 1).payload(b"ab").partial(6).bytes());
    assert_eq!(left(&end), 4);
    end.feed(&chunk(Kind::OutStream, 1).payload(b"cdef").bytes());
    assert_eq!(left(&end), 0);
    end.feed(&chunk(Kind::OutStream, 2).payload(b"").bytes());
    end.link.grant(HalfKey::TOP_READER, 1);
    end.feed(&chunk(Kind::OutStream, 3).payload(b"z").bytes());
}

#[test]
fn our_openings_spend_what_the_peer_gave_us_there() {
    let mut end = End::new();
    let mut out = Vec::new();
    let long = vec![b'x'; TOP_CREDIT as usize];
    assert_eq!(end.link.open(Kind::OutSink, &[&long[..], b"x"].concat(), 0, &mut out), Err(OpenError::NoCredit));
    assert_eq!(end.link.open_duplex(1, &[&long[..], b"x"].concat(), 0, &mut out), Err(OpenError::NoCredit));
    assert_eq!(out, []);
    end.link.open(Kind::OutSink, &long, 0, &mut out).unwrap();
    assert_eq!(out, chunk(Kind::OutSink, 1).payload(&long).bytes());
    assert_eq!(end.link.may_send(HalfKey::TOP_WRITER), 0);
    assert!(end.link.open_duplex(1, b"x", 0, &mut out).is_err());
    assert_eq!(end.feed(&chunk(Kind::InStream, 0).credit(1).bytes()), [Seen::Credit(HalfKey::TOP_WRITER, 1)]);
    assert!(end.link.open_duplex(1, b"x", 0, &mut out).is_ok());
}

#[test]
fn what_we_open_stands_on_the_wire() {
    let mut end = End::new();
    let mut out = Vec::new();
    let keys = end.link.open_duplex(1, b"a", 5, &mut out).unwrap();
    assert_eq!(out, chunk(Kind::Duplex, 1).payload(b"a").credit(5).bytes());
    assert_eq!((end.link.may_receive(keys.reader), end.link.may_receive(keys.writer)), (5, 0));
    for (kind, id) in [(Kind::OutRequest, 2), (Kind::OutSink, 3), (Kind::OutStream, 4)] {
        out.clear();
        let key = end.link.open(kind, b"", 6, &mut out).unwrap();
        assert!(!end.link.flush_owed(&mut out, usize::MAX));
        assert_eq!(out, cat(&[&chunk(kind, id).payload(b"").bytes(), &chunk(kind, id).credit(6).bytes()]));
        assert_eq!(end.link.may_receive(key), 6);
    }
    // The peer answers on each.
    assert_eq!(end.feed(&chunk(Kind::InSink, 1).payload(b"abc").bytes()), [whole(keys.reader, What::Message, b"abc")]);
    assert_eq!(end.feed(&chunk(Kind::InStream, 1).credit(8).bytes()), [Seen::Credit(keys.writer, 8)]);
}

#[test]
fn our_opening_goes_out_in_parts_as_the_peer_gives_credit() {
    let mut end = End::new();
    let mut out = Vec::new();
    end.link.open(Kind::OutSink, &vec![b'x'; TOP_CREDIT as usize - 2], 0, &mut Vec::new()).unwrap();
    assert_eq!(end.link.begin_duplex(1, 5, b"abc", 9, &mut out), Err(OpenError::NoCredit));
    let keys = end.link.begin_duplex(1, 5, b"ab", 9, &mut out).unwrap();
    let id = end.link.id(keys.reader).unwrap();
    assert_eq!(out, chunk(Kind::Duplex, id).payload(b"ab").credit(9).partial(5).bytes());
    assert_eq!((end.link.outgoing_left(keys.reader), end.link.outgoing_left(keys.writer)), (3, 0));
    assert_eq!(end.link.continue_opening(keys.reader, b"c", &mut out), Err(OpenError::NoCredit));
    // The halves are there meanwhile.
    assert_eq!(end.feed(&chunk(Kind::InSink, id).payload(b"m").bytes()), [whole(keys.reader, What::Message, b"m")]);
    for (part, left) in [(b"c", 2), (b"d", 1), (b"e", 0)] {
        out.clear();
        end.feed(&chunk(Kind::InStream, 0).credit(1).bytes());
        end.link.continue_opening(keys.reader, part, &mut out).unwrap();
        assert_eq!(out, chunk(Kind::OutStream, id).payload(part).bytes());
        assert_eq!(end.link.outgoing_left(keys.reader), left);
    }
    // To end that half gives an opening up.
    let other = end.link.begin_duplex(1, 5, b"", 0, &mut out).unwrap();
    let id = end.link.id(other.reader).unwrap();
    assert!(end.link.end(other.reader, b""));
    assert_eq!(end.flush(), chunk(Kind::OutStream, id).end(b"").bytes());
}

#[test]
fn only_in_sink_0_and_in_stream_0_are_the_top_level() {
    let mut end = End::new();
    let request = end.peer_opens(&chunk(Kind::OutRequest, 0).payload(b"").bytes());
    let sink = end.peer_opens(&chunk(Kind::OutSink, 0).payload(b"").bytes());
    let stream = end.peer_opens(&chunk(Kind::OutStream, 0).payload(b"").bytes());
    assert_eq!(end.feed(&chunk(Kind::OutRequest, 0).credit(1).bytes()), [Seen::Credit(request, 1)]);
    assert_eq!(end.feed(&chunk(Kind::OutSink, 0).payload(b"").bytes()), [whole(sink, What::Message, b"")]);
    assert_eq!(end.feed(&chunk(Kind::OutStream, 0).ping().bytes()), [Seen::Ping(stream)]);
    assert_eq!(
        end.feed(&chunk(Kind::InSink, 0).payload(b"").bytes()),
        [whole(HalfKey::TOP_READER, What::Message, b"")]
    );
    assert_eq!(end.feed(&chunk(Kind::InStream, 0).ping().bytes()), [Seen::Ping(HalfKey::TOP_WRITER)]);
    assert_eq!(end.feed(&chunk(Kind::InStream, 0).bytes()), [Seen::Pong(HalfKey::TOP_WRITER)]);
    let mut end = End::new();
    let keys = end.peer_opens_duplex(&chunk(Kind::Duplex, 0).payload(b"").bytes());
    assert_eq!(end.feed(&chunk(Kind::OutSink, 0).payload(b"").bytes()), [whole(keys.reader, What::Message, b"")]);
}

#[test]
fn the_three_id_spaces_are_apart_and_a_duplex_is_in_two() {
    let mut end = End::new();
    let request = end.peer_opens(&chunk(Kind::OutRequest, 5).payload(b"").bytes());
    let keys = end.peer_opens_duplex(&chunk(Kind::Duplex, 5).payload(b"").bytes());
    assert_eq!(end.feed(&chunk(Kind::OutRequest, 5).ping().bytes()), [Seen::Ping(request)]);
    assert_eq!(end.feed(&chunk(Kind::OutSink, 5).ping().bytes()), [Seen::Ping(keys.reader)]);
    assert_eq!(end.feed(&chunk(Kind::OutStream, 5).ping().bytes()), [Seen::Ping(keys.writer)]);
    // A sink and a stream of one id are no duplex, and what we open is apart from what the peer opens.
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    let stream = end.peer_opens(&chunk(Kind::OutStream, 1).payload(b"").bytes());
    let ours = end.opens(Kind::OutSink, 0);
    assert_eq!(end.link.id(ours), Some(1));
    assert_eq!(end.feed(&chunk(Kind::OutSink, 1).ping().bytes()), [Seen::Ping(sink)]);
    assert_eq!(end.feed(&chunk(Kind::OutStream, 1).ping().bytes()), [Seen::Ping(stream)]);
    assert_eq!(end.feed(&chunk(Kind::InStream, 1).ping().bytes()), [Seen::Ping(ours)]);
}

#[test]
fn an_id_is_free_again_when_it_is_forgotten() {
    let mut end = End::new();
    let mut keys = vec![];
    for _ in 0..3 {
        for kind in [Kind::OutRequest, Kind::OutSink, Kind::OutStream] {
            let key = end.peer_opens(&chunk(kind, 300).payload(b"").bytes());
            assert!(!keys.contains(&key), "a key is never used again");
            keys.push(key);
            end.feed(&chunk(kind, 300).end(b"").bytes());
            end.flush();
            assert!(end.is_gone(key));
        }
        let duplex = end.peer_opens_duplex(&chunk(Kind::Duplex, 300).payload(b"").bytes());
        end.feed(&chunk(Kind::OutSink, 300).end(b"").bytes());
        end.flush();
        assert!(end.is_gone(duplex.reader) && !end.is_gone(duplex.writer));
        end.feed(&chunk(Kind::OutStream, 300).end(b"").bytes());
        end.flush();
        assert!(end.is_gone(duplex.writer));
        assert_eq!(end.link.peer_halves(), 0);
    }
}

#[test]
fn credit_may_come_and_go_in_single_bytes() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    for (at, &byte) in b"abc".iter().enumerate() {
        end.link.grant(sink, 1);
        assert_eq!(end.flush(), chunk(Kind::InStream, 1).credit(1).bytes());
        let part = chunk(Kind::OutSink, 1).payload(&[byte]);
        let seen = end.feed(&if at == 0 { part.partial(3).bytes() } else { part.bytes() });
        assert_eq!(seen, [some(sink, What::Message, 3, at == 0, at == 2, &[byte])]);
        assert_eq!(end.link.may_receive(sink), 0);
    }
}

#[test]
fn credit_reaches_its_very_end() {
    let mut end = End::new();
    let stream = end.peer_opens(&chunk(Kind::OutStream, 1).payload(b"").credit(u64::MAX).bytes());
    assert_eq!(end.link.may_send(stream), u64::MAX);
    let mut out = Vec::new();
    end.link.put_part(stream, u64::MAX, 1, &mut out);
    assert_eq!(end.feed(&chunk(Kind::OutStream, 1).credit(1).bytes()), [Seen::Credit(stream, 1)]);
    assert!(end.try_feed(&chunk(Kind::OutStream, 1).credit(1).bytes()).is_err());
}
