//! "Then messages, credit, pings and pongs are relayed both ways, each message with its boundaries; parts may be cut
//! differently."

use Kind::{InSink, InStream, OutSink, OutStream};
use tests::audit::What;
use tests::pair::{Pair, connect};
use tests::peer::Pace;
use tests::wire::{Chunk, Kind, in_sink, in_stream, join, out_sink, out_stream};

use super::{pairs, rows};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// "Each message with its boundaries": empty, of one byte, and around every change of the length's form.
#[test]
fn boundaries() {
    pairs(|bus, mut pair| {
        for length in [0, 1, 0, 2, 247, 248, 249, 255, 256, 257, 1000] {
            pair.forth().carry(&pattern(length), bus.step());
            pair.back().carry(&pattern(length), bus.step());
        }
        pair.quiet();
    });
}

/// Large messages, in parts as credit allows, while credit is a small part of them.
#[test]
fn large_messages() {
    pairs(|bus, mut pair| {
        for length in [bus.size(65_535, 3000), bus.size(65_536, 2000), bus.size(1_000_000, 1500)] {
            pair.forth().carry(&pattern(length), bus.step().max(length as u64 / 100));
            pair.back().carry(&pattern(length), bus.step().max(length as u64 / 100));
        }
        pair.quiet();
    });
}

/// "Credit must be accepted, and payloads may arrive, in any portion down to single bytes."
#[test]
fn one_byte_of_credit_at_a_time() {
    pairs(|_, mut pair| {
        pair.forth().carry(&pattern(400), 1);
        pair.back().carry(&pattern(400), 1);
        pair.quiet();
    });
}

/// Many messages in one write keep their order and their boundaries.
#[test]
fn a_burst() {
    pairs(|_, mut pair| {
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        pair.b.give(InStream, at_b, 4000);
        pair.a.wait_credit(OutSink, at_a, 40);
        let mut left = pair.a.credit(OutSink, at_a) as usize;
        let mut messages = Vec::new();
        for number in 0_u8.. {
            let message = vec![number; usize::from(number) % 7];
            let Some(rest) = left.checked_sub(message.len()).filter(|_| number < 200) else { break };
            left = rest;
            messages.push(message);
        }
        let chunks: Vec<Chunk> = messages.iter().map(|message| out_sink(at_a).payload(message)).collect();
        pair.a.send_bytes(&join(&chunks));
        for message in messages {
            pair.b.expect(OutSink, at_b, &What::Message(message));
        }
        pair.quiet();
    });
}

/// A partial message whose parts come one by one, with a Partial that is not needed, with empty parts, and with what is
/// no payload in between.
#[test]
fn cut_into_parts() {
    pairs(|_, mut pair| {
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        pair.b.give(InStream, at_b, 100);
        pair.a.wait_credit(OutSink, at_a, 15);
        let part = |bytes: &[u8]| out_sink(at_a).payload(bytes);
        let ways: [&[Chunk]; 4] = [
            &[part(b"hello").partial(5)],
            &[part(b"h").partial(5), part(b"e"), part(b"l"), part(b"l"), part(b"o")],
            &[part(b"").partial(5), part(b"hell"), part(b""), part(b"o")],
            &[part(b"he").partial(5), out_sink(at_a).credit(1), in_stream(0).credit(1), part(b"llo").credit(1)],
        ];
        for chunks in ways {
            pair.a.wait_credit(OutSink, at_a, 5);
            pair.a.send_all(chunks);
            pair.b.expect(OutSink, at_b, &What::Message(b"hello".to_vec()));
        }
        pair.quiet();
    });
}

/// "Parts of other halves may come between": three halves of one plugin, by turns.
#[test]
fn interleaved_parts() {
    pairs(|bus, mut pair| {
        let mut c = bus.plugin("c");
        pair.a.wait_listed(c.name());
        let at_c = connect(&mut pair.a, 9, &mut c);
        for id in [pair.at_a, 9] {
            pair.a.wait_credit(OutSink, id, 3);
            pair.a.send(&out_sink(id).payload([id as u8]).partial(3));
        }
        pair.a.send(&in_sink(0).payload([1]).partial(3));
        for id in [9, pair.at_a] {
            pair.a.send(&out_sink(id).payload([id as u8, 0]));
        }
        pair.b.expect(OutSink, pair.at_b, &What::Message(vec![pair.at_a as u8, pair.at_a as u8, 0]));
        c.expect(OutSink, at_c, &What::Message(vec![9, 9, 0]));
        pair.a.send(&in_sink(0).payload([2, 3]));
        pair.quiet();
        c.quiet();
    });
}

/// "`111xxLLL` (x ignored)", totals of every width, and "nobody may allocate `total` in advance": the message is given up.
#[test]
fn partial_totals() {
    rows(|bus| {
        for (ignored, total) in (0..8_u8).map(|width| ((width % 4) << 3, 0xFF_u64 << (8 * width))) {
            let mut pair = Pair::open(bus);
            pair.a.wait_credit(OutSink, pair.at_a, 1);
            let mut bytes = out_sink(pair.at_a).payload(b"x").partial(total).bytes();
            bytes[0] |= ignored;
            pair.a.send_bytes(&bytes);
            pair.a.fence();
            pair.a.end(OutSink, pair.at_a);
            pair.b.expect_end(OutSink, pair.at_b, &[0]);
            pair.quiet();
        }
    });
}

/// "Pings and pongs are relayed both ways": on each half, in each direction, and never answered by the server itself.
#[test]
fn pings() {
    pairs(|_, mut pair| {
        let (a, b) = (pair.at_a, pair.at_b);
        for _ in 0..2 {
            for (from, to) in [(OutSink, OutSink), (OutStream, OutStream)] {
                pair.a.send(&tests::wire::chunk(from, a).ping());
                pair.b.expect(to, b, &What::Ping);
                pair.quiet();
                pair.b.send(&tests::wire::chunk(to.inverted(b), b));
                pair.a.expect(from.inverted(a), a, &What::Pong);
            }
            for (from, to) in [(InSink, InSink), (InStream, InStream)] {
                pair.b.send(&tests::wire::chunk(from, b).ping());
                pair.a.expect(to, a, &What::Ping);
                pair.quiet();
                pair.a.send(&tests::wire::chunk(to.inverted(a), a));
                pair.b.expect(from.inverted(b), b, &What::Pong);
            }
        }
        pair.quiet();
    });
}

/// "Present fields stand in that order, and take effect in that order": all that one chunk can do.
#[test]
fn all_fields_in_one_chunk() {
    pairs(|_, mut pair| {
        let (a, b) = (pair.at_a, pair.at_b);
        pair.a.wait_credit(OutSink, a, 7);
        pair.a.send(&out_sink(a).payload(b"last").credit(8).ping().end(b"bye"));
        let order: Vec<What> = (0..2).map(|_| pair.b.next_on(OutSink, b)).filter(|what| *what != What::Ping).collect();
        assert_eq!(order[0], What::Message(b"last".to_vec()));
        let end = order.get(1).cloned().unwrap_or_else(|| pair.b.next_on(OutSink, b));
        assert_eq!(end, What::End(b"\0bye".to_vec()));
        pair.b.ack(OutSink, b);
        pair.a.expect(InStream, a, &What::AckEnd);

        pair.b.wait_credit(InSink, b, 2);
        pair.b.send(&in_sink(b).payload(b"x").ping());
        pair.a.expect(InSink, a, &What::Message(b"x".to_vec()));
        pair.a.expect(InSink, a, &What::Ping);
        pair.a.send(&out_stream(a));
        pair.b.expect(OutStream, b, &What::Pong);
        pair.quiet();
    });
}

/// "They take effect in that order": a ping behind a large payload, when nothing comes after it that would make the relay look.
#[test]
fn pings_behind_large_payloads() {
    const LARGE: usize = 40_000;
    rows(|bus| {
        if bus.row.pace != Pace::Whole {
            return;
        }
        let mut pair = Pair::open(bus);
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        pair.b.send_now(&in_stream(at_b).credit(1 << 30));
        for round in 1..=10 {
            let chunk = out_sink(at_a).payload(vec![round as u8; LARGE]).ping();
            let bytes = chunk.bytes();
            let (first, second) = bytes.split_at(LARGE / 2);
            // From the second round on the relay knows that large messages come, and does not read them any more.
            pair.a.wait_credit(OutSink, at_a, LARGE as u64);
            pair.a.book(&chunk);
            assert!(pair.a.pour(first));
            // What has come of it has left the relay.
            pair.b.wait_bytes(OutSink, at_b, ((round - 1) * LARGE + LARGE / 4) as u64);
            assert!(pair.a.pour(second));
            pair.b.expect(OutSink, at_b, &What::Message(vec![round as u8; LARGE]));
            pair.b.expect(OutSink, at_b, &What::Ping);
        }
    });
}
