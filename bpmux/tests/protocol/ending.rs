//! "Ending": closes, cancels, acks and ends that cross.

use bpmux::{HalfKey, Kind, Over, What};
use oracle::wire::Chunk;

use crate::support::{End, Seen, cat, chunk, kind, some, whole};

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
    assert_eq!(end.flush(), chunk(Kind::OutRequest, id).ack_end().bytes());
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
    assert_eq!(end.flush(), cat(&[&pong.bytes(), &pong.clone().ack_end().bytes()]));
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
    let response = chunk(Kind::InRequest, id).payload(b"").credit(1).ping().bytes();
    assert_eq!(end.feed(&response), [Seen::Over(request, Over::Crossed)]);
    assert_eq!(end.flush(), chunk(Kind::OutRequest, id).ack_end().bytes());
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

/// A half in each role that we can have, with some credit for the peer's end payload and ours: the kind in which the
/// peer speaks of it, and the kind in which we do.
fn halves() -> Vec<(End, HalfKey, Chunk, Chunk)> {
    let mut halves = Vec::new();
    let pairs = [(Kind::OutRequest, Kind::InRequest), (Kind::OutSink, Kind::InStream), (Kind::OutStream, Kind::InSink)];
    for (out, inverted) in pairs {
        let mut end = End::new();
        let key = end.peer_opens(&chunk(out, 400).payload(b"").credit(10).bytes());
        end.link.grant(key, 10);
        end.flush();
        halves.push((end, key, chunk(out, 400), chunk(inverted, 400)));
        let mut end = End::new();
        let key = end.opens(out, 10);
        end.feed(&chunk(inverted, 1).credit(10).bytes());
        halves.push((end, key, chunk(inverted, 1), chunk(out, 1)));
    }
    halves
}

#[test]
fn the_peer_s_end_is_acked_and_forgotten() {
    for (mut end, key, theirs, ours) in halves() {
        assert_eq!(end.feed(&theirs.clone().end(b"bye").bytes()), [whole(key, What::End, b"bye")]);
        assert!(!end.link.is_open(key) && !end.is_gone(key));
        // Nothing that we say after that is written any more.
        end.link.grant(key, 1);
        end.link.ping(key);
        assert!(end.link.end(key, b"me too"));
        assert_eq!(end.flush(), ours.ack_end().bytes());
        assert!(end.is_gone(key));
        assert_eq!(end.link.peer_halves(), 0);
    }
}

#[test]
fn what_we_owe_is_dropped_with_the_peer_s_end() {
    for (mut end, key, theirs, ours) in halves() {
        end.link.grant(key, 1);
        end.link.ping(key);
        end.feed(&theirs.clone().end(b"").bytes());
        assert_eq!(end.flush(), ours.ack_end().bytes());
    }
}

#[test]
fn our_end_is_forgotten_at_the_ack_and_what_comes_before_is_dropped() {
    for (mut end, key, theirs, ours) in halves() {
        assert!(!end.link.end(key, b"eleven chars"), "an end payload needs credit");
        assert!(end.link.is_open(key));
        end.link.grant(key, 1);
        end.link.ping(key);
        assert!(end.link.end(key, b"bye"));
        assert!(end.link.end(key, b"never written"));
        assert_eq!(end.flush(), cat(&[&ours.clone().ping().bytes(), &ours.clone().end(b"bye").bytes()]));
        let late = cat(&[&theirs.clone().credit(1).ping().bytes(), &theirs.bytes()]);
        assert_eq!(end.feed(&late), []);
        if matches!(kind(theirs.kind), Kind::OutSink | Kind::InSink) {
            assert_eq!(end.feed(&theirs.clone().payload(b"late").partial(6).bytes()), []);
        }
        assert_eq!(end.flush(), []);
        assert_eq!(end.feed(&theirs.clone().ack_end().bytes()), [Seen::Over(key, Over::Acked)]);
        assert!(end.is_gone(key));
        assert_eq!(end.link.peer_halves(), 0);
    }
}

#[test]
fn a_message_that_is_dropped_is_told_of() {
    for (mut end, key, theirs, ours) in halves() {
        if !matches!(kind(theirs.kind), Kind::OutSink | Kind::InSink) {
            continue;
        }
        assert!(end.link.end(key, b""));
        for written in [false, true] {
            if written {
                assert_eq!(end.flush(), ours.clone().end(b"").bytes());
            }
            assert_eq!(end.feed(&theirs.clone().payload(b"").bytes()), [Seen::Missed(key)]);
            assert_eq!(end.feed(&theirs.clone().payload(b"ab").partial(3).bytes()), []);
            assert_eq!(end.feed(&theirs.clone().payload(b"c").ping().bytes()), [Seen::Missed(key)]);
        }
        // The last one, and the end that crosses ours, in one chunk.
        let seen = end.feed(&theirs.clone().payload(b"").end(b"").bytes());
        assert_eq!(seen, [Seen::Missed(key), Seen::Over(key, Over::Crossed)]);
    }
}

#[test]
fn ends_that_cross_are_not_acked() {
    for (mut end, key, theirs, ours) in halves() {
        assert!(end.link.end(key, b"ours"));
        assert_eq!(end.flush(), ours.end(b"ours").bytes());
        assert_eq!(end.feed(&theirs.clone().end(b"theirs").bytes()), [Seen::Over(key, Over::Crossed)]);
        assert!(end.is_gone(key));
        assert_eq!(end.flush(), []);
        assert!(end.try_feed(&theirs.ack_end().bytes()).is_err(), "there is nothing left to ack");
    }
}

#[test]
fn an_end_of_ours_that_is_not_written_gives_way_to_the_peer_s() {
    for (mut end, key, theirs, ours) in halves() {
        assert!(end.link.end(key, b"ours"));
        assert!(
            end.clone().try_feed(&theirs.clone().ack_end().bytes()).is_err(),
            "the peer cannot ack what it cannot know"
        );
        assert_eq!(end.feed(&theirs.clone().end(b"theirs").bytes()), [Seen::Over(key, Over::Crossed)]);
        assert_eq!(end.flush(), ours.ack_end().bytes());
        assert!(end.is_gone(key));
    }
}

#[test]
fn our_end_may_cross_a_partial_end() {
    for written_between in [false, true] {
        for (mut end, key, theirs, ours) in halves() {
            assert_eq!(
                end.feed(&theirs.clone().end(b"a").partial(3).bytes()),
                [some(key, What::End, 3, true, false, b"a")]
            );
            assert!(end.link.is_open(key), "the end takes effect with its last part");
            assert!(end.link.end(key, b""));
            let first = if written_between { end.flush() } else { vec![] };
            assert_eq!(end.feed(&theirs.clone().end(b"bc").bytes()), [Seen::Over(key, Over::Crossed)]);
            let out = cat(&[&first, &end.flush()]);
            assert_eq!(out, if written_between { ours.end(b"").bytes() } else { ours.ack_end().bytes() });
            assert!(end.is_gone(key));
        }
    }
}

#[test]
fn a_response_is_the_responder_s_end() {
    // The peer's: acked.
    let mut end = End::new();
    let request = end.opens(Kind::OutRequest, 5);
    assert_eq!(
        end.feed(&chunk(Kind::InRequest, 1).payload(b"hello").bytes()),
        [whole(request, What::Message, b"hello")]
    );
    assert!(!end.link.is_open(request));
    assert_eq!(end.flush(), chunk(Kind::OutRequest, 1).ack_end().bytes());
    assert!(end.is_gone(request));

    // Ours: forgotten with the ack, or with a cancel that crosses it.
    let answers =
        [(chunk(Kind::OutRequest, 1).ack_end(), Over::Acked), (chunk(Kind::OutRequest, 1).end(b""), Over::Crossed)];
    for (answer, over) in answers {
        let mut end = End::new();
        let request = end.peer_opens(&chunk(Kind::OutRequest, 1).payload(b"").credit(5).bytes());
        let mut out = Vec::new();
        end.link.put_part(request, 5, 2, &mut out);
        assert!(end.link.is_open(request));
        assert_eq!(cat(&[&out, b"he"]), chunk(Kind::InRequest, 1).payload(b"he").partial(5).bytes());
        out.clear();
        end.link.put_part(request, 5, 3, &mut out);
        assert_eq!(cat(&[&out, b"llo"]), chunk(Kind::InRequest, 1).payload(b"llo").bytes());
        assert!(!end.link.is_open(request));
        assert_eq!(end.flush(), []);
        assert_eq!(end.feed(&chunk(Kind::OutRequest, 1).credit(3).ping().bytes()), []);
        assert_eq!(end.feed(&answer.bytes()), [Seen::Over(request, over)]);
        assert!(end.is_gone(request));
    }
}

#[test]
fn a_response_may_cross_our_cancel() {
    let mut end = End::new();
    let request = end.opens(Kind::OutRequest, 5);
    assert!(end.link.end(request, b""));
    end.flush();
    assert_eq!(end.feed(&chunk(Kind::InRequest, 1).payload(b"he").partial(5).bytes()), []);
    let rest = chunk(Kind::InRequest, 1).payload(b"llo").credit(1).ping().bytes();
    assert_eq!(end.feed(&rest), [Seen::Over(request, Over::Crossed)]);
    assert!(end.is_gone(request));
    assert_eq!(end.flush(), []);
}

#[test]
fn the_halves_of_a_duplex_end_one_by_one() {
    let mut end = End::new();
    let keys = end.peer_opens_duplex(&chunk(Kind::Duplex, 1).payload(b"").bytes());
    assert!(end.link.end(keys.reader, b""));
    assert_eq!(end.flush(), chunk(Kind::InStream, 1).end(b"").bytes());
    assert!(end.link.is_open(keys.writer));
    assert_eq!(end.feed(&chunk(Kind::OutSink, 1).ack_end().bytes()), [Seen::Over(keys.reader, Over::Acked)]);
    assert!(end.is_gone(keys.reader));
    assert_eq!(end.feed(&chunk(Kind::OutStream, 1).credit(4).bytes()), [Seen::Credit(keys.writer, 4)]);
    end.feed(&chunk(Kind::OutStream, 1).end(b"").bytes());
    assert_eq!(end.flush(), chunk(Kind::InSink, 1).ack_end().bytes());
    assert_eq!(end.link.peer_halves(), 0);
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
