//! "A plugin leaves: after what the server had already accepted from it is delivered, the other side's halves are closed
//! and cancelled with `0x01`. What was on its way to the plugin that left is dropped."

use Kind::{InSink, InStream, OutSink, OutStream};
use tests::audit::What;
use tests::pair::{CREDIT, Pair, connect};
use tests::peer::{Pace, Peer};
use tests::wire::{Kind, in_sink, in_stream, out_sink, out_stream};

use super::{pairs, rows, twos};

type Leave = fn(&mut Peer);

const WAYS: [Leave; 4] = [
    Peer::shutdown_write,
    |peer| peer.send(&in_sink(0).payload([])),
    |peer| peer.send(&in_sink(0).end([])),
    |peer| peer.send_bytes(&in_sink(99).ping().bytes()),
];

/// Either side, by every way: both halves of the other end with `0x01`.
#[test]
fn both_halves_end() {
    rows(|bus| {
        for leave in WAYS {
            let mut pair = Pair::open(bus);
            leave(&mut pair.a);
            pair.a.closed();
            pair.b.expect_ends(pair.at_b, &[1]);
            pair.b.quiet();

            let mut pair = Pair::open(bus);
            leave(&mut pair.b);
            pair.b.closed();
            pair.a.refused(pair.at_a, &[1]);
            pair.a.quiet();
        }
    });
}

/// "After what the server had already accepted from it is delivered": the messages come whole and in order before the
/// end, even if the reader takes its time with the credit for the end.
#[test]
fn what_was_sent_is_delivered() {
    rows(|bus| {
        for leave in WAYS {
            let mut pair = Pair::open(bus);
            let mut sent = Vec::new();
            for number in 0..CREDIT as u8 {
                pair.b.wait_credit(InSink, pair.at_b, 1);
                pair.b.send(&in_sink(pair.at_b).payload([number]));
                sent.push(vec![number]);
            }
            leave(&mut pair.b);
            pair.b.closed();
            for message in sent {
                pair.a.expect(InSink, pair.at_a, &What::Message(message));
            }
            pair.a.expect_end(InStream, pair.at_a, &[1]);
            pair.a.quiet();
            pair.a.send(&out_stream(pair.at_a).credit(1));
            pair.a.expect_end(InSink, pair.at_a, &[1]);
            pair.a.quiet();
        }
    });
}

/// In the middle of a message: "a relay can end a half whose writer died in mid-message".
#[test]
fn in_mid_message() {
    pairs(|_, mut pair| {
        let (a, b) = (pair.at_a, pair.at_b);
        pair.a.wait_credit(OutSink, a, 4);
        pair.a.send(&out_sink(a).payload(b"half").partial(8));
        pair.a.leave();
        pair.b.expect_ends(b, &[1]);
        pair.b.quiet();
    });
}

/// With one half over already just the other is ended; with both over nothing is.
#[test]
fn with_halves_over() {
    pairs(|bus, mut pair| {
        pair.a.end(OutSink, pair.at_a);
        pair.b.expect_end(OutSink, pair.at_b, &[0]);
        pair.a.leave();
        pair.b.expect_end(OutStream, pair.at_b, &[1]);
        pair.b.quiet();

        let mut pair = Pair::open(bus);
        pair.finish();
        pair.quiet();
        pair.b.leave();
        pair.a.wait_gone(pair.b.name());
        pair.a.quiet();
    });
}

/// "What was on its way to the plugin that left is dropped": the writer may go on until it has acked.
#[test]
fn what_was_on_its_way_is_dropped() {
    pairs(|_, mut pair| {
        let a = pair.at_a;
        pair.a.wait_credit(OutSink, a, 10);
        pair.b.shutdown_write();
        pair.a.send_all(&[out_sink(a).payload(b"1"), out_sink(a).payload(b"22").partial(5), out_sink(a).ping()]);
        pair.b.closed();
        pair.a.expect(InStream, a, &What::End(vec![1]));
        pair.a.send_all(&[out_sink(a).payload(b"333"), out_sink(a).credit(1), out_sink(a).ack_end()]);
        pair.a.expect_end(InSink, a, &[1]);
        pair.a.quiet();
    });
}

/// The one that `b` has not answered yet: its leaving ends it likewise; so does `a`'s.
#[test]
fn before_the_answer() {
    twos(|bus, mut a, mut b| {
        a.dial_with(1, b.name(), CREDIT, CREDIT);
        b.offer();
        b.leave();
        a.refused(1, &[1]);

        let (mut b, mut c) = bus.two("b again", "c");
        b.wait_listed(a.name());
        a.wait_listed(b.name());
        a.dial_with(1, b.name(), CREDIT, CREDIT);
        let (id, _) = b.offer();
        b.send_all(&[in_stream(id).credit(1), in_sink(id).credit(1)]);
        a.leave();
        b.expect_ends(id, &[1]);
        c.wait_gone(a.name());
        b.quiet();
    });
}

/// All connections of the one that leaves end, others do not.
#[test]
fn every_connection_of_it() {
    rows(|bus| {
        let mut kept = Pair::open(bus);
        let mut hub = bus.plugin("hub");
        let mut offers = Vec::new();
        for (id, peer) in (20..).zip([&mut kept.a, &mut kept.b]) {
            hub.wait_listed(peer.name());
            offers.push(connect(&mut hub, id, peer));
            peer.wait_listed(hub.name());
            connect(peer, 30, &mut hub);
        }
        hub.leave();
        for (id, peer) in offers.into_iter().zip([&mut kept.a, &mut kept.b]) {
            peer.refused(30, &[1]);
            peer.expect_ends(id, &[1]);
        }
        kept.exchange("still connected", bus.step());
        kept.quiet();
    });
}

/// The same for one that is gone before the relay has read it all, and can be told nothing any more.
#[test]
fn what_was_sent_before_it_closed_is_delivered() {
    /// So many that reading them takes a while, in which the relay tries to answer.
    const PINGS: usize = 20_000;
    const MESSAGES: u8 = 60;
    rows(|bus| {
        if bus.row.pace != Pace::Whole {
            return;
        }
        for _ in 0..5 {
            let mut pair = Pair::open(bus);
            pair.a.wait_credit(OutSink, pair.at_a, MESSAGES.into());
            let mut bytes = in_stream(0).ping().bytes().repeat(PINGS);
            (0..MESSAGES).for_each(|number| bytes.extend(out_sink(pair.at_a).payload([number]).bytes()));
            assert!(pair.a.pour(&bytes));
            drop(pair.a);
            for number in 0..MESSAGES {
                pair.b.expect(OutSink, pair.at_b, &What::Message(vec![number]));
            }
            pair.b.expect_ends(pair.at_b, &[1]);
        }
    });
}
