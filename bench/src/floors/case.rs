//! What is compared: a case is some traffic, and the servers that carry it in turn.

use super::server::{Program, Transport};
use crate::forward::Kind;

/// Some traffic and who carries it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// What it is, for people.
    pub(super) title: String,
    pub(super) transport: Transport,
    pub(super) traffic: Traffic,
    /// Where the server runs.
    pub(super) place: Place,
    pub(super) entrants: Vec<Entrant>,
    /// The entrant that the others are compared with.
    pub(super) floor: &'static str,
}

/// A server that takes part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entrant {
    pub(super) name: &'static str,
    pub(super) program: Program,
}

/// What the plugins do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Traffic {
    /// Batches of messages of this size from one to the other.
    Flow(usize),
    /// A message of this size there, and one back.
    RoundTrip(usize),
}

/// Where the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a CPU of its own.
    Apart,
    /// On the plugins' CPU.
    Together,
}

/// Who takes part where one pair is concerned.
const ENTRANTS: [Entrant; 5] = [
    Entrant { name: "relay", program: Program::Relay(1) },
    Entrant { name: "uring", program: Program::Forwarder(Kind::Uring) },
    Entrant { name: "splice", program: Program::Forwarder(Kind::Splice) },
    Entrant { name: "copy", program: Program::Forwarder(Kind::Copy) },
    Entrant { name: "tokio-uring", program: Program::Forwarder(Kind::TokioUring) },
];

/// From this size on, in bytes, the floor is the forwarder that does not copy.
const SPLICE_SIZE_MIN: usize = 64 << 10;

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (label, size) in [("64", 64), ("1k", 1 << 10), ("64k", 64 << 10), ("1m", 1 << 20)] {
        for transport in Transport::BOTH {
            cases.push(Case {
                name: format!("flow-{label}-{}", transport.name()),
                title: format!("messages of {}, one pair, {}", bytes(size), transport.name()),
                transport,
                traffic: Traffic::Flow(size),
                place: Place::Apart,
                entrants: ENTRANTS.to_vec(),
                floor: if size < SPLICE_SIZE_MIN { "uring" } else { "splice" },
            });
        }
    }
    for (label, place) in [("same", Place::Together), ("other", Place::Apart)] {
        for transport in Transport::BOTH {
            cases.push(Case {
                name: format!("trip-{label}-{}", transport.name()),
                title: format!("round trip of 64 B, server on the {label} CPU, {}", transport.name()),
                transport,
                traffic: Traffic::RoundTrip(64),
                place,
                entrants: ENTRANTS.to_vec(),
                floor: "uring",
            });
        }
    }
    cases
}

/// A number of bytes, for people.
fn bytes(count: usize) -> String {
    match count {
        _ if count >= 1 << 20 => format!("{} MiB", count >> 20),
        _ if count >= 1 << 10 => format!("{} KiB", count >> 10),
        _ => format!("{count} B"),
    }
}
