//! What is compared: a case is subjects, each a server and the traffic that it carries.

use super::crowd::Crowd;
use super::goals::{Bound, Figure, Goal};
use super::server::{Program, Transport};
use crate::forward::Kind;

/// Subjects that are measured side by side.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// What it is, for people.
    pub(super) title: String,
    pub(super) transport: Transport,
    /// Where the servers run.
    pub(super) place: Place,
    pub(super) subjects: Vec<Subject>,
    /// The subject that the others are compared with.
    pub(super) baseline: &'static str,
    pub(super) goals: Vec<Goal>,
}

/// A server that takes part, and what it has to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
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

/// From this size on, in bytes, the baseline is the forwarder that does not copy.
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
    cases.extend([pairs(), fan_in()]);
    cases.push(memory("idle-connections", "memory of an idle connection", Traffic::IdleConnections(8_000), 1536.0));
    cases.push(memory("idle-channels", "memory of an idle channel", Traffic::IdleChannels(90), 1024.0));
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
        subjects: SERVERS.map(|(name, program)| Subject { name, program, traffic }).to_vec(),
        baseline: if size < SPLICE_SIZE_MIN { "uring" } else { "splice" },
        goals: vec![
            Goal::new("relay", Figure::Cpu, Bound::AtMost(flow_cpu_max(size, transport))),
            Goal::new("relay", Figure::Rate, Bound::AtLeast(0.85)),
        ],
    }
}

/// CPU time for each message, as a multiple of the baseline's.
fn flow_cpu_max(size: usize, transport: Transport) -> f64 {
    let [unix, tcp] = match size {
        ..1024 => [1.35, 1.25],
        1024..SPLICE_SIZE_MIN => [1.25, 1.2],
        SPLICE_SIZE_MIN..1_048_576 => [1.5, 1.4],
        _ => [1.35, 1.35],
    };
    if transport == Transport::Unix { unix } else { tcp }
}

/// One message at a time.
fn round_trip((label, place): (&str, Place), transport: Transport) -> Case {
    let traffic = Traffic::RoundTrip { size: 64 };
    Case {
        name: format!("trip-{label}-{}", transport.name()),
        title: format!("round trip of 64 B, server on the {label} CPU, {}", transport.name()),
        transport,
        place,
        subjects: SERVERS.map(|(name, program)| Subject { name, program, traffic }).to_vec(),
        baseline: "uring",
        goals: vec![
            Goal::new("relay", Figure::P50, Bound::AtMost(1.1)),
            Goal::new("relay", Figure::P99, Bound::AtMost(1.25)),
        ],
    }
}

/// A pair on one shard, and on two. Connections are dealt out in turn.
fn shards(size: usize) -> Case {
    let subject = |name, between| {
        let traffic = Traffic::Flow { size, between };
        Subject { name, program: Program::Relay { shards: 2, credit_memory: None }, traffic }
    };
    Case {
        name: format!("shards-{}", label(size)),
        title: format!("messages of {}, one pair on one shard of two and on both", bytes(size)),
        transport: Transport::Unix,
        place: Place::Everywhere,
        subjects: vec![subject("one shard", 1), subject("both shards", 0)],
        baseline: "one shard",
        goals: vec![Goal::new("both shards", Figure::Cpu, Bound::AtMost(1.6))],
    }
}

/// Many pairs at once.
fn pairs() -> Case {
    Case {
        name: "pairs".into(),
        title: format!("messages of 64 B, one pair and a thousand, {CROWD_BATCH} in each write, unix"),
        transport: Transport::Unix,
        place: Place::Apart,
        subjects: [("1 pair", 1), ("100 pairs", 100), ("1000 pairs", 1000)]
            .map(|(name, pairs)| crowd(name, LARGE_RELAY, 64, [pairs, pairs]))
            .to_vec(),
        baseline: "1 pair",
        goals: vec![Goal::new("1000 pairs", Figure::Cpu, Bound::AtMost(2.0))],
    }
}

/// Many to one.
fn fan_in() -> Case {
    Case {
        name: "fan-in".into(),
        title: format!(
            "messages of 256 B, from one plugin and from a hundred to one, {CROWD_BATCH} in each write, unix"
        ),
        transport: Transport::Unix,
        place: Place::Apart,
        subjects: [("1 writer", 1), ("10 writers", 10), ("100 writers", 100)]
            .map(|(name, writers)| crowd(name, RELAY, 256, [writers, 1]))
            .to_vec(),
        baseline: "1 writer",
        goals: Vec::new(),
    }
}

/// So many writers and readers.
fn crowd(name: &'static str, program: Program, size: usize, [writers, readers]: [usize; 2]) -> Subject {
    Subject { name, program, traffic: Traffic::Crowd(Crowd { writers, readers, size, count: CROWD_BATCH }) }
}

fn memory(name: &str, title: &str, traffic: Traffic, bytes_max: f64) -> Case {
    Case {
        name: name.into(),
        title: title.into(),
        transport: Transport::Unix,
        place: Place::Apart,
        subjects: vec![Subject { name: "relay", program: LARGE_RELAY, traffic }],
        baseline: "relay",
        goals: vec![Goal::new("relay", Figure::Memory, Bound::AtMost(bytes_max))],
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
