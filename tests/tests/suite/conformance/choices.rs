//! What this relay does where the protocol leaves a choice, as section 3 of its document says: limits, and stopping.

use Kind::{Duplex, InSink, OutRequest, OutSink};
use rustix::process::Signal;
use tests::audit::What;
use tests::bus::{Bus, FEW_ROWS, PATIENT, private};

use tests::pair::{CREDIT, Pair, answer, connect, outcome, quiet};
use tests::peer::{Peer, connect_to, entry};
use tests::wire::{Kind, chunk, in_sink, in_stream, out_sink};

use crate::{DAEMON, start};

/// How often to look for what must come soon.
const TRIES: usize = 10_000;

/// Rows in which no connection comes between two others: they would count, too.
fn limited(limits: &str, test: impl Fn(&Bus)) {
    let rows = FEW_ROWS.map(|row| tests::bus::Row { skewed: false, ..row });
    private(DAEMON, &format!("{PATIENT}[limits]\n{limits}\n"), &rows, test);
}

/// "Further connections than `limits.connections_max` are closed at once", and the place of one that has gone is free.
#[test]
fn connections_max() {
    limited("connections_max = 3", |bus| {
        let mut pair = Pair::open(bus);
        for round in 0..20 {
            // The one of the round before may still be on its way out.
            let let_in = |mut peer: Peer| peer.is_let_in(&bus.name("third")).then_some(peer);
            let mut third = (0..TRIES).find_map(|_| let_in(bus.connection())).expect("there is room for three");
            assert!(!bus.connection().is_let_in(&bus.name("fourth")), "a fourth is let in");
            match round % 3 {
                0 => third.shutdown_write(),
                1 => third.send(&in_sink(0).payload([])),
                _ => third.send_now(&chunk(InSink, 9)),
            }
            third.closed();
            pair.a.wait_gone(&bus.name("third"));
        }
        pair.exchange("not disturbed", bus.step());
        pair.quiet();
    });
}

/// "A connection that has more than twice `limits.channels_per_plugin_max` halves open is ended."
#[test]
fn channels_per_plugin_max() {
    limited("channels_per_plugin_max = 3", |bus| {
        let mut a = bus.plugin("a");
        let mut others: Vec<_> = (0..4).map(|number| bus.plugin(format!("b{number}"))).collect();
        for (id, b) in (1..).zip(&mut others).take(3) {
            a.wait_listed(b.name());
            connect(&mut a, id, b);
        }
        a.quiet();
        a.dial_with(4, others[3].name(), CREDIT, CREDIT);
        a.closed();
        for b in &mut others {
            b.wait_gone(&bus.name("a"));
        }
    });
}

/// "... or more than `limits.openings_partial_max` partial opening payloads, is ended."
#[test]
fn openings_partial_max() {
    limited("openings_partial_max = 2", |bus| {
        let mut peer = bus.plugin("a");
        for _ in 0..3 {
            peer.send(&chunk(OutRequest, 1).payload(b"?").partial(2));
            peer.send(&chunk(Duplex, 1).payload(b"?").partial(2));
            peer.fence();
            peer.send(&chunk(OutRequest, 1).payload(b"?"));
            peer.send(&chunk(Kind::OutStream, 1).payload(b"?"));
            peer.expect_end(Kind::InRequest, 1, &[]);
            peer.refused(1, &[]);
        }
        for id in 1..4 {
            peer.send(&chunk(OutRequest, id).payload(b"?").partial(2));
        }
        peer.closed();
    });
}

/// "A connect that finds `limits.offers_per_plugin_max` of them waiting is refused with `0x00`."
#[test]
fn offers_per_plugin_max() {
    limited("offers_per_plugin_max = 2", |bus| {
        let mut b = bus.plugin_without_credit("b");
        let mut clients = [bus.client(), bus.client(), bus.client()];
        for client in &mut clients {
            client.wait_listed(b.name());
            client.dial_with(1, b.name(), CREDIT, CREDIT);
        }
        let refused = (0..TRIES).find_map(|_| {
            clients.iter_mut().for_each(Peer::fence);
            clients.iter().position(|client| client.has(InSink, 1))
        });
        let refused = refused.expect("one of three is refused");
        clients[refused].refused(1, &[0]);
        b.give(Kind::InStream, 0, 1000);
        answer(&mut b, &entry(&[], 1));
        answer(&mut b, &entry(&[], 1));
        for (number, client) in clients.iter_mut().enumerate().filter(|(number, _)| *number != refused) {
            client.expect(InSink, 1, &What::Message(Vec::new()));
            assert!(!client.has(InSink, 1), "{number} is refused, too");
        }
        b.quiet();
    });
}

/// "A connect that waits longer than `limits.offer_timeout_ms` for the other plugin's top-level credit is refused with
/// `0x00`." It is not offered after that, and may be tried again.
#[test]
fn offer_timeout() {
    limited("offer_timeout_ms = 100", |bus| {
        let mut a = bus.plugin("a");
        let mut b = bus.plugin_without_credit("b");
        a.wait_listed(b.name());
        a.dial_with(1, b.name(), CREDIT, CREDIT);
        a.refused(1, &[0]);
        b.give(Kind::InStream, 0, 1000);
        quiet(&mut a, &mut b);
        a.dial_with(1, b.name(), CREDIT, CREDIT);
        assert_eq!(outcome(&mut a, &mut b, 1), None);
    });
}

/// However little top-level credit there is at a time, registrations, messages and connects go through.
#[test]
fn top_level_credit_bytes() {
    limited("top_level_credit_bytes = 1024", |bus| {
        let mut peer = bus.plugin([b'n'; 240]);
        assert!(peer.credit(InSink, 0) <= 1024);
        let mut other = bus.plugin("other");
        for _ in 0..20 {
            peer.send(&in_sink(0).payload([b'x'; 500]));
        }
        other.wait_listed(peer.name());
        connect(&mut other, 1, &mut peer);
    });
}

/// "Stopping: what has been accepted is delivered; then every plugin gets a top-level close that says so, if it gave
/// credit for it, and the end of the connection."
#[test]
fn stopping() {
    for row in FEW_ROWS {
        let mut daemon = start(row.shards, "");
        let (mut pair, mut poor) = {
            let bus = Bus::new(&daemon, row);
            let poor = bus.plugin_without_credit("poor");
            let mut pair = Pair::open(&bus);
            pair.a.wait_credit(OutSink, pair.at_a, 3);
            pair.a.send_all(&[out_sink(pair.at_a).payload(b"1"), out_sink(pair.at_a).payload(b"22")]);
            pair.a.fence();
            (pair, poor)
        };
        daemon.signal(Signal::TERM);
        pair.b.expect(OutSink, pair.at_b, &What::Message(b"1".to_vec()));
        pair.b.expect(OutSink, pair.at_b, &What::Message(b"22".to_vec()));
        assert!(pair.a.closed().is_some_and(|reason| !reason.is_empty()), "no reason");
        assert!(pair.b.closed().is_some_and(|reason| !reason.is_empty()), "no reason");
        assert_eq!(poor.closed(), None);
        assert!(daemon.wait().success());
        assert!(!daemon.unix().exists(), "the socket is left");
    }
}

/// "Ids of its own start at 1", so that nothing is said about `Out-Sink 0`.
#[test]
fn ids_of_its_own() {
    super::rows(|bus| {
        let (mut a, mut b) = bus.two("a", "b");
        a.send(&chunk(Duplex, 0).payload(connect_to(b.name())));
        assert_ne!(b.offer().0, 0);
        a.send(&in_stream(0).credit(0));
    });
}
