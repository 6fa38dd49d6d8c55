//! "Violations end the connection at once": each alone, on a plugin that is fine until then and has a channel to
//! another, with two bystanders that must not notice.

use Kind::{Duplex, InRequest, InSink, InStream, OutRequest, OutSink, OutStream};
use tests::pair::{CREDIT, Pair};
use tests::peer::Peer;
use tests::wire::{
    Chunk, Kind, chunk, duplex, flag, in_request, in_sink, in_stream, join, out_request, out_sink, out_stream, tag,
    varu64, varu64_of_width,
};

use super::{Bystanders, rows};

/// The rule that is broken; what goes before, all of it right; and the bytes that break the rule, no more than that.
pub(super) struct Case(pub &'static str, pub fn(&mut Pair), pub fn(&Pair) -> Vec<u8>);

/// The initiator of a connection breaks the rules.
pub(super) fn check(cases: &[Case]) {
    check_side(cases, |pair| (&mut pair.a, &mut pair.b));
}

/// The acceptor does.
fn check_acceptor(cases: &[Case]) {
    check_side(cases, |pair| (&mut pair.b, &mut pair.a));
}

fn check_side(cases: &[Case], sides: fn(&mut Pair) -> (&mut Peer, &mut Peer)) {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for Case(rule, before, bad) in cases {
            let mut pair = Pair::open(bus);
            before(&mut pair);
            let bytes = bad(&pair);
            let (offender, other) = sides(&mut pair);
            offender.fence();
            offender.begin(rule);
            offender.send_bytes(&bytes);
            offender.closed();
            other.wait_gone(offender.name());
            bystanders.notice_nothing();
        }
    });
}

fn nothing(_: &mut Pair) {}

#[test]
fn more_payload_than_credit() {
    check(&[
        Case("a message beyond the credit", nothing, |pair| {
            out_sink(pair.at_a).payload([b'x'; CREDIT as usize + 1]).bytes()
        }),
        Case("a partial message beyond the credit", nothing, |pair| {
            out_sink(pair.at_a).payload([b'x'; CREDIT as usize + 1]).partial(1000).bytes()
        }),
        Case(
            "a second message beyond the credit",
            |pair| {
                pair.a.wait_credit(OutSink, pair.at_a, CREDIT);
                pair.a.send(&out_sink(pair.at_a).payload([b'x'; CREDIT as usize]));
            },
            |pair| out_sink(pair.at_a).payload(b"x").bytes(),
        ),
        Case("a close payload beyond the credit", nothing, |pair| {
            out_sink(pair.at_a).end([b'x'; CREDIT as usize + 1]).bytes()
        }),
        Case("a cancel payload beyond the credit", nothing, |pair| {
            out_stream(pair.at_a).end([b'x'; CREDIT as usize + 1]).bytes()
        }),
        Case("a cancel payload on a request that has no credit", pending_request, |pair| {
            let granted = pair.a.credit(OutRequest, 3) as usize;
            out_request(3).end(vec![b'x'; granted + 1]).bytes()
        }),
    ]);
    check_acceptor(&[
        Case("a message beyond the credit", nothing, |pair| {
            in_sink(pair.at_b).payload([b'x'; CREDIT as usize + 1]).bytes()
        }),
        Case("a close payload beyond the credit", nothing, |pair| {
            in_sink(pair.at_b).end([b'x'; CREDIT as usize + 1]).bytes()
        }),
        Case("a cancel payload beyond the credit", nothing, |pair| {
            in_stream(pair.at_b).end([b'x'; CREDIT as usize + 1]).bytes()
        }),
    ]);
}

/// A request that waits for credit: there are others to be listed.
fn pending_request(pair: &mut Pair) {
    pair.a.send(&out_request(3).payload([]));
}

fn watch(pair: &mut Pair) {
    pair.a.send(&out_stream(3).payload([]));
}

#[test]
fn credit_above_its_largest_sum() {
    check(&[
        Case("on a reading half", nothing, |pair| out_stream(pair.at_a).credit(u64::MAX).bytes()),
        Case("on a writing half", nothing, |pair| out_sink(pair.at_a).credit(u64::MAX).bytes()),
        Case("on the top level", nothing, |_| in_stream(0).credit(u64::MAX).bytes()),
        Case("on a watch", watch, |_| join(&[out_stream(3).credit(u64::MAX), out_stream(3).credit(u64::MAX)])),
    ]);
    check_acceptor(&[
        Case("on a reading half", nothing, |pair| in_stream(pair.at_b).credit(u64::MAX).bytes()),
        Case("on a writing half", nothing, |pair| in_sink(pair.at_b).credit(u64::MAX).bytes()),
    ]);
}

/// "`In-*` with an id that is not open": each of the three types with each flag and without any.
#[test]
fn in_with_an_id_that_is_not_open() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for kind in [InRequest, InSink, InStream] {
            let bare = chunk(kind, 5);
            for bad in [
                bare.clone().payload([]),
                bare.clone().credit(1),
                bare.clone().ping(),
                bare.clone().end([]),
                bare.clone().ack_end(),
                bare,
            ] {
                let mut peer = bus.plugin("offender");
                peer.begin(&format!("not open: {bad}"));
                peer.send_now(&bad);
                peer.closed();
                bystanders.notice_nothing();
                bystanders.0.a.wait_gone(peer.name());
            }
        }
    });
}

/// "An opening without `payload`": each of the four types with each other flag and without any.
#[test]
fn an_opening_without_payload() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for kind in [OutRequest, OutSink, OutStream, Duplex] {
            let bare = chunk(kind, 5);
            for bad in [
                bare.clone().credit(1),
                bare.clone().ping(),
                bare.clone().end([]),
                bare.clone().ack_end(),
                bare.clone().end(b"x").partial(2),
                bare,
            ] {
                let mut peer = bus.plugin("offender");
                peer.begin(&format!("no payload: {bad}"));
                peer.send_now(&bad);
                peer.closed();
                bystanders.notice_nothing();
                bystanders.0.a.wait_gone(peer.name());
            }
        }
    });
}

#[test]
fn a_duplex_id_in_use() {
    check(&[
        Case("by a duplex", nothing, |pair| duplex(pair.at_a).payload(b"?").bytes()),
        Case("by a watch", watch, |_| duplex(3).payload(b"?").bytes()),
        Case(
            "by a sink that was cancelled and is not acked",
            |pair| pair.a.send(&out_sink(3).payload([])),
            |_| duplex(3).payload(b"?").bytes(),
        ),
        Case(
            "by a duplex that was refused and is not acked",
            |pair| pair.a.send(&duplex(3).payload(b"?")),
            |_| duplex(3).payload(b"?").bytes(),
        ),
    ]);
}

/// "`payload` on an existing `Out-Request` or `Out-Stream` may only continue a partial opening payload."
#[test]
fn a_payload_where_no_message_goes() {
    check(&[
        Case("on a pending request", pending_request, |_| out_request(3).payload([]).bytes()),
        Case("on a watch", watch, |_| out_stream(3).payload([]).bytes()),
        Case("on the reading half of a duplex", nothing, |pair| out_stream(pair.at_a).payload([]).bytes()),
    ]);
}

#[test]
fn after_ones_own_end() {
    check(&[
        Case("credit after close", nothing, |pair| join(&[out_sink(pair.at_a).end([]), out_sink(pair.at_a).credit(1)])),
        Case("ping after close", nothing, |pair| join(&[out_sink(pair.at_a).end([]), out_sink(pair.at_a).ping()])),
        Case("pong after close", nothing, |pair| join(&[out_sink(pair.at_a).end([]), out_sink(pair.at_a)])),
        Case("a second close", nothing, |pair| join(&[out_sink(pair.at_a).end([]), out_sink(pair.at_a).end([])])),
        Case("credit after cancel", nothing, |pair| {
            join(&[out_stream(pair.at_a).end([]), out_stream(pair.at_a).credit(1)])
        }),
        Case("a second cancel", nothing, |pair| join(&[out_stream(pair.at_a).end([]), out_stream(pair.at_a).end([])])),
        Case("credit after the cancel of a request", pending_request, |_| {
            join(&[out_request(3).end([]), out_request(3).credit(1)])
        }),
        Case("a second cancel of a request", pending_request, |_| {
            join(&[out_request(3).end([]), out_request(3).end([])])
        }),
        Case("ping after the cancel of a watch", watch, |_| join(&[out_stream(3).end([]), out_stream(3).ping()])),
    ]);
    check_acceptor(&[
        Case("a message after close", nothing, |pair| {
            join(&[in_sink(pair.at_b).end([]), in_sink(pair.at_b).payload([])])
        }),
        Case("a second close", nothing, |pair| join(&[in_sink(pair.at_b).end([]), in_sink(pair.at_b).end([])])),
        Case("credit after cancel", nothing, |pair| {
            join(&[in_stream(pair.at_b).end([]), in_stream(pair.at_b).credit(1)])
        }),
        Case("a second cancel", nothing, |pair| join(&[in_stream(pair.at_b).end([]), in_stream(pair.at_b).end([])])),
    ]);
}

#[test]
fn an_ack_without_an_end() {
    check(&[
        Case("on a writing half", nothing, |pair| out_sink(pair.at_a).ack_end().bytes()),
        Case("on a reading half", nothing, |pair| out_stream(pair.at_a).ack_end().bytes()),
        Case("on a pending request", pending_request, |_| out_request(3).ack_end().bytes()),
        Case("on a watch", watch, |_| out_stream(3).ack_end().bytes()),
        Case("on the top level", nothing, |_| in_stream(0).ack_end().bytes()),
        Case("on the other top level", nothing, |_| in_sink(0).ack_end().bytes()),
        Case("a second ack", declined_request, |_| join(&[out_request(4).ack_end(), out_request(4).ack_end()])),
    ]);
    check_acceptor(&[
        Case("on a writing half", nothing, |pair| in_sink(pair.at_b).ack_end().bytes()),
        Case("on a reading half", nothing, |pair| in_stream(pair.at_b).ack_end().bytes()),
    ]);
}

/// A request that the server has ended, so that it awaits the ack.
fn declined_request(pair: &mut Pair) {
    pair.a.send(&out_request(4).payload(b"?"));
}

/// A duplex of which the server has ended both halves.
fn refused_duplex(pair: &mut Pair) {
    pair.a.send(&duplex(4).payload(b"?"));
}

/// "Any other flag beside `ack-end`."
#[test]
fn flags_beside_an_ack() {
    check(&[
        Case("a payload", refused_duplex, |_| out_sink(4).payload([]).ack_end().bytes()),
        Case("credit", declined_request, |_| out_request(4).credit(1).ack_end().bytes()),
        Case("a ping", declined_request, |_| out_request(4).ping().ack_end().bytes()),
        Case("an end", declined_request, |_| out_request(4).end([]).ack_end().bytes()),
        Case("credit on a stream", refused_duplex, |_| out_stream(4).credit(1).ack_end().bytes()),
        Case("a ping on a sink", refused_duplex, |_| out_sink(4).ping().ack_end().bytes()),
        Case("an end on a stream", refused_duplex, |_| out_stream(4).end([]).ack_end().bytes()),
    ]);
}

/// "Only the shortest form is valid": each field with the largest number that a form of one byte less can hold.
#[test]
fn varu64_not_in_the_shortest_form() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for width in 1..=8 {
            let number = if width == 1 { 247 } else { u64::MAX >> (8 * (9 - width)) };
            for value in [0, number] {
                let long = varu64_of_width(value, width);
                let head = |kind, flags| vec![tag(kind, flags)];
                for bad in [
                    [head(OutRequest, flag::PAYLOAD), long.clone(), varu64(0)].concat(),
                    [head(InStream, flag::CREDIT), varu64(0), long.clone()].concat(),
                    [head(OutRequest, flag::PAYLOAD), varu64(5), varu64_of_width(0, width)].concat(),
                    [head(InSink, flag::END), varu64(0), varu64_of_width(0, width)].concat(),
                ] {
                    let mut peer = bus.plugin("offender");
                    peer.begin(&format!("{value} in {width} bytes and the first"));
                    peer.send_bytes(&bad);
                    peer.closed();
                    bystanders.0.a.wait_gone(peer.name());
                }
            }
            bystanders.notice_nothing();
        }
    });
}

/// Before its end a plugin is told why, in UTF-8, or nothing; and everything it sends behind the violation is lost.
#[test]
fn what_follows_a_violation_is_not_read() {
    rows(|bus| {
        let mut observer = bus.plugin("observer");
        let mut peer = bus.plugin("offender");
        let behind: [Chunk; 2] =
            [duplex(5).payload(tests::peer::connect_to(observer.name())), out_request(6).payload([]).credit(1 << 20)];
        peer.send_bytes(&join(&[&[in_request(1).payload([])][..], &behind].concat()));
        peer.closed();
        observer.wait_gone(peer.name());
        observer.quiet();
    });
}
