//! From a step of a phase to the plugins that do it.

use crate::scenario::{Kind, Phase, Step};
use crate::traffic::flow::{Direction, FlowSpec};
use crate::traffic::topology::{Role, Topology};

/// Unanswered requests over all channels while it is found out how many go.
const PROBE_IN_FLIGHT: u32 = 256;

/// Plugins that come and go for each one that they talk to.
const CHURNERS_PER_ANCHOR: u32 = 64;

/// All plugins of a step on `workers` threads; `tag` distinguishes their names from all others.
pub(crate) fn topology(phase: &Phase, step: &Step, tag: String, workers: usize) -> Topology {
    let mut topology = Topology::new(tag, workers);
    let flow = flow(phase, step);
    match phase.kind {
        Kind::Flood | Kind::Rpc | Kind::Stream | Kind::Bulk => pairs(&mut topology, phase, flow),
        Kind::FanIn | Kind::FanOut => {
            let one = topology.add(Role::Steady, 1);
            let others = topology.add(Role::Steady, phase.connections);
            let pair = |other| if phase.kind == Kind::FanIn { (other, one) } else { (one, other) };
            topology.connect(flow, &(others..others + phase.connections).map(pair).collect::<Vec<_>>());
        }
        Kind::Mesh => {
            let first = topology.add(Role::Steady, phase.connections);
            let all = first..first + phase.connections;
            let others = |one: u32| all.clone().filter(move |&other| other != one).map(move |other| (one, other));
            topology.connect(flow, &all.clone().flat_map(others).collect::<Vec<_>>());
        }
        Kind::Churn => churn(&mut topology, phase, flow),
        Kind::Presence => presence(&mut topology, phase, flow),
        Kind::Mixed => {
            pairs(&mut topology, phase, flow.clone());
            beside(&mut topology, phase.bulk_pairs, Role::Steady, bulk(phase, flow, "bulk"));
        }
        Kind::Stalled => {
            pairs(&mut topology, phase, flow.clone());
            if step.stalls {
                beside(&mut topology, phase.stalled, Role::Deaf, bulk(phase, flow, "stalled"));
            }
        }
    }
    topology
}

/// The flow that a phase is about.
fn flow(phase: &Phase, step: &Step) -> FlowSpec {
    let round_trip = phase.is_round_trip();
    let channels = phase.pairs.max(1) * phase.channels.max(1);
    let probe = (PROBE_IN_FLIGHT / channels).max(phase.in_flight);
    FlowSpec {
        label: if round_trip { "round trips" } else { "messages" }.into(),
        unit: if round_trip { "round trips" } else { "messages" },
        direction: if round_trip { Direction::RoundTrip } else { Direction::OneWay },
        request: phase.request.clone(),
        response: phase.response.clone(),
        rate: step.rate,
        channels: 0,
        in_flight: if step.probes { probe } else { phase.in_flight },
        limit: None,
        rehearses: step.probes,
        seed: phase.seed,
    }
}

/// Openers and as many acceptors, or as many as each opener has channels: each opener to those next to it.
fn pairs(topology: &mut Topology, phase: &Phase, flow: FlowSpec) {
    let acceptors = phase.pairs.max(phase.channels);
    let opener = topology.add(Role::Steady, phase.pairs);
    let acceptor = topology.add(Role::Steady, acceptors);
    let of_opener =
        |index: u32| (0..phase.channels).map(move |channel| (opener + index, acceptor + (index + channel) % acceptors));
    topology.connect(flow, &(0..phase.pairs).flat_map(of_opener).collect::<Vec<_>>());
}

/// Pairs of their own beside the others.
fn beside(topology: &mut Topology, count: u32, readers: Role, flow: FlowSpec) {
    let writer = topology.add(Role::Steady, count);
    let reader = topology.add(readers, count);
    topology.connect(flow, &(0..count).map(|index| (writer + index, reader + index)).collect::<Vec<_>>());
}

/// One way, as fast as it goes.
fn bulk(phase: &Phase, flow: FlowSpec, label: &str) -> FlowSpec {
    FlowSpec {
        label: label.into(),
        unit: "messages",
        direction: Direction::OneWay,
        request: phase.bulk.clone(),
        rate: None,
        ..flow
    }
}

/// What is counted but sends no messages of its own.
fn events(flow: &FlowSpec, label: &str, unit: &'static str, channels: u32) -> FlowSpec {
    FlowSpec { label: label.into(), unit, direction: Direction::OneWay, channels, ..flow.clone() }
}

fn churn(topology: &mut Topology, phase: &Phase, flow: FlowSpec) {
    let count = phase.connections;
    topology.connect(events(&flow, "visits, connect to leave", "visits", count), &[]);
    topology.connect(FlowSpec { rate: None, ..events(&flow, "connect to open channel", "channels", count) }, &[]);
    let anchors = count.div_ceil(CHURNERS_PER_ANCHOR);
    let anchor = topology.add(Role::Steady, anchors);
    let churner = topology.add(Role::Churner, count);
    let exchange = FlowSpec {
        label: "round trip on it".into(),
        unit: "round trips",
        direction: Direction::RoundTrip,
        limit: Some(1),
        rate: None,
        ..flow
    };
    let pairs: Vec<_> = (0..count).map(|index| (churner + index, anchor + index % anchors)).collect();
    topology.connect(exchange, &pairs);
}

fn presence(topology: &mut Topology, phase: &Phase, flow: FlowSpec) {
    let count = phase.connections;
    // The schedule is that of the first flow: that of the visits.
    topology.connect(events(&flow, "joins seen by watchers", "joins", count), &[]);
    topology.connect(FlowSpec { rate: None, ..events(&flow, "visits, connect to leave", "visits", count) }, &[]);
    topology.add(Role::Watcher, phase.watchers);
    topology.add(Role::Comer, count);
}
