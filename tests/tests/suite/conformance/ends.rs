//! "A half that one plugin ends is ended towards the other with `0x00` + its end payload", and what stands under
//! *Ending* for each half by itself.

use Kind::{InSink, InStream, OutSink, OutStream};
use tests::audit::What;
use tests::bus::{Bus, FEW_ROWS, PATIENT, private};
use tests::pair::Pair;
use tests::peer::{Peer, connect_to};
use tests::wire::{Chunk, Kind, chunk, duplex, in_sink, in_stream, out_sink, out_stream};

use super::{pairs, rows};
use crate::DAEMON;

/// The four ways to end a half of a channel: who ends it, as what, and how the other is told.
#[derive(Clone, Copy)]
enum Side {
    A,
    B,
}

const ENDS: [(Side, Kind, Kind); 4] = [
    (Side::A, OutSink, OutSink),
    (Side::A, OutStream, OutStream),
    (Side::B, InSink, InSink),
    (Side::B, InStream, InStream),
];

/// Who ends, its id, and who is told, and its id.
fn sides(pair: &mut Pair, side: Side) -> (&mut Peer, u64, &mut Peer, u64) {
    match side {
        Side::A => (&mut pair.a, pair.at_a, &mut pair.b, pair.at_b),
        Side::B => (&mut pair.b, pair.at_b, &mut pair.a, pair.at_a),
    }
}

/// Close and cancel, from either side, with payloads; the other half goes on.
#[test]
fn with_its_payload() {
    rows(|bus| {
        for (side, kind, told) in ENDS {
            for payload in [&b""[..], b"x", b"because of this"] {
                let mut pair = Pair::open(bus);
                let (from, id, to, other) = sides(&mut pair, side);
                from.wait_credit(kind, id, payload.len() as u64);
                from.send(&chunk(kind, id).end(payload));
                from.expect(kind.inverted(id), id, &What::AckEnd);
                to.expect_end(told, other, &[&[0], payload].concat());
                if matches!(kind, OutSink | InStream) {
                    pair.back().carry(b"the other half goes on", bus.step());
                } else {
                    pair.forth().carry(b"the other half goes on", bus.step());
                }
                pair.quiet();
            }
        }
    });
}

/// An end payload in parts of one byte.
#[test]
fn payload_in_parts() {
    rows(|bus| {
        for (side, kind, told) in ENDS {
            let mut pair = Pair::open(bus);
            let (from, id, to, other) = sides(&mut pair, side);
            from.wait_credit(kind, id, 3);
            from.send_all(&[
                chunk(kind, id).end(b"b").partial(3),
                chunk(kind, id).end(b""),
                chunk(kind, id).end(b"y"),
                chunk(kind, id).end(b"e"),
            ]);
            from.expect(kind.inverted(id), id, &What::AckEnd);
            to.expect_end(told, other, b"\0bye");
            pair.quiet();
        }
    });
}

/// What was sent before a close arrives before it.
#[test]
fn close_behind_messages() {
    pairs(|_, mut pair| {
        let (a, b) = (pair.at_a, pair.at_b);
        pair.a.wait_credit(OutSink, a, 6);
        pair.a.send_all(&[
            out_sink(a).payload(b"1"),
            out_sink(a).payload(b""),
            out_sink(a).payload(b"22"),
            out_sink(a).payload(b"3").end(b"!!"),
        ]);
        for message in [&b"1"[..], b"", b"22", b"3"] {
            pair.b.expect(OutSink, b, &What::Message(message.to_vec()));
        }
        pair.b.expect_end(OutSink, b, b"\0!!");
        pair.a.expect(InStream, a, &What::AckEnd);
        pair.quiet();
    });
}

/// "An `end` without a Partial before it on a half whose message is incomplete gives that message up."
#[test]
fn close_in_mid_message() {
    rows(|bus| {
        for end in [&b""[..], b"oops"] {
            let mut pair = Pair::open(bus);
            let (a, b) = (pair.at_a, pair.at_b);
            pair.a.wait_credit(OutSink, a, 7);
            pair.a.send_all(&[out_sink(a).payload(b"abc").partial(10), out_sink(a).end(end)]);
            pair.b.expect_end(OutSink, b, &[b"\0", end].concat());
            pair.a.expect(InStream, a, &What::AckEnd);
            pair.quiet();
        }
    });
}

/// A reader that cancels in mid-message: the writer is told, and what it still sends is dropped until it acks.
#[test]
fn cancel_in_mid_message() {
    pairs(|bus, mut pair| {
        let (a, b) = (pair.at_a, pair.at_b);
        pair.a.wait_credit(OutSink, a, 6);
        pair.a.send(&out_sink(a).payload(b"abc").partial(10));
        pair.a.fence();
        pair.b.end(InStream, b);
        pair.a.expect(InStream, a, &What::End(vec![0]));
        pair.a.send_all(&[out_sink(a).payload(b"d"), out_sink(a).ping(), out_sink(a).credit(1), out_sink(a).ack_end()]);
        pair.a.quiet();
        pair.back().carry(b"the other half goes on", bus.step());
        pair.quiet();
    });
}

/// "Or at the peer's own `end` (they crossed: no acks then)": both ends of each half at once.
#[test]
fn crossing() {
    rows(|bus| {
        for _ in 0..3 {
            let mut pair = Pair::open(bus);
            let (a, b) = (pair.at_a, pair.at_b);
            pair.a.send_all(&[out_sink(a).end([]), out_stream(a).end([])]);
            pair.b.send_all(&[in_stream(b).end([]), in_sink(b).end([])]);
            for (peer, id, kinds) in [(&mut pair.a, a, [InStream, InSink]), (&mut pair.b, b, [OutSink, OutStream])] {
                for kind in kinds {
                    let outcome = peer.next_on(kind, id);
                    assert!(matches!(&outcome, What::AckEnd | What::End(_)), "{outcome:?}");
                }
            }
            pair.quiet();
        }
    });
}

/// "Whoever has sent `end` ... until then it accepts and drops what still arrives", and "a ping on a half that the
/// receiver has ended is ignored": on a duplex that the server has refused.
#[test]
fn until_the_ack_all_is_dropped() {
    rows(|bus| {
        let mut a = bus.plugin("a");
        for _ in 0..2 {
            a.send(&duplex(3).payload(b"?"));
            a.expect(InSink, 3, &What::End(Vec::new()));
            a.expect(InStream, 3, &What::End(Vec::new()));
            a.send_all(&[
                out_sink(3).payload([]),
                out_sink(3).credit(5).ping(),
                out_sink(3),
                out_stream(3).credit(5),
                out_stream(3).ping(),
                out_stream(3),
            ]);
            a.quiet();
            a.send_all(&[out_sink(3).ack_end(), out_stream(3).ack_end()]);
        }
        a.quiet();
    });
}

/// An end that crosses the server's refusal is its own ack: the id is free.
#[test]
fn crossing_a_refusal() {
    rows(|bus| {
        let mut a = bus.plugin("a");
        for _ in 0..3 {
            a.send_all(&[duplex(3).payload(b"?").end([]), out_sink(3).end([])]);
            for kind in [InSink, InStream] {
                let outcome = a.next_on(kind, 3);
                assert!(matches!(outcome, What::AckEnd | What::End(_)), "{outcome:?}");
            }
        }
        a.quiet();
    });
}

/// One half is ended by its writer while the other is by its reader: the channel is over, and may be made again with
/// the same id.
#[test]
fn the_id_is_free_when_both_halves_are_over() {
    pairs(|bus, mut pair| {
        pair.exchange("first", bus.step());
        pair.finish();
        pair.quiet();
        pair.a.send(&duplex(pair.at_a).payload(b"?"));
        pair.a.refused(pair.at_a, &[]);
    });
}

/// Where there is no credit for an end payload the server waits, and sends it when credit comes.
#[test]
fn an_end_payload_waits_for_credit() {
    rows(|bus| {
        let mut a = bus.plugin("a");
        a.send(&duplex(3).payload(connect_to(&bus.name("absent"))));
        a.quiet();
        a.send(&out_stream(3).credit(1));
        a.expect_end(InSink, 3, &[1]);
        a.quiet();
        a.send(&out_sink(3).credit(1));
        a.expect_end(InStream, 3, &[1]);

        let mut pair = Pair::open(bus);
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        pair.forth().use_up(tests::pair::CREDIT);
        pair.a.end(OutSink, at_a);
        pair.quiet();
        pair.b.give(InStream, at_b, 1);
        pair.b.expect_end(OutSink, at_b, &[0]);
        pair.quiet();
    });
}

/// "Where a plugin left no credit for an end payload that the server owes it, the server waits `end_credit_timeout`, then
/// ends with an empty payload."
#[test]
fn end_credit_timeout() {
    let config = PATIENT.replace("end_credit_timeout_ms = 60000", "end_credit_timeout_ms = 100");
    private(DAEMON, &config, &FEW_ROWS, |bus: &Bus| {
        let mut a = bus.plugin("refused");
        a.send(&duplex(3).payload(connect_to(&bus.name("absent"))));
        a.refused(3, &[]);

        let mut pair = Pair::open(bus);
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        pair.forth().use_up(tests::pair::CREDIT);
        pair.a.end(OutSink, at_a);
        pair.b.expect_end(OutSink, at_b, &[]);
        pair.back().carry(b"the other half goes on", bus.step());
        pair.quiet();
    });
}

/// An end of a pair, and whether it is `a` that sends it.
type End = fn(&Pair) -> (bool, Chunk);

/// Ends are independent: any order of the four ends of two halves finishes the channel.
#[test]
fn every_order() {
    rows(|bus| {
        let first: [End; 2] =
            [|pair| (true, out_sink(pair.at_a).end([])), |pair| (false, in_stream(pair.at_b).end([]))];
        let second: [End; 2] =
            [|pair| (true, out_stream(pair.at_a).end([])), |pair| (false, in_sink(pair.at_b).end([]))];
        for (one, other) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut pair = Pair::open(bus);
            for (by_a, end) in [first[one](&pair), second[other](&pair)] {
                let (at_a, at_b) = (pair.at_a, pair.at_b);
                let (from, to, id) =
                    if by_a { (&mut pair.a, &mut pair.b, at_b) } else { (&mut pair.b, &mut pair.a, at_a) };
                from.send(&end);
                from.expect(end.kind.inverted(end.id), end.id, &What::AckEnd);
                to.expect_end(end.kind, id, &[0]);
            }
            pair.quiet();
            let mut a = pair.a;
            a.send(&in_sink(0).payload(b"ignored"));
            a.quiet();
        }
    });
}
