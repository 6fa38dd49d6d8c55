//! What came out: all samples for machines, medians for people.

use serde::Serialize;

use super::case::Case;
use super::columns::{self, Column};
use super::goals::{Figure, Goal};
use super::outcome::{Outcome, Series, Spread};
use super::sample::Sample;
use super::table::Table;
use crate::rounds::Head;

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) cases: Vec<Outcome>,
}

impl Report {
    /// All of it, beginning with what was to be reached.
    pub(super) fn markdown(&self, goals: &Table) -> String {
        let mut text = format!("{}\n### Goals\n\n{}", self.head.text(), goals.markdown());
        for case in &self.cases {
            text += &format!("\n### {}\n\n{}", case.heading(), case.table().markdown());
        }
        text
    }
}

impl Outcome {
    /// What it is, and who is the baseline.
    pub(super) fn heading(&self) -> String {
        format!("{} (`{}`, baseline: {})", self.title, self.name, self.baseline)
    }

    pub(super) fn new(case: &Case) -> Self {
        let series = |name| Series { name, rounds: Vec::new() };
        Self {
            name: case.name.clone(),
            title: case.title.clone(),
            baseline: case.baseline,
            subjects: case.subjects.iter().map(|subject| series(subject.name)).collect(),
            goals: case.goals.clone(),
        }
    }

    /// A table of medians. A ratio is the median of those of each round, in which all ran one after another; behind it
    /// the least and the greatest.
    pub(super) fn table(&self) -> Table {
        let columns: Vec<Column> = match self.subjects.first().and_then(|series| series.rounds.first()) {
            Some(Sample { bytes_each: Some(_), .. }) => columns::MEMORY.to_vec(),
            Some(Sample { round_trip: Some(_), counts, .. }) => columns::round_trip(counts.is_some()),
            Some(Sample { counts, .. }) => columns::flow(counts.is_some()),
            None => Vec::new(),
        };
        let mut table = Table::new("server", columns.iter().map(|(head, _)| *head));
        for series in &self.subjects {
            table.row(series.name, columns.iter().map(|(_, cell)| cell(self, series)));
        }
        table
    }
}

/// A row for each goal of these cases.
pub(super) fn goals_table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new("case", ["figure", "goal", "median (least-greatest)", "reached"].into_iter());
    for outcome in outcomes {
        for goal in &outcome.goals {
            let Some(spread) = measured(goal, outcome) else { continue };
            let reached = if goal.bound.is_met(spread.median) { "yes" } else { "no" };
            let decimals = if matches!(goal.figure, Figure::Memory) { 0 } else { 2 };
            let cells = [goal.what().to_owned(), goal.bound.text(), spread.text(decimals), reached.to_owned()];
            table.row(&outcome.title, cells.into_iter());
        }
    }
    table
}

/// What was measured of a goal.
fn measured(goal: &Goal, outcome: &Outcome) -> Option<Spread> {
    match goal.figure {
        Figure::Cpu => outcome.ratios(goal.subject, Sample::cpu_ns_per_message),
        Figure::Rate => outcome.ratios(goal.subject, Sample::messages_per_s),
        Figure::P50 => outcome.ratios(goal.subject, Sample::p50_ns),
        Figure::P99 => outcome.ratios(goal.subject, Sample::p99_ns),
        Figure::Memory => outcome.spread(goal.subject, Sample::bytes_each),
    }
}
