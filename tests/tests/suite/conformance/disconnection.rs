//! "Disconnection. An empty top-level message, an end of the top level, EOF, an error, a violation or a missed heartbeat."

use Kind::InSink;
use tests::peer::Peer;
use tests::wire::{Kind, in_sink, in_stream};

use super::rows;

type Leave = (&'static str, fn(&mut Peer));

/// Every way in which a plugin may bring its disconnection about.
const WAYS: [Leave; 7] = [
    ("an empty top-level message", |peer| peer.send(&in_sink(0).payload([]))),
    ("a close of the top level", |peer| peer.send(&in_sink(0).end([]))),
    ("a close of the top level with a payload", |peer| {
        peer.wait_credit(InSink, 0, 3);
        peer.send(&in_sink(0).end(b"bye"));
    }),
    ("a cancel of the top level", |peer| peer.send(&in_stream(0).end([]))),
    ("EOF", Peer::shutdown_write),
    ("EOF in the middle of a chunk", |peer| {
        peer.send_bytes(&in_sink(0).payload(b"cut off").bytes()[..5]);
        peer.shutdown_write();
    }),
    ("a violation", |peer| peer.send_bytes(&in_sink(9).ping().bytes())),
];

/// Each ends the connection; the plugin is no longer listed, and its name is free again.
#[test]
fn every_way_frees_the_name() {
    rows(|bus| {
        let mut observer = bus.client();
        for (way, leave) in WAYS {
            let mut peer = bus.plugin("again");
            observer.wait_listed(peer.name());
            leave(&mut peer);
            peer.closed();
            observer.wait_gone(peer.name());
            assert!(bus.own(observer.query()).is_empty(), "after {way}");
        }
    });
}

/// A plugin whose process just vanishes leaves as others do.
#[test]
fn vanishing_frees_the_name() {
    rows(|bus| {
        let mut observer = bus.client();
        for _ in 0..3 {
            let peer = bus.plugin("vanishing");
            observer.wait_listed(peer.name());
            drop(peer);
            observer.wait_gone(&bus.name("vanishing"));
        }
    });
}

/// Before the registration the same ways end the connection, and nobody is told.
#[test]
fn before_the_registration() {
    rows(|bus| {
        let mut observer = bus.plugin("observer");
        for (_, leave) in WAYS {
            let mut peer = bus.connection();
            leave(&mut peer);
            peer.closed();
        }
        observer.quiet();
    });
}
