//! Every rule of the protocol, each by its name, against a real daemon.
//!
//! A test quotes the rule it checks and runs on every row of [`tests::bus::ROWS`], or, if it needs a configuration of
//! its own, on a daemon of its own. Where the protocol leaves something open, nothing is checked.

use tests::bus::{Bus, FEW_ROWS, PATIENT, private, shared};
use tests::pair::Pair;
use tests::peer::Peer;

use crate::DAEMON;

mod answers;
mod anything_else;
mod choices;
mod connect;
mod credit;
mod disconnection;
mod ends;
mod heartbeats;
mod leaving;
mod messages;
mod offers;
mod openings;
mod query;
mod registration;
mod robustness;
mod version;
mod violations;
mod watch;

/// Runs a test on every row of the matrix.
fn rows(test: impl Fn(&Bus)) {
    shared(DAEMON, test);
}

/// Runs a test on every row of the matrix, with two plugins that list each other.
fn twos(test: impl Fn(&Bus, Peer, Peer)) {
    rows(|bus| {
        let (a, b) = bus.two("a", "b");
        test(bus, a, b);
    });
}

/// Runs a test on every row of the matrix, with two new plugins that are connected.
fn pairs(test: impl Fn(&Bus, Pair)) {
    rows(|bus| test(bus, Pair::open(bus)));
}

/// Runs a test on some rows, each with a daemon of its own on which nothing times out by itself.
fn alone(test: impl Fn(&Bus)) {
    private(DAEMON, PATIENT, &FEW_ROWS, test);
}

/// Runs a test on some rows, each with a daemon of its own with this configuration.
fn configured(config: &str, test: impl Fn(&Bus)) {
    private(DAEMON, config, &FEW_ROWS, test);
}

/// Two plugins that exchange data while others misbehave, and must not notice.
struct Bystanders(Pair);

impl Bystanders {
    fn new(bus: &Bus) -> Self {
        let (a, b) = bus.two("bystander a", "bystander b");
        Self(Pair::between(a, b, 1))
    }

    fn notice_nothing(&mut self) {
        self.0.exchange("still here", 64);
        self.0.quiet();
    }
}
