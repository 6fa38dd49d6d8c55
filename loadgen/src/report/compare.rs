//! Two reports side by side: how many times as much is the second, how sure is that, and is it more than noise?
//!
//! The numbers of a step vary in the course of it. Its intervals are gathered into blocks, and a ratio is that of two
//! medians over blocks; its spread is what other choices of the same blocks would have given (the bootstrap). A
//! difference counts as noise when no difference lies within the spread, or when it is smaller than what two runs of the
//! same usually differ by.

use std::fmt::{self, Display};

use super::model::{Flow, Point, Report, Step};
use super::text;
use crate::error::UsageError;

/// Blocks that a step is divided into: long enough to have little to do with each other.
const BLOCKS: usize = 10;

/// Choices of blocks for the spread, and the share of them within it.
const CHOICES: usize = 2000;
const WITHIN: f64 = 0.95;

/// A smaller difference between two runs says nothing, however steady each of them was.
const NOISE_MIN: f64 = 0.03;

/// By how much the machine's own speed may differ before it is worth a word.
const SPEED_NOISE: f64 = 0.08;

/// One number of two runs.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    unit: Unit,
    before: f64,
    after: f64,
    /// How many times as much, and from where to where that may be.
    ratio: f64,
    spread: Option<(f64, f64)>,
    higher_is_better: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    PerSecond,
    Nanoseconds,
    Bytes,
}

/// What a ratio says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Noise,
    Better,
    Worse,
    /// There is nothing to tell how much of it is noise.
    Unknown,
}

impl Row {
    fn finding(&self) -> Finding {
        let Some((low, high)) = self.spread else { return Finding::Unknown };
        if (low..=high).contains(&1.0) || (self.ratio - 1.0).abs() < NOISE_MIN {
            return Finding::Noise;
        }
        if (self.ratio > 1.0) == self.higher_is_better { Finding::Better } else { Finding::Worse }
    }
}

/// Two reports side by side.
#[derive(Debug)]
pub(crate) struct Comparison {
    rows: Vec<Row>,
    /// What makes the two hard to compare.
    cautions: Vec<String>,
}

impl Comparison {
    /// Compares what both reports have.
    pub(crate) fn new(before: &Report, after: &Report) -> Result<Self, UsageError> {
        let mut rows = Vec::new();
        for (phase, step) in before.steps() {
            let title = phase.title(step);
            let same = |(other, candidate): &(&super::model::Phase, &Step)| other.title(candidate) == title;
            if let Some((_, other)) = after.steps().find(same) {
                compare_steps(&title, step, other, &mut rows);
            }
        }
        if rows.is_empty() {
            return Err(UsageError::NothingInCommon);
        }
        Ok(Self { rows, cautions: cautions(before, after) })
    }
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
    note(!(before.verified && after.verified), "not all of it is verified");
    cautions
}

fn compare_steps(title: &str, before: &Step, after: &Step, rows: &mut Vec<Row>) {
    for (one, other) in before.flows.iter().zip(&after.flows).filter(|(one, other)| one.label == other.label) {
        let is_plain = before.flows.len() == 1 || one.label == one.unit;
        let name = if is_plain { title.to_owned() } else { format!("{title}, {}", one.label) };
        compare_flows(&name, one, other, rows);
    }
    if let (Some(one), Some(other)) = (before.relay_cpu_ns_per_message, after.relay_cpu_ns_per_message) {
        let blocks = |step: &Step, total: f64| {
            // The course of the CPU's share, scaled to what a message took.
            let values: Vec<f64> = step.relay_cpu_series.iter().map(|&(_, share)| share).collect();
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            blocks(&values).into_iter().map(|value| value / mean * total).collect::<Vec<_>>()
        };
        let spread = spread(&blocks(before, one), &blocks(after, other));
        rows.push(row(format!("{title}: relay CPU"), Unit::Nanoseconds, one, other, spread, false));
    }
    if let (Some(one), Some(other)) = (before.relay_rss_peak_bytes, after.relay_rss_peak_bytes) {
        rows.push(row(format!("{title}: relay RSS"), Unit::Bytes, one as f64, other as f64, None, false));
    }
}

fn compare_flows(name: &str, before: &Flow, after: &Flow, rows: &mut Vec<Row>) {
    let mut add = |what: &str, unit, of: &dyn Fn(&Point) -> Option<f64>, higher_is_better| {
        let values = |flow: &Flow| blocks(&flow.series.iter().filter_map(of).collect::<Vec<f64>>());
        let (one, other) = (values(before), values(after));
        if let (Some(first), Some(second)) = (median(&one), median(&other))
            && first > 0.0
        {
            let spread = spread(&one, &other);
            rows.push(row(format!("{name}: {what}"), unit, first, second, spread, higher_is_better));
        }
    };
    add(&format!("{} a second", before.unit), Unit::PerSecond, &|point| Some(point.messages_per_s), true);
    add("p50", Unit::Nanoseconds, &|point| point.p50_ns.map(|ns| ns as f64), false);
    add("p99", Unit::Nanoseconds, &|point| point.p99_ns.map(|ns| ns as f64), false);
}

fn row(name: String, unit: Unit, before: f64, after: f64, spread: Option<(f64, f64)>, higher_is_better: bool) -> Row {
    Row { name, unit, before, after, ratio: after / before, spread, higher_is_better }
}

/// Medians of neighbours, so that there are at most [`BLOCKS`].
fn blocks(values: &[f64]) -> Vec<f64> {
    let len = values.len().div_ceil(BLOCKS).max(1);
    values.chunks(len).filter_map(median).collect()
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

/// Between which ratios lie [`WITHIN`] of all choices of blocks, if there are enough to choose from.
fn spread(before: &[f64], after: &[f64]) -> Option<(f64, f64)> {
    if before.len() < 3 || after.len() < 3 {
        return None;
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut choose = |values: &[f64]| {
        let chosen: Vec<f64> = (0..values.len()).map(|_| values[random.usize(..values.len())]).collect();
        median(&chosen).unwrap_or(0.0)
    };
    let mut ratios: Vec<f64> = (0..CHOICES).map(|_| choose(after) / choose(before)).collect();
    ratios.sort_by(f64::total_cmp);
    let cut = ((1.0 - WITHIN) / 2.0 * CHOICES as f64) as usize;
    Some((ratios[cut], ratios[CHOICES - 1 - cut]))
}

impl Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        writeln!(f, "{:width$} {:>12} {:>12} {:>7}  {:15} finding", "", "A", "B", "B / A", "spread")?;
        for row in &self.rows {
            let show = |value: f64| match row.unit {
                Unit::PerSecond => text::count(value),
                Unit::Nanoseconds => text::time(value),
                Unit::Bytes => text::memory(value as u64),
            };
            let spread = row.spread.map_or("-".into(), |(low, high)| format!("{low:.3} .. {high:.3}"));
            let finding = match row.finding() {
                Finding::Noise => "within the noise",
                Finding::Better => "B is better",
                Finding::Worse => "B is worse",
                Finding::Unknown => "one number each",
            };
            let (before, after) = (show(row.before), show(row.after));
            writeln!(f, "{:width$} {before:>12} {after:>12} {:>7.3}  {spread:15} {finding}", row.name, row.ratio)?;
        }
        self.cautions.iter().try_for_each(|caution| writeln!(f, "caution: {caution}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of two runs whose intervals vary around these means by such a share.
    fn compare(before: f64, after: f64, noise: f64, higher_is_better: bool) -> Finding {
        let mut random = fastrand::Rng::with_seed(7);
        let mut run = |mean: f64| {
            let values: Vec<f64> = (0..100).map(|_| mean * (1.0 + noise * (random.f64() * 2.0 - 1.0))).collect();
            blocks(&values)
        };
        let (one, other) = (run(before), run(after));
        let (first, second) = (median(&one).expect("values"), median(&other).expect("values"));
        row("x".into(), Unit::PerSecond, first, second, spread(&one, &other), higher_is_better).finding()
    }

    #[test]
    fn a_difference_beyond_the_noise_is_found() {
        assert_eq!(compare(100.0, 150.0, 0.2, true), Finding::Better);
        assert_eq!(compare(100.0, 150.0, 0.2, false), Finding::Worse);
        assert_eq!(compare(100.0, 70.0, 0.2, true), Finding::Worse);
    }

    #[test]
    fn a_difference_within_the_noise_is_none() {
        assert_eq!(compare(100.0, 100.0, 0.3, true), Finding::Noise);
        assert_eq!(compare(100.0, 102.0, 0.0, true), Finding::Noise, "too small to mean anything");
        assert_eq!(compare(100.0, 104.0, 0.9, true), Finding::Noise);
    }

    #[test]
    fn without_intervals_there_is_no_finding() {
        assert_eq!(spread(&[1.0, 2.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(row("x".into(), Unit::Bytes, 1.0, 2.0, None, false).finding(), Finding::Unknown);
    }

    #[test]
    fn medians_of_blocks_leave_outliers_out() {
        let mut values = vec![5.0; 100];
        values[50] = 1e9;
        assert_eq!(blocks(&values), vec![5.0; BLOCKS]);
        assert_eq!(median(&[1.0, 3.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
