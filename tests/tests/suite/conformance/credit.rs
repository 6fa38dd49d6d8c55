//! "A payload byte may only be sent against credit", "The server may hold credit back, never invent it", and the memory
//! that credit stands for.

use Kind::{InSink, InStream, OutSink, OutStream};
use tests::audit::What;
use tests::bus::{FEW_ROWS, PATIENT, private};
use tests::pair::{CREDIT, Pair, answer, dial_again, outcome, quiet};
use tests::peer::{connect_to, entry};
use tests::wire::{Kind, duplex, in_sink, in_stream, out_request, out_sink, out_stream};

use super::{pairs, rows, twos};
use crate::DAEMON;

/// "Never invent it": what a writer gets never exceeds what the reader has given; and all of it comes, in the end.
#[test]
fn never_invented_and_never_lost() {
    pairs(|_, mut pair| {
        let mut given = CREDIT;
        for amount in [1, 2, 30, 0, 300] {
            pair.b.give(InStream, pair.at_b, amount);
            pair.a.give(OutStream, pair.at_a, amount);
            given += amount;
            pair.quiet();
            assert!(pair.a.credit_total(OutSink, pair.at_a) <= given.into());
            assert!(pair.b.credit_total(InSink, pair.at_b) <= given.into());
        }
        pair.forth().use_up(given);
        pair.back().use_up(given);
        pair.quiet();
        assert_eq!(pair.a.credit_total(OutSink, pair.at_a), given.into());
        assert_eq!(pair.b.credit_total(InSink, pair.at_b), given.into());
    });
}

/// Without credit from the reader the writer gets none, however long it waits; empty messages need none.
#[test]
fn none_without_the_readers() {
    twos(|_, mut a, mut b| {
        a.send(&duplex(1).payload(connect_to(b.name())));
        let (id, _) = b.offer();
        b.accept(id);
        a.expect(InSink, 1, &What::Message(Vec::new()));
        for _ in 0..3 {
            a.send(&out_sink(1).payload([]));
            b.expect(OutSink, id, &What::Message(Vec::new()));
            b.send(&in_sink(id).payload([]));
            a.expect(InSink, 1, &What::Message(Vec::new()));
        }
        quiet(&mut a, &mut b);
        assert_eq!(a.credit_total(OutSink, 1) + a.credit_total(OutStream, 1), 0);
        assert_eq!(b.credit_total(InSink, id) + b.credit_total(InStream, id), 0);
    });
}

/// "Credit for cancel payloads is relayed too, up to 1024 bytes outstanding."
#[test]
fn credit_for_cancel_payloads() {
    pairs(|_, mut pair| {
        pair.a.wait_credit(OutStream, pair.at_a, 1);
        pair.b.wait_credit(InStream, pair.at_b, 1);
        for _ in 0..4 {
            pair.a.give(OutSink, pair.at_a, 1000);
            pair.b.give(InSink, pair.at_b, 1000);
            pair.quiet();
        }
        assert!(pair.b.credit(InStream, pair.at_b) <= 1024);
        assert!(pair.a.credit(OutStream, pair.at_a) <= 1024);
        pair.a.wait_credit(OutStream, pair.at_a, 3);
        pair.a.send(&out_stream(pair.at_a).end(b"why"));
        pair.b.expect_end(OutStream, pair.at_b, b"\0why");
    });
}

/// "A sum above 2^64-1 is a violation": the sum itself is not.
#[test]
fn the_largest_sum() {
    twos(|bus, mut a, mut b| {
        a.send(&duplex(1).payload(connect_to(b.name())).credit(u64::MAX - 1));
        a.send_all(&[out_stream(1).credit(1), out_sink(1).credit(u64::MAX)]);
        let (id, _) = b.offer();
        b.send_all(&[in_stream(id).credit(1), in_stream(id).credit(u64::MAX - 1), in_sink(id).credit(u64::MAX)]);
        b.accept(id);
        a.expect(InSink, 1, &What::Message(Vec::new()));
        let mut pair = Pair { a, b, at_a: 1, at_b: id };
        pair.exchange("plenty", bus.step());
        pair.finish();
        pair.quiet();
    });
}

/// The same on the top level, where nothing is spent.
#[test]
fn the_largest_sum_on_the_top_level() {
    rows(|bus| {
        let mut peer = bus.connection();
        peer.send(&in_stream(0).credit(u64::MAX - 1));
        peer.register_without_credit(&bus.name("rich"), 1);
        peer.send_all(&[in_stream(0).credit(0), in_stream(0).credit(1)]);
        peer.quiet();
    });
}

/// Credit of nothing is credit: it opens nothing and harms nothing.
#[test]
fn credit_of_zero() {
    pairs(|bus, mut pair| {
        pair.a.send_all(&[out_stream(pair.at_a).credit(0), out_sink(pair.at_a).credit(0), in_stream(0).credit(0)]);
        pair.b.send_all(&[in_stream(pair.at_b).credit(0), in_sink(pair.at_b).credit(0), in_sink(0).credit(0)]);
        pair.a.send(&out_request(1).payload([]).credit(0));
        pair.exchange("all is well", bus.step());
    });
}

/// "No memory for two credit counters and two buffers: closes and cancels with 0x00." And there is memory again when a
/// connection is over.
#[test]
fn no_memory() {
    const SCARCE: &str =
        "[credit]\nmemory_bytes = 262144\ncap_min_bytes = 32768\ncap_initial_bytes = 32768\ncap_max_bytes = 32768\n";
    /// Far more connections than such a memory holds, in any number of shards.
    const MANY: usize = 64;
    private(DAEMON, &format!("{PATIENT}{SCARCE}"), &FEW_ROWS, |bus| {
        let mut b = bus.plugin("b");
        let mut pairs = Vec::new();
        let mut refused = 0;
        for _ in 0..MANY {
            let mut a = bus.client();
            a.wait_listed(b.name());
            a.dial_with(1, b.name(), CREDIT, CREDIT);
            if let Some(payload) = outcome(&mut a, &mut b, 1) {
                assert_eq!(payload, [0]);
                refused += 1;
            } else {
                let at_b = answer(&mut b, &entry(&[], 1));
                a.expect(InSink, 1, &What::Message(Vec::new()));
                pairs.push((a, at_b));
            }
        }
        assert!(refused > 0, "{MANY} connections were let in");
        let (a, at_b) = pairs.pop().expect("there is memory for some connections");
        let mut pair = Pair { a, b, at_a: 1, at_b };
        pair.exchange("enough for these", bus.step());
        pair.finish();
        dial_again(&mut pair.a, &mut pair.b, 1);
        pair.at_b = answer(&mut pair.b, &entry(&[], 1));
        pair.a.expect(InSink, 1, &What::Message(Vec::new()));
        pair.exchange("enough again", bus.step());
    });
}
