//! What is compared: a case is entrants, each a server and the traffic that it carries.

use super::crowd::Crowd;
use super::server::{Program, Transport};
use crate::forward::Kind;

/// Entrants that are measured side by side.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// What it is, for people.
    pub(super) title: String,
    pub(super) transport: Transport,
    /// Where the servers run.
    pub(super) place: Place,
    pub(super) entrants: Vec<Entrant>,
    /// The entrant that the others are compared with.
    pub(super) floor: &'static str,
}

/// A server that takes part, and what it has to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entrant {
    pub(super) name: &'static str,
    pub(super) program: Program,
    pub(super) traffic: Traffic,
}

/// What the plugins do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Traffic {
    /// Batches of messages of this size from one to the other, which are connected one after the other, or with so many
    /// others between them.
    Flow { size: usize, between: usize },
    /// A message of this size there, and one back.
    RoundTrip { size: usize },
    /// Batches from many writers to many readers.
    Crowd(Crowd),
    /// So many plugins more that do nothing.
    IdleConnections(usize),
    /// So many plugins that are all connected with each other, and do nothing.
    IdleChannels(usize),
}

/// Where the servers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a CPU of their own.
    Apart,
    /// On the plugins' CPU.
    Together,
    /// On both.
    Everywhere,
}

const RELAY: Program = Program::Relay { shards: 1, credit_memory: None };

/// A relay that may hold thousands of channels: each takes a share of what its shard may promise.
const LARGE_RELAY: Program = Program::Relay { shards: 1, credit_memory: Some("2 GiB") };

/// Who takes part where one pair is concerned.
const SERVERS: [(&str, Program); 5] = [
    ("relay", RELAY),
    ("uring", Program::Forwarder(Kind::Uring)),
    ("splice", Program::Forwarder(Kind::Splice)),
    ("copy", Program::Forwarder(Kind::Copy)),
    ("tokio-uring", Program::Forwarder(Kind::TokioUring)),
];

/// From this size on, in bytes, the floor is the forwarder that does not copy.
const SPLICE_SIZE_MIN: usize = 64 << 10;

/// Messages in a write of one plugin among many: about a page.
const CROWD_BATCH: usize = 64;

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases
        .extend([64, 1 << 10, 64 << 10, 1 << 20].into_iter().flat_map(|size| Transport::BOTH.map(|by| flow(size, by))));
    let places = [("same", Place::Together), ("other", Place::Apart)];
    cases.extend(places.into_iter().flat_map(|place| Transport::BOTH.map(|by| round_trip(place, by))));
    cases.extend([64, 1 << 10, 64 << 10].map(shards));
    cases.push(crowd(
        LARGE_RELAY,
        "pairs",
        "64 B, one pair and a thousand",
        [("1 pair", 1, 1), ("100 pairs", 100, 100), ("1000 pairs", 1000, 1000)],
        64,
    ));
    cases.push(crowd(
        RELAY,
        "fan-in",
        "256 B, from one plugin and from a hundred to one",
        [("1 writer", 1, 1), ("10 writers", 10, 1), ("100 writers", 100, 1)],
        256,
    ));
    cases.push(memory("idle-connections", "memory of an idle connection", Traffic::IdleConnections(8_000)));
    cases.push(memory("idle-channels", "memory of an idle channel", Traffic::IdleChannels(90)));
    cases
}

/// One pair, as fast as it goes.
fn flow(size: usize, transport: Transport) -> Case {
    let traffic = Traffic::Flow { size, between: 0 };
    Case {
        name: format!("flow-{}-{}", label(size), transport.name()),
        title: format!("messages of {}, one pair, {}", bytes(size), transport.name()),
        transport,
        place: Place::Apart,
        entrants: SERVERS.map(|(name, program)| Entrant { name, program, traffic }).to_vec(),
        floor: if size < SPLICE_SIZE_MIN { "uring" } else { "splice" },
    }
}

/// One message at a time.
fn round_trip((label, place): (&str, Place), transport: Transport) -> Case {
    let traffic = Traffic::RoundTrip { size: 64 };
    Case {
        name: format!("trip-{label}-{}", transport.name()),
        title: format!("round trip of 64 B, server on the {label} CPU, {}", transport.name()),
        transport,
        place,
        entrants: SERVERS.map(|(name, program)| Entrant { name, program, traffic }).to_vec(),
        floor: "uring",
    }
}

/// A pair on one shard, and on two. Connections are dealt out in turn.
fn shards(size: usize) -> Case {
    let entrant = |name, between| {
        let traffic = Traffic::Flow { size, between };
        Entrant { name, program: Program::Relay { shards: 2, credit_memory: None }, traffic }
    };
    Case {
        name: format!("shards-{}", label(size)),
        title: format!("messages of {}, one pair on one shard of two and on both", bytes(size)),
        transport: Transport::Unix,
        place: Place::Everywhere,
        entrants: vec![entrant("one shard", 1), entrant("both shards", 0)],
        floor: "one shard",
    }
}

/// Many plugins at once: name, writers and readers of each entrant; the first is what the others are compared with.
fn crowd(program: Program, name: &str, title: &str, entrants: [(&'static str, usize, usize); 3], size: usize) -> Case {
    let entrant = |(name, writers, readers)| {
        let traffic = Traffic::Crowd(Crowd { writers, readers, size, count: CROWD_BATCH });
        Entrant { name, program, traffic }
    };
    Case {
        name: name.into(),
        title: format!("messages of {title}, {CROWD_BATCH} in each write"),
        transport: Transport::Unix,
        place: Place::Apart,
        floor: entrants[0].0,
        entrants: entrants.map(entrant).to_vec(),
    }
}

fn memory(name: &str, title: &str, traffic: Traffic) -> Case {
    Case {
        name: name.into(),
        title: title.into(),
        transport: Transport::Unix,
        place: Place::Apart,
        entrants: vec![Entrant { name: "relay", program: LARGE_RELAY, traffic }],
        floor: "relay",
    }
}

/// A size as part of a name.
fn label(size: usize) -> String {
    match size {
        _ if size >= 1 << 20 => format!("{}m", size >> 20),
        _ if size >= 1 << 10 => format!("{}k", size >> 10),
        _ => size.to_string(),
    }
}

/// A size for people.
fn bytes(size: usize) -> String {
    match size {
        _ if size >= 1 << 20 => format!("{} MiB", size >> 20),
        _ if size >= 1 << 10 => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}
