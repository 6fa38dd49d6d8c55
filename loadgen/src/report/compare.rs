//! Two reports side by side: how many times as much is the second, and is that more than noise?
//!
//! The numbers of a step vary in the course of it. Its intervals are gathered into blocks, and the *band* of a run is where
//! its blocks lie, the lowest and the highest left out. A difference counts only when the bands of both runs lie apart. That
//! is the noise within each run; what differs from one run to the next is in neither of them, so it must also be larger than
//! what runs of the same usually differ by, than what the machine's own speed differed by, and than what of their time the
//! threads of either run were kept from running.

use std::fmt::{self, Display};

use super::model::{Flow, Point, Report, Step};
use super::{notes, text};
use crate::error::UsageError;

/// Blocks that a step is divided into: long enough to have little to do with each other. With fewer than some intervals there
/// are too few of them to tell where they usually lie.
const BLOCKS: usize = 10;
const BLOCKS_MIN: usize = 5;

/// What two runs of the same differed by at the most on a quiet machine, however steady each of them was (docs/load.md).
const BETWEEN_RUNS: f64 = 0.11;

/// By how much the machine's own speed may differ before it is worth a word.
const SPEED_NOISE: f64 = 0.08;

/// One number of two runs.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    unit: Unit,
    before: Figure,
    after: Figure,
    /// The part of the first by which the second may differ for no reason of its own.
    between_runs: f64,
    higher_is_better: bool,
}

/// A number of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figure {
    value: f64,
    /// Where it lay in the course of the run, if that is known.
    band: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    PerSecond,
    Nanoseconds,
    Bytes,
}

/// What two numbers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Noise,
    Better,
    Worse,
    /// There is nothing to tell how much of it is noise.
    Unknown,
}

impl Figure {
    /// Of a total, or of one number.
    fn alone(value: f64) -> Self {
        Self { value, band: None }
    }

    /// The median of blocks, and where they lie.
    fn of(blocks: &[f64]) -> Option<Self> {
        let mut sorted = blocks.to_vec();
        sorted.sort_by(f64::total_cmp);
        let band = (sorted.len() >= BLOCKS_MIN).then(|| (sorted[1], sorted[sorted.len() - 2]));
        median(blocks).map(|value| Self { value, band })
    }
}

impl Row {
    /// How many times as much the second is.
    fn ratio(&self) -> f64 {
        self.after.value / self.before.value
    }

    /// By which part the blocks of each run differ from their median, both runs together.
    fn within_runs(&self) -> Option<f64> {
        let of = |figure: &Figure| {
            let (low, high) = figure.band?;
            (figure.value > 0.0).then(|| (high - figure.value).max(figure.value - low) / figure.value)
        };
        Some(of(&self.before)? + of(&self.after)?)
    }

    fn finding(&self) -> Finding {
        let (Some((low, high)), Some((other_low, other_high))) = (self.before.band, self.after.band) else {
            return Finding::Unknown;
        };
        let apart = other_low > high || other_high < low;
        // As far below as above: half is as far from one as twice.
        let beyond = self.ratio().ln().abs() > (1.0 + self.between_runs).ln();
        if !apart || !beyond {
            return Finding::Noise;
        }
        if (self.after.value > self.before.value) == self.higher_is_better { Finding::Better } else { Finding::Worse }
    }
}

/// Two reports side by side.
#[derive(Debug)]
pub(crate) struct Comparison {
    rows: Vec<Row>,
    /// What is noise whatever the intervals say, as a part.
    between_runs: f64,
    /// What makes the two hard to compare.
    cautions: Vec<String>,
}

impl Comparison {
    /// Compares what both reports have.
    pub(crate) fn new(before: &Report, after: &Report) -> Result<Self, UsageError> {
        let (between_runs, cautions) = (between_runs(before, after), cautions(before, after));
        let mut comparison = Self { rows: Vec::new(), between_runs, cautions };
        for (phase, step) in before.steps() {
            let title = phase.title(step);
            let same = |(other, candidate): &(&super::model::Phase, &Step)| other.title(candidate) == title;
            if let Some((_, other)) = after.steps().find(same) {
                comparison.compare_steps(&title, step, other);
            }
        }
        if comparison.rows.is_empty() { Err(UsageError::NothingInCommon) } else { Ok(comparison) }
    }

    fn compare_steps(&mut self, title: &str, before: &Step, after: &Step) {
        for (one, other) in before.flows.iter().zip(&after.flows).filter(|(one, other)| one.label == other.label) {
            let is_plain = before.flows.len() == 1 || one.label == one.unit;
            let name = if is_plain { title.to_owned() } else { format!("{title}, {}", one.label) };
            self.compare_flows(&name, one, other);
        }
        if let (Some(one), Some(other)) = (relay_cpu(before), relay_cpu(after)) {
            self.add(format!("{title}: relay CPU"), Unit::Nanoseconds, one, other, false);
        }
        if let (Some(one), Some(other)) = (before.relay_rss_peak_bytes, after.relay_rss_peak_bytes) {
            let figure = |bytes: u64| Figure::alone(bytes as f64);
            self.add(format!("{title}: relay RSS"), Unit::Bytes, figure(one), figure(other), false);
        }
    }

    fn compare_flows(&mut self, name: &str, before: &Flow, after: &Flow) {
        // Over a longer time a rate is the mean of rates. No such thing can be said of quantiles.
        let rates = |flow: &Flow| blocks(&values(flow, |point| Some(point.messages_per_s)), mean);
        self.add_blocks(format!("{name}: {} a second", before.unit), Unit::PerSecond, [rates(before), rates(after)]);
        self.compare_times(format!("{name}: p50"), [before, after], |point| point.p50_ns);
        self.compare_times(format!("{name}: p99"), [before, after], |point| point.p99_ns);
    }

    fn compare_times(&mut self, name: String, flows: [&Flow; 2], of: fn(&Point) -> Option<u64>) {
        let times = |flow: &Flow| blocks(&values(flow, |point| of(point).map(|ns| ns as f64)), median);
        self.add_blocks(name, Unit::Nanoseconds, flows.map(times));
    }

    fn add_blocks(&mut self, name: String, unit: Unit, [before, after]: [Vec<f64>; 2]) {
        if let (Some(one), Some(other)) = (Figure::of(&before), Figure::of(&after))
            && one.value > 0.0
        {
            self.add(name, unit, one, other, unit == Unit::PerSecond);
        }
    }

    fn add(&mut self, name: String, unit: Unit, before: Figure, after: Figure, higher_is_better: bool) {
        self.rows.push(Row { name, unit, before, after, between_runs: self.between_runs, higher_is_better });
    }
}

/// By which part two runs may differ for no reason of their own.
fn between_runs(before: &Report, after: &Report) -> f64 {
    let speed = after.machine.checked_per_s / before.machine.checked_per_s;
    let of_speed = if speed.is_finite() && speed > 0.0 { speed.ln().abs().exp() - 1.0 } else { 0.0 };
    let kept_waiting = |report: &Report| notes::contention_shares(report).into_iter().fold(0.0, f64::max);
    BETWEEN_RUNS + of_speed + kept_waiting(before).max(kept_waiting(after))
}

fn cautions(before: &Report, after: &Report) -> Vec<String> {
    let mut cautions = Vec::new();
    let mut note = |differs: bool, what: &str| {
        if differs {
            cautions.push(what.to_owned());
        }
    };
    let speed = after.machine.checked_per_s / before.machine.checked_per_s;
    let other_speed = format!("the machine itself was {speed:.2} times as fast when B ran");
    note((speed - 1.0).abs() > SPEED_NOISE, &other_speed);
    let machine = |report: &Report| (report.machine.cpu.clone(), report.machine.cpus, report.machine.kernel.clone());
    note(machine(before) != machine(after), "they ran on different machines or kernels");
    let shards = |report: &Report| (report.relay.embedded, report.relay.shards, report.generator.threads);
    note(shards(before) != shards(after), "relay or generator had other threads");
    let settings = |report: &Report| report.phases.iter().map(|phase| phase.settings.clone()).collect::<Vec<_>>();
    note(settings(before) != settings(after), "their phases had other settings");
    for (report, name) in [(before, "A"), (after, "B")] {
        report.warnings.iter().for_each(|warning| note(true, &format!("{name}: {warning}")));
    }
    note(!(before.verified && after.verified), "not all of it is verified");
    cautions
}

fn values(flow: &Flow, of: impl Fn(&Point) -> Option<f64>) -> Vec<f64> {
    flow.series.iter().filter_map(of).collect()
}

/// What a message took of the relay's CPU; the course of the CPU's share, scaled to that, says how steadily.
fn relay_cpu(step: &Step) -> Option<Figure> {
    let total = step.relay_cpu_ns_per_message?;
    let shares: Vec<f64> = step.relay_cpu_series.iter().map(|&(_, share)| share).collect();
    let all = mean(&shares).filter(|all| *all > 0.0)?;
    let scaled: Vec<f64> = blocks(&shares, mean).into_iter().map(|share| share / all * total).collect();
    Some(Figure { value: total, ..Figure::of(&scaled)? })
}

/// What neighbours come to, so that there are at most [`BLOCKS`].
fn blocks(values: &[f64], of: impl Fn(&[f64]) -> Option<f64>) -> Vec<f64> {
    let len = values.len().div_ceil(BLOCKS).max(1);
    values.chunks(len).filter_map(of).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[len / 2]),
        len => Some((sorted[len / 2 - 1] + sorted[len / 2]) / 2.0),
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        writeln!(f, "{:width$} {:>12} {:>12} {:>7}  {:>8}  finding", "", "A", "B", "B / A", "noise")?;
        for row in &self.rows {
            let show = |value: f64| match row.unit {
                Unit::PerSecond => text::count(value),
                Unit::Nanoseconds => text::time(value),
                Unit::Bytes => text::memory(value as u64),
            };
            let noise = row.within_runs().map_or("-".into(), |part| format!("{:.1} %", part * 100.0));
            let finding = match row.finding() {
                Finding::Noise => "within the noise",
                Finding::Better => "B is better",
                Finding::Worse => "B is worse",
                Finding::Unknown => "too few numbers to tell",
            };
            let (before, after) = (show(row.before.value), show(row.after.value));
            let Row { name, .. } = row;
            writeln!(f, "{name:width$} {before:>12} {after:>12} {:>7.3}  {noise:>8}  {finding}", row.ratio())?;
        }
        let part = self.between_runs * 100.0;
        writeln!(f, "noise is that within both runs; differences below {part:.0} % count as that between runs")?;
        self.cautions.iter().try_for_each(|caution| writeln!(f, "caution: {caution}"))
    }
}

#[cfg(test)]
mod tests;
