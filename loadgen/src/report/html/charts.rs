//! Which charts a phase has.

use super::chart::{Axis, Chart, Scale, Series};
use crate::report::model::{Flow, Latency, Phase, Point, Step};
use crate::report::text;

/// Lines in one chart, at the most.
const SERIES_MAX: usize = 6;

/// The charts of a phase.
pub(super) fn of(phase: &Phase) -> Vec<Chart> {
    let mut charts = Vec::new();
    if phase.is_sweep() {
        charts.push(sweep(phase));
        charts.push(sweep_throughput(phase));
    }
    charts.push(percentiles(phase));
    // Of a sweep the last steps: those before are the less interesting.
    let steps = if phase.is_sweep() { phase.steps.len().saturating_sub(1).. } else { 0.. };
    for step in &phase.steps[steps] {
        charts.push(latency_over_time(phase, step));
    }
    charts.push(throughput_over_time(phase));
    charts.push(cpu_over_time(phase));
    charts
}

/// An axis from 0 on.
fn linear(label: &str, show: fn(f64) -> String, ticks: &[f64]) -> Axis {
    Axis { label: label.into(), scale: Scale::Linear, show, ticks: ticks.into(), from_zero: true }
}

fn logarithmic(show: fn(f64) -> String) -> Axis {
    Axis { label: String::new(), scale: Scale::Logarithmic, show, ticks: Vec::new(), from_zero: false }
}

fn times() -> Axis {
    logarithmic(tick_time)
}

fn seconds() -> Axis {
    linear("seconds", |s| format!("{}", (s * 100.0).round() / 100.0), &[])
}

fn load() -> Axis {
    let ticks = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0];
    linear("load, percent of the measured capacity", |percent| format!("{percent:.0}"), &ticks)
}

/// Of too many lines every so manieth, the last included.
fn thinned(lines: Vec<Series>) -> Vec<Series> {
    let every = lines.len().div_ceil(SERIES_MAX).max(1);
    let skip = lines.len().saturating_sub(1) % every;
    lines.into_iter().skip(skip).step_by(every).collect()
}

/// A time without needless digits.
fn tick_time(ns: f64) -> String {
    let text = text::time(ns);
    let Some((number, unit)) = text.split_once(' ') else { return text };
    format!("{} {unit}", text::without_zeros(number))
}

/// Flows with latencies, by what they are called.
fn latencies(phase: &Phase) -> impl Iterator<Item = (String, &Latency)> {
    phase
        .steps
        .iter()
        .flat_map(|step| step.flows.iter().filter_map(move |flow| Some((name(step, flow), flow.latency.as_ref()?))))
}

fn name(step: &Step, flow: &Flow) -> String {
    match (step.label.as_str(), step.flows.len()) {
        ("", _) => flow.label.clone(),
        (label, 1) => label.to_owned(),
        (label, _) => format!("{label}: {}", flow.label),
    }
}

/// How many nines a quantile has: the horizontal axis of the curve of percentiles.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-7).log10()
}

fn percentiles(phase: &Phase) -> Chart {
    let curve = |(name, latency): (String, &Latency)| {
        let resolved = |&&(quantile, _): &&(f64, u64)| (1.0 - quantile) * latency.count as f64 >= 1.0;
        let mut points: Vec<_> =
            latency.curve.iter().filter(resolved).map(|&(quantile, ns)| (nines(quantile), ns as f64)).collect();
        // The largest is that of one message of all.
        points.push(((latency.count as f64).log10().min(6.0), latency.max_ns as f64));
        Series { name, points }
    };
    let percent = |nines: f64| {
        let decimals = (nines.round() as usize).saturating_sub(2);
        format!("{:.decimals$}", (1.0 - 10f64.powf(-nines)) * 100.0)
    };
    Chart {
        title: "Latency by percentile".into(),
        x: linear("percentile", percent, &[0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(nines)),
        y: times(),
        series: thinned(latencies(phase).map(curve).collect()),
        dots: false,
    }
}

fn latency_over_time(phase: &Phase, step: &Step) -> Chart {
    let line = |flow: &Flow, name: &str, of: fn(&Point) -> Option<u64>| {
        let points = flow.series.iter().filter_map(|point| Some((point.at_s, of(point)? as f64)));
        let several = step.flows.iter().filter(|flow| flow.latency.is_some()).count() > 1;
        Series { name: if several { format!("{} {name}", flow.label) } else { name.into() }, points: points.collect() }
    };
    let with_latency = step.flows.iter().filter(|flow| flow.latency.is_some()).take(2);
    let lines = |flow| {
        [
            line(flow, "p50", |point| point.p50_ns),
            line(flow, "p99", |point| point.p99_ns),
            line(flow, "max", |point| point.max_ns),
        ]
    };
    let several = phase.steps.len() > 1;
    Chart {
        title: if several { format!("Latency over time: {}", step.label) } else { "Latency over time".into() },
        x: seconds(),
        y: times(),
        series: with_latency.flat_map(lines).collect(),
        dots: false,
    }
}

fn throughput_over_time(phase: &Phase) -> Chart {
    let mut units: Vec<&str> = Vec::new();
    let mut series = Vec::new();
    for step in &phase.steps {
        for flow in step.flows.iter().filter(|flow| flow.messages > 0) {
            let points = flow.series.iter().map(|point| (point.at_s, point.messages_per_s)).collect();
            series.push(Series { name: name(step, flow), points });
            if !units.contains(&flow.unit.as_str()) {
                units.push(&flow.unit);
            }
        }
    }
    // Bulk beside requests: numbers of quite different sizes.
    let rates = if units.len() > 1 { logarithmic(text::short_count) } else { linear("", text::short_count, &[]) };
    Chart {
        title: format!("{} a second, over time", capitalized(&units.join(", "))),
        x: seconds(),
        y: rates,
        series: thinned(series),
        dots: false,
    }
}

fn cpu_over_time(phase: &Phase) -> Chart {
    let line = |step: &Step| Series {
        name: if step.label.is_empty() { phase.name.clone() } else { step.label.clone() },
        points: step.relay_cpu_series.iter().map(|&(at, share)| (at, share * 100.0)).collect(),
    };
    Chart {
        title: "Relay CPU, percent of one".into(),
        x: seconds(),
        y: linear("", |percent| format!("{percent:.0} %"), &[]),
        series: thinned(phase.steps.iter().map(line).collect()),
        dots: false,
    }
}

/// Latency against load.
fn sweep(phase: &Phase) -> Chart {
    let line = |name: &str, of: fn(&Latency) -> u64| {
        let point = |step: &Step| {
            let latency = step.flows.first()?.latency.as_ref()?;
            Some((f64::from(step.load_percent?), of(latency) as f64))
        };
        Series { name: name.into(), points: phase.steps.iter().filter_map(point).collect() }
    };
    Chart {
        title: "Latency against load".into(),
        x: load(),
        y: times(),
        series: vec![
            line("p50", |of| of.p50_ns),
            line("p99", |of| of.p99_ns),
            line("p99.9", |of| of.p99_9_ns),
            line("max", |of| of.max_ns),
        ],
        dots: true,
    }
}

/// What was carried against what was to be.
fn sweep_throughput(phase: &Phase) -> Chart {
    let point = |step: &Step| Some((f64::from(step.load_percent?), step.flows.first()?.messages_per_s));
    let offered = |step: &Step| Some((f64::from(step.load_percent?), step.offered_per_s?));
    Chart {
        title: "Throughput against load".into(),
        x: load(),
        y: linear("", text::short_count, &[]),
        series: vec![
            Series { name: "carried".into(), points: phase.steps.iter().filter_map(point).collect() },
            Series { name: "offered".into(), points: phase.steps.iter().filter_map(offered).collect() },
        ],
        dots: true,
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
