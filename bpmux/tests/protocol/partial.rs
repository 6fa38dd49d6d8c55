//! "Partial": payloads in parts.

use bpmux::{HalfKey, Kind, Limits, Opened, Over, What};

use crate::support::{End, LIMITS, Seen, cat, chunk, some, whole};

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
#[test]
fn an_empty_part_is_no_piece() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.grant(sink, 10);
    let message = chunk(Kind::OutSink, 1);
    let parts = cat(&[
        &message.clone().payload(b"").partial(2).bytes(),
        &message.clone().payload(b"").bytes(),
        &message.payload(b"ab").bytes(),
    ]);
    assert_eq!(end.feed(&parts), [whole(sink, What::Message, b"ab")]);
    let close = chunk(Kind::OutSink, 1);
    let parts =
        cat(&[&close.clone().end(b"").partial(2).bytes(), &close.clone().end(b"").bytes(), &close.end(b"cd").bytes()]);
    assert_eq!(end.feed(&parts), [whole(sink, What::End, b"cd")]);
}

#[test]
fn the_opening_of_each_kind_may_come_in_parts_with_others_between() {
    for kind in [Kind::OutRequest, Kind::OutSink, Kind::OutStream, Kind::Duplex] {
        let mut end = End::new();
        let other = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
        end.link.grant(other, 10);
        // That of a duplex is continued on Out-Stream.
        let rest = if kind == Kind::Duplex { Kind::OutStream } else { kind };
        let seen = end.feed(&chunk(kind, 9).payload(b"ab").partial(6).bytes());
        let (Seen::Opened(opened), Seen::Payload { key, .. }) = (&seen[0], &seen[1]) else { panic!("{seen:?}") };
        assert_eq!(seen[1..], [some(*key, What::Opening, 6, true, false, b"ab")]);
        assert_eq!(
            end.feed(&chunk(Kind::OutSink, 1).payload(b"x").partial(2).bytes()),
            [some(other, What::Message, 2, true, false, b"x")]
        );
        assert_eq!(
            end.feed(&chunk(rest, 9).payload(b"c").credit(3).ping().bytes()),
            [some(*key, What::Opening, 6, false, false, b"c"), Seen::Credit(*key, 3), Seen::Ping(*key)]
        );
        assert_eq!(
            end.feed(&chunk(Kind::OutSink, 1).payload(b"y").bytes()),
            [some(other, What::Message, 2, false, true, b"y")]
        );
        if let Opened::Duplex(keys) = opened {
            // The opener may write on at once.
            assert_eq!(
                end.feed(&chunk(Kind::OutSink, 9).payload(b"").bytes()),
                [whole(keys.reader, What::Message, b"")]
            );
        }
        assert_eq!(
            end.feed(&chunk(rest, 9).payload(b"def").bytes()),
            [some(*key, What::Opening, 6, false, true, b"def")]
        );
    }
}

#[test]
fn messages_responses_and_ends_may_come_in_parts() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    let request = end.opens(Kind::OutRequest, 10);
    end.link.grant(sink, 20);
    let payloads = [
        (HalfKey::TOP_READER, chunk(Kind::InSink, 0), What::Message),
        (sink, chunk(Kind::OutSink, 1), What::Message),
        (request, chunk(Kind::InRequest, 1), What::Message),
        (sink, chunk(Kind::OutSink, 1), What::End),
        (HalfKey::TOP_READER, chunk(Kind::InSink, 0), What::End),
    ];
    for (key, half, what) in payloads {
        let part = |bytes: &[u8]| match what {
            What::End => half.clone().end(bytes),
            _ => half.clone().payload(bytes),
        };
        assert_eq!(end.feed(&part(b"ab").partial(5).bytes()), [some(key, what, 5, true, false, b"ab")]);
        assert_eq!(end.feed(&half.clone().ping().bytes()), [Seen::Ping(key)]);
        assert_eq!(end.feed(&part(b"c").bytes()), [some(key, what, 5, false, false, b"c")]);
        assert_eq!(end.feed(&part(b"de").bytes()), [some(key, what, 5, false, true, b"de")]);
        assert_eq!(end.link.is_open(key), what == What::Message && key != request);
    }
}

#[test]
fn a_partial_may_be_of_one_part() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"hi").partial(2).bytes());
    end.link.grant(sink, 9);
    let whole_in_one = cat(&[
        &chunk(Kind::OutSink, 1).payload(b"abc").partial(3).bytes(),
        &chunk(Kind::OutSink, 1).end(b"d").partial(1).bytes(),
    ]);
    assert_eq!(end.feed(&whole_in_one), [whole(sink, What::Message, b"abc"), whole(sink, What::End, b"d")]);
}

#[test]
fn a_message_and_an_end_may_share_a_chunk() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.grant(sink, 9);
    let message = chunk(Kind::OutSink, 1).payload(b"bc").end(b"x").bytes();
    assert_eq!(
        end.feed(&cat(&[&chunk(Kind::OutSink, 1).payload(b"a").partial(3).bytes(), &message])),
        [some(sink, What::Message, 3, true, true, b"abc"), whole(sink, What::End, b"x")]
    );
}

#[test]
fn an_end_gives_up_what_is_incomplete() {
    // A message; an opening, of which the first part may stand in the very chunk; a response.
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.grant(sink, 9);
    end.feed(&chunk(Kind::OutSink, 1).payload(b"ab").partial(5).bytes());
    assert_eq!(end.feed(&chunk(Kind::OutSink, 1).end(b"why").bytes()), [whole(sink, What::End, b"why")]);
    assert_eq!(end.flush(), chunk(Kind::InStream, 1).ack_end().bytes());

    let mut end = End::new();
    let seen = end.feed(&chunk(Kind::OutStream, 1).payload(b"ab").end(b"").partial(5).bytes());
    let Seen::Opened(Opened::Stream(stream)) = seen[0] else { panic!("{seen:?}") };
    assert_eq!(seen[1..], [some(stream, What::Opening, 5, true, false, b"ab"), whole(stream, What::End, b"")]);
    end.flush();
    assert!(end.is_gone(stream));

    let mut end = End::new();
    let request = end.opens(Kind::OutRequest, 9);
    end.feed(&chunk(Kind::InRequest, 1).payload(b"ab").partial(5).bytes());
    assert_eq!(end.feed(&chunk(Kind::InRequest, 1).end(b"").bytes()), [whole(request, What::End, b"")]);
}

#[test]
fn the_total_costs_nothing_until_its_bytes_come() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.grant(sink, 1);
    assert_eq!(
        end.feed(&chunk(Kind::OutSink, 1).payload(b"a").partial(u64::MAX).bytes()),
        [some(sink, What::Message, u64::MAX, true, false, b"a")]
    );
    assert_eq!(end.link.may_receive(sink), 0);
}

#[test]
fn what_may_come_counts_what_is_announced_and_paid_for() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.grant(sink, 100);
    let message = chunk(Kind::OutSink, 1).payload(&[7; 60]).end(&[8; 10]).bytes();
    // A head of three bytes, and twenty of the payload.
    end.feed(&message[..23]);
    assert_eq!((end.link.may_receive(sink), end.link.may_come(sink)), (40, 80));
    end.feed(&message[23..message.len() - 1]);
    assert_eq!((end.link.may_receive(sink), end.link.may_come(sink)), (30, 31));
    end.feed(&message[message.len() - 1..]);
    assert_eq!(end.link.may_come(sink), 30);

    let other = end.peer_opens(&chunk(Kind::OutSink, 2).payload(b"").bytes());
    end.link.grant(other, 100);
    end.try_feed(&chunk(Kind::OutSink, 2).payload(&[7; 101]).bytes()).unwrap_err();
    assert_eq!(end.link.may_come(other), 100, "what is not paid for does not count");
}
