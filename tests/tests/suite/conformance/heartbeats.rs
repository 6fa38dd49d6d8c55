//! "The server answers pings on the top level, on requests and on the watch. It pings the top level of a plugin that has
//! been silent for `heartbeat_interval`, and ends a connection silent for `heartbeat_timeout`."

use std::time::Duration;

use Kind::{InSink, InStream, OutRequest, OutSink, OutStream};
use tests::audit::What;
use tests::pair::Pair;
use tests::wire::{Kind, chunk, in_sink, in_stream};

use super::{configured, pairs, rows};

/// A server that asks soon, and gives up later than any scheduling of a busy machine lasts.
const QUICK: &str = "[bus]\nheartbeat_interval_ms = 60\nheartbeat_timeout_ms = 2500\nend_credit_timeout_ms = 60000\n";

/// "`In-Sink 0 ↔ In-Stream 0`; so the pong to `In-Stream 0` is an `In-Sink 0` with no flags", and the other way round.
#[test]
fn pong_on_the_top_level() {
    rows(|bus| {
        let mut peer = bus.plugin("pinger");
        for _ in 0..3 {
            peer.send(&in_stream(0).ping());
            peer.expect(InSink, 0, &What::Pong);
            peer.send(&in_sink(0).ping());
            peer.expect(InStream, 0, &What::Pong);
        }
        peer.wait_credit(InSink, 0, 1);
        peer.send(&in_sink(0).payload(b"x").ping());
        peer.expect(InStream, 0, &What::Pong);
        peer.send(&in_stream(0).credit(1).ping());
        peer.expect(InSink, 0, &What::Pong);
        peer.quiet();
    });
}

/// On a request that waits for credit, and on the watch, with credit and without.
#[test]
fn pong_on_requests_and_on_the_watch() {
    rows(|bus| {
        let (mut peer, _other) = bus.two("pinger", "other");
        for kind in [OutRequest, OutStream] {
            let half = kind.inverted(3);
            peer.send(&chunk(kind, 3).payload([]).ping());
            peer.expect(half, 3, &What::Pong);
            peer.send(&chunk(kind, 3).ping());
            peer.expect(half, 3, &What::Pong);
            peer.send(&chunk(kind, 3).credit(1).ping());
            peer.expect(half, 3, &What::Pong);
            peer.wait_bytes(half, 3, 1);
        }
        peer.end(OutRequest, 3);
        peer.end(OutStream, 3);
        peer.quiet();
    });
}

/// A plugin that is silent is pinged again and again, and stays as long as it answers.
#[test]
fn pings_keep_a_silent_plugin() {
    configured(QUICK, |bus| {
        let mut peer = bus.plugin("silent");
        peer.wait_pings(40);
        peer.quiet();
        bus.client().wait_listed(peer.name());
    });
}

/// "Ends a connection silent for `heartbeat_timeout`", and whoever was connected to it learns it as of any other leaving.
#[test]
fn a_missed_heartbeat_ends_the_connection() {
    configured(QUICK, |bus| {
        let mut pair = Pair::open(bus);
        pair.b.answers_pings = false;
        pair.a.refused(pair.at_a, &[1]);
        pair.a.wait_gone(pair.b.name());
        pair.b.closed();
        pair.a.quiet();
    });
}

/// The ping comes before the end: a silent plugin is asked.
#[test]
fn is_asked_before_it_is_ended() {
    configured(QUICK, |bus| {
        let mut peer = bus.plugin("silent");
        peer.answers_pings = false;
        peer.wait_pings(1);
        peer.closed();
    });
}

/// One that sends anything is not silent, even if it answers no ping.
#[test]
fn anything_counts_as_a_sign_of_life() {
    configured(QUICK, |bus| {
        let mut peer = bus.plugin("busy");
        peer.answers_pings = false;
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(50));
            peer.send(&in_stream(0).credit(1));
        }
        peer.fence();
    });
}

/// The server's pings come between anything else and disturb nothing.
#[test]
fn pings_disturb_nothing() {
    configured("[bus]\nheartbeat_interval_ms = 10\nheartbeat_timeout_ms = 10000\n", |bus| {
        let mut pair = Pair::open(bus);
        for round in 0..20 {
            std::thread::sleep(Duration::from_millis(15));
            pair.exchange(&format!("round {round}"), bus.step());
        }
        pair.a.wait_pings(1);
        pair.b.wait_pings(1);
        pair.quiet();
    });
}

/// Pings on a connection are its plugins' business: the server relays them and answers none.
#[test]
fn no_pong_on_a_connection() {
    pairs(|bus, mut pair| {
        pair.a.send(&chunk(OutSink, pair.at_a).ping());
        pair.b.expect(OutSink, pair.at_b, &What::Ping);
        pair.quiet();
        pair.exchange("no answer yet", bus.step());
        pair.quiet();
        pair.b.send(&in_stream(pair.at_b));
        pair.a.expect(InStream, pair.at_a, &What::Pong);
        pair.quiet();
    });
}
