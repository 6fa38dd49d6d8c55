//! From what a step found out to its report.

use hdrhistogram::Histogram;

use super::model::{Flow, Latency, Phase, Point, Step};
use crate::run::StepOutcome;
use crate::scenario;
use crate::traffic::flow::{Direction, FlowSpec, Measured};
use crate::traffic::recorder::{Interval, new_histogram};

/// Points of a curve of percentiles for each halving of what is above.
const CURVE_TICKS: u32 = 4;

/// A phase of which nothing has been measured yet.
pub(crate) fn phase(phase: &scenario::Phase, has_cpus: bool) -> Phase {
    let settings = phase.describe().into_iter().map(|(name, value)| (name.to_owned(), value));
    let mut settings: Vec<_> = settings.collect();
    let waits = if phase.spins(has_cpus) { "without sleeping" } else { "asleep" };
    settings.push(("generator waits".into(), waits.into()));
    Phase { name: phase.name.clone(), scenario: phase.kind, settings, steps: Vec::new() }
}

/// What a step found out.
pub(crate) fn step(kind: scenario::Kind, outcome: &StepOutcome) -> Step {
    let elapsed_s = outcome.elapsed.as_secs_f64();
    let flows: Vec<Flow> = outcome.flows.iter().map(|(spec, measured)| flow(spec, measured, outcome)).collect();
    let counts_events = matches!(kind, scenario::Kind::Churn | scenario::Kind::Presence);
    let counted = if counts_events { &flows[..flows.len().min(1)] } else { &flows[..] };
    let messages: u64 = counted.iter().map(|flow| flow.messages).sum();
    let payload_bytes: f64 = flows.iter().map(|flow| flow.payload_bytes_per_s * elapsed_s).sum();
    let has_answers = flows.iter().any(|flow| flow.round_trip);
    let per_message = |ns: u64| (messages > 0).then(|| ns as f64 / messages as f64);
    let share = |ns: u64| if elapsed_s > 0.0 { ns as f64 / 1e9 / elapsed_s } else { 0.0 };
    Step {
        label: outcome.step.label.clone(),
        offered_per_s: outcome.step.rate,
        load_percent: outcome.step.load_percent,
        probes: outcome.step.probes,
        plugins: outcome.plugins,
        channels: outcome.channels,
        elapsed_s,
        interval_s: outcome.interval.as_secs_f64(),
        relay_cpu_ns_per_message: outcome.relay_cpu.and_then(|cpu| per_message(cpu.used_ns)),
        // A nanosecond per byte is a second per gigabyte.
        relay_cpu_s_per_gb: outcome
            .relay_cpu
            .filter(|_| payload_bytes > 0.0 && !has_answers)
            .map(|cpu| cpu.used_ns as f64 / payload_bytes),
        relay_cpu_share: outcome.relay_cpu.map(|cpu| share(cpu.used_ns)),
        relay_waited_share: outcome.relay_cpu.map(|cpu| share(cpu.waited_ns)),
        relay_cpu_series: outcome.relay_cpu_shares.iter().map(|(at, share)| (at.as_secs_f64(), *share)).collect(),
        relay_rss_peak_bytes: outcome.relay_rss_peak_bytes,
        generator_cpu_ns_per_message: per_message(outcome.generator_cpu.used_ns),
        generator_cpu_share: share(outcome.generator_cpu.used_ns),
        generator_waited_share: share(outcome.generator_cpu.waited_ns),
        flows,
        verdict: outcome.verdict(),
    }
}

fn flow(spec: &FlowSpec, measured: &Measured, outcome: &StepOutcome) -> Flow {
    let elapsed_s = outcome.elapsed.as_secs_f64();
    let intervals = measured.recorder.intervals();
    let messages: u64 = intervals.iter().map(|interval| interval.messages).sum();
    let payload_bytes: u64 = intervals.iter().map(|interval| interval.payload_bytes).sum();
    let per_s = |count: u64| if elapsed_s > 0.0 { count as f64 / elapsed_s } else { 0.0 };
    let channel_s = elapsed_s * f64::from(spec.channels.max(1));
    Flow {
        label: spec.label.clone(),
        unit: spec.unit.into(),
        round_trip: spec.direction == Direction::RoundTrip,
        messages,
        messages_per_s: per_s(messages),
        payload_bytes_per_s: per_s(payload_bytes),
        latency: if spec.rehearses && spec.direction == Direction::OneWay { None } else { latency(&all(intervals)) },
        credit_stalls: measured.stalls,
        credit_stalled_share: if channel_s > 0.0 { measured.stalled_ns as f64 / 1e9 / channel_s } else { 0.0 },
        unsent: measured.unsent,
        elided: measured.elided,
        series: series(intervals, outcome),
    }
}

/// All latencies of some intervals.
pub(crate) fn all(intervals: &[Interval]) -> Histogram<u64> {
    let mut sum = new_histogram();
    for latencies in intervals.iter().filter_map(|interval| interval.latencies.as_ref()) {
        sum.add(latencies).expect("the histogram grows as it must");
    }
    sum
}

fn latency(histogram: &Histogram<u64>) -> Option<Latency> {
    let at = |quantile| histogram.value_at_quantile(quantile);
    (!histogram.is_empty()).then(|| Latency {
        count: histogram.len(),
        mean_ns: histogram.mean(),
        p50_ns: at(0.5),
        p90_ns: at(0.9),
        p99_ns: at(0.99),
        p99_9_ns: at(0.999),
        p99_99_ns: at(0.9999),
        p99_999_ns: at(0.99999),
        max_ns: histogram.max(),
        curve: histogram
            .iter_quantiles(CURVE_TICKS)
            .map(|step| (step.quantile_iterated_to(), step.value_iterated_to()))
            .collect(),
    })
}

/// The whole intervals.
fn series(intervals: &[Interval], outcome: &StepOutcome) -> Vec<Point> {
    let interval_s = outcome.interval.as_secs_f64();
    let whole = (outcome.elapsed.as_secs_f64() / interval_s + 1e-6) as usize;
    let point = |index: usize| {
        let interval = intervals.get(index);
        let latencies = interval.and_then(|interval| interval.latencies.as_ref()).filter(|of| !of.is_empty());
        Point {
            at_s: index as f64 * interval_s,
            messages_per_s: interval.map_or(0.0, |interval| interval.messages as f64 / interval_s),
            p50_ns: latencies.map(|of| of.value_at_quantile(0.5)),
            p99_ns: latencies.map(|of| of.value_at_quantile(0.99)),
            max_ns: latencies.map(Histogram::max),
        }
    };
    (0..whole).map(point).collect()
}
