//! What is compared: servers that carry the same traffic.

use std::path::PathBuf;

use anyhow::Result;

use super::columns;
use super::memory;
use crate::forward::Kind;
use crate::lab::case::{Against, Bound, Case, Column, Goal, Variant};
use crate::lab::scene::Scene;
use crate::server::{Program, Server, Transport};
use crate::traffic::crowd::{self, Crowd};
use crate::traffic::end::End;
use crate::traffic::sample::{BYTES_EACH, CPU, P50, P99, RATE, Sample};
use crate::traffic::{flow, trips};

/// Servers that are measured side by side.
#[derive(Clone, Copy)]
struct Site<'a> {
    transport: Transport,
    place: Place,
    /// What a relay is to go by that has no configuration of its own.
    config: Option<&'a PathBuf>,
}

/// What the plugins do.
#[derive(Clone, Copy, Debug)]
enum Traffic {
    /// Batches of messages of this size from one to the other, which are connected one after the other, or with so many
    /// others between them.
    Flow { size: usize, between: usize },
    /// A message of 64 bytes there, and one back.
    RoundTrip,
    /// Batches from many writers to many readers.
    Crowd(Crowd),
    /// So many plugins more that do nothing.
    IdleConnections(usize),
    /// So many plugins that are all connected with each other, and do nothing.
    IdleChannels(usize),
}

/// Where the servers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On a CPU of their own.
    Apart,
    /// On the plugins' CPU.
    Together,
    /// On both.
    Everywhere,
}

/// A relay that may hold thousands of channels: each takes a share of what its shard may promise.
const LARGE_RELAY: Program = Program::Relay { shards: 1, credit_memory: Some("2 GiB") };

/// Who takes part where one pair is concerned.
const SERVERS: [(&str, Program); 5] = [
    ("relay", Program::RELAY),
    ("uring", Program::Forwarder(Kind::Uring)),
    ("splice", Program::Forwarder(Kind::Splice)),
    ("copy", Program::Forwarder(Kind::Copy)),
    ("tokio-uring", Program::Forwarder(Kind::TokioUring)),
];

/// From this size on, in bytes, the baseline is the forwarder that does not copy.
const SPLICE_SIZE_MIN: usize = 64 << 10;

/// Messages in a write of one plugin among many: about a page.
const CROWD_BATCH: usize = 64;

/// All cases. A relay without a configuration of its own has this one, and what servers ask of the kernel may be counted.
pub(super) fn all(config: Option<&PathBuf>, counts: bool) -> Vec<Case> {
    let at = |place, transport| Site { transport, place, config };
    let unix = at(Place::Apart, Transport::Unix);
    let sizes = [64, 1 << 10, 64 << 10, 1 << 20];
    let mut cases = Vec::new();
    cases.extend(sizes.into_iter().flat_map(|size| Transport::BOTH.map(|by| flow(size, at(Place::Apart, by)))));
    let places = [("same", Place::Together), ("other", Place::Apart)];
    cases
        .extend(places.into_iter().flat_map(|(name, place)| Transport::BOTH.map(|by| round_trip(name, at(place, by)))));
    cases.extend([64, 1 << 10, 64 << 10].map(|size| shards(size, at(Place::Everywhere, Transport::Unix))));
    cases.extend([pairs(unix), fan_in(unix)]);
    for case in &mut cases {
        case.columns.extend(columns::COUNTS.iter().filter(|_| counts));
    }
    let idle = |traffic| vec![unix.variant("relay", LARGE_RELAY, traffic)];
    let goal = |most| vec![Goal::new("relay", BYTES_EACH, Bound::AtMost(most)).decimals(0)];
    let memory = |name: &str, title: &str, traffic, most| {
        compared(Case::new(name, title, idle(traffic), goal(most)), "relay", columns::MEMORY.to_vec())
    };
    let connections = Traffic::IdleConnections(8_000);
    cases.push(memory("idle-connections", "memory of an idle connection", connections, 1536.0));
    cases.push(memory("idle-channels", "memory of an idle channel", Traffic::IdleChannels(90), 1024.0));
    cases
}

/// The same case, with what its variants are compared with.
fn compared(case: Case, baseline: &'static str, columns: Vec<Column>) -> Case {
    Case { baseline: Some(baseline), columns, ..case }
}

/// A figure as a multiple of the baseline's.
fn goal(variant: &'static str, figure: &'static str, baseline: &'static str, bound: Bound) -> Goal {
    Goal::new(variant, figure, bound).against(Against::Variant(baseline)).decimals(2)
}

/// One pair, as fast as it goes.
fn flow(size: usize, site: Site) -> Case {
    let by = site.transport.name();
    let baseline = if size < SPLICE_SIZE_MIN { "uring" } else { "splice" };
    let goals = vec![
        goal("relay", CPU, baseline, Bound::AtMost(flow_cpu_max(size, site.transport))),
        goal("relay", RATE, baseline, Bound::AtLeast(0.85)),
    ];
    let (name, title) = (format!("flow-{}-{by}", label(size)), format!("messages of {}, one pair, {by}", bytes(size)));
    let case = Case::new(name, title, site.servers(Traffic::Flow { size, between: 0 }), goals);
    compared(case, baseline, columns::flow(baseline))
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
fn round_trip(label: &str, site: Site) -> Case {
    let (by, baseline) = (site.transport.name(), "uring");
    let goals =
        vec![goal("relay", P50, baseline, Bound::AtMost(1.1)), goal("relay", P99, baseline, Bound::AtMost(1.25))];
    let title = format!("round trip of 64 B, server on the {label} CPU, {by}");
    let case = Case::new(format!("trip-{label}-{by}"), title, site.servers(Traffic::RoundTrip), goals);
    compared(case, baseline, columns::round_trip(baseline))
}

/// A pair on one shard, and on two. Connections are dealt out in turn.
fn shards(size: usize, site: Site) -> Case {
    let program = Program::Relay { shards: 2, credit_memory: None };
    let variants = [("one shard", 1), ("both shards", 0)]
        .map(|(name, between)| site.variant(name, program, Traffic::Flow { size, between }));
    let goals = vec![goal("both shards", CPU, "one shard", Bound::AtMost(1.6))];
    let title = format!("messages of {}, one pair on one shard of two and on both", bytes(size));
    let case = Case::new(format!("shards-{}", label(size)), title, variants.into(), goals);
    compared(case, "one shard", columns::flow("one shard"))
}

/// Many pairs at once.
fn pairs(site: Site) -> Case {
    let variants = [("1 pair", 1), ("100 pairs", 100), ("1000 pairs", 1000)]
        .map(|(name, pairs)| site.variant(name, LARGE_RELAY, crowd(64, [pairs, pairs])));
    let title = format!("messages of 64 B, one pair and a thousand, {CROWD_BATCH} in each write, unix");
    let goals = vec![goal("1000 pairs", CPU, "1 pair", Bound::AtMost(2.0))];
    compared(Case::new("pairs", title, variants.into(), goals), "1 pair", columns::flow("1 pair"))
}

/// Many to one.
fn fan_in(site: Site) -> Case {
    let variants = [("1 writer", 1), ("10 writers", 10), ("100 writers", 100)]
        .map(|(name, writers)| site.variant(name, Program::RELAY, crowd(256, [writers, 1])));
    let title =
        format!("messages of 256 B, from one plugin and from a hundred to one, {CROWD_BATCH} in each write, unix");
    compared(Case::new("fan-in", title, variants.into(), Vec::new()), "1 writer", columns::flow("1 writer"))
}

/// So many writers and readers.
fn crowd(size: usize, [writers, readers]: [usize; 2]) -> Traffic {
    Traffic::Crowd(Crowd { writers, readers, size, count: CROWD_BATCH })
}

impl Site<'_> {
    /// All servers with this traffic.
    fn servers(self, traffic: Traffic) -> Vec<Variant> {
        SERVERS.map(|(name, program)| self.variant(name, program, traffic)).into()
    }

    /// A server, and what it has to do.
    fn variant(self, name: &'static str, program: Program, traffic: Traffic) -> Variant {
        let Self { transport, place, config } = self;
        let config = config.cloned();
        Variant::new(name, move |scene| {
            let mut server = Server::start(program, transport, &place.cpus(scene), config.as_deref())?;
            let sample = measure(&mut server, scene, traffic)?;
            server.stop()?;
            Ok(sample)
        })
    }
}

impl Place {
    fn cpus(self, scene: &Scene) -> Vec<usize> {
        match self {
            Self::Apart => vec![scene.server_cpu],
            Self::Together => vec![scene.plugins_cpu],
            Self::Everywhere => vec![scene.server_cpu, scene.plugins_cpu],
        }
    }
}

fn measure(server: &mut Server, scene: &Scene, traffic: Traffic) -> Result<Sample> {
    let (setting, pid) = (&scene.setting, server.pid());
    match traffic {
        Traffic::Flow { size, between } => {
            flow::pair(&mut End::pair(server, between)?, size, |going| going.sample(setting, pid, size))
        }
        Traffic::RoundTrip => trips::closed(&mut End::pair(server, 0)?, setting, pid),
        Traffic::Crowd(crowd) => crowd::measure(server, setting, crowd),
        Traffic::IdleConnections(count) => memory::of_connections(server, count),
        Traffic::IdleChannels(plugins) => memory::of_channels(server, plugins),
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
