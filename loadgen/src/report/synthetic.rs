//! Reports that nobody has measured, for tests of what is made of reports.

use super::model::{Flow, Generator, Latency, Machine, Phase, Point, Relay, Report, Step};
use crate::scenario::Kind;
use crate::traffic::verifier::Verdict;

/// A verified run of one step, whose intervals have carried so many messages a second, with latencies that go the other
/// way.
pub(crate) fn report(messages_per_s: &[f64]) -> Report {
    let phase = Phase {
        name: "rpc".into(),
        scenario: Kind::Rpc,
        settings: vec![("size".into(), "64 B".into())],
        steps: vec![step(messages_per_s)],
    };
    Report {
        version: "0.0.0".into(),
        begun_s: 1_700_000_000,
        machine: Machine {
            cpu: "Synthetic CPU".into(),
            cpus: 2,
            memory_bytes: 1 << 30,
            kernel: "6.1.0".into(),
            checked_per_s: 1e8,
        },
        relay: Relay { embedded: true, address: "unix:/bus.sock".into(), pid: None, shards: Some(1), cpus: vec![0] },
        generator: Generator { threads: 1, cpus: vec![1] },
        phases: vec![phase],
        verified: true,
        ..Report::default()
    }
}

fn step(messages_per_s: &[f64]) -> Step {
    let flow = flow(messages_per_s);
    let verdict = Verdict { sent: flow.messages, received: flow.messages, ..Verdict::default() };
    let share_at = |(index, rate): (usize, &f64)| (index as f64 * 0.1, 0.5 * rate / flow.messages_per_s);
    Step {
        plugins: 2,
        channels: 1,
        elapsed_s: messages_per_s.len() as f64 * 0.1,
        interval_s: 0.1,
        relay_cpu_ns_per_message: Some(0.5e9 / flow.messages_per_s),
        relay_cpu_share: Some(0.5),
        relay_waited_share: Some(0.0),
        relay_cpu_series: messages_per_s.iter().enumerate().map(share_at).collect(),
        relay_rss_peak_bytes: Some(20 << 20),
        generator_cpu_ns_per_message: Some(10.0),
        generator_cpu_share: 0.5,
        flows: vec![flow],
        verdict,
        ..Step::default()
    }
}

fn flow(messages_per_s: &[f64]) -> Flow {
    let mean = messages_per_s.iter().sum::<f64>() / messages_per_s.len().max(1) as f64;
    let ns = |rate: f64| (1e9 / rate.max(1e-3)) as u64;
    let point = |(index, &rate): (usize, &f64)| Point {
        at_s: index as f64 * 0.1,
        messages_per_s: rate,
        p50_ns: Some(ns(rate)),
        p99_ns: Some(2 * ns(rate)),
        max_ns: Some(3 * ns(rate)),
    };
    let p50 = ns(mean);
    Flow {
        label: "round trips".into(),
        unit: "round trips".into(),
        round_trip: true,
        messages: (mean * messages_per_s.len() as f64 * 0.1) as u64,
        messages_per_s: mean,
        payload_bytes_per_s: mean * 64.0,
        latency: Some(Latency {
            count: 1000,
            mean_ns: p50 as f64,
            p50_ns: p50,
            p90_ns: p50,
            p99_ns: 2 * p50,
            p99_9_ns: 2 * p50,
            p99_99_ns: 2 * p50,
            p99_999_ns: 2 * p50,
            max_ns: 3 * p50,
            curve: vec![(0.5, p50), (1.0, 3 * p50)],
        }),
        series: messages_per_s.iter().enumerate().map(point).collect(),
        ..Flow::default()
    }
}
