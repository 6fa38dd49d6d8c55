//! What the relay is to reach, and whether it does.

use super::report::{Outcome, Spread};
use super::sample::Sample;
use super::table::Table;

/// Something that a subject is to reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) subject: &'static str,
    pub(super) figure: Figure,
    pub(super) bound: Bound,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    /// CPU time for each message, as a multiple of the baseline's.
    Cpu,
    /// Messages in a second, as a part of the baseline's.
    Rate,
    /// Median and tail of round trips, as multiples of the baseline's.
    P50,
    P99,
    /// Bytes for each thing held.
    Memory,
}

/// How much it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(super) const fn new(subject: &'static str, figure: Figure, bound: Bound) -> Self {
        Self { subject, figure, bound }
    }

    fn what(&self) -> &'static str {
        match self.figure {
            Figure::Cpu => "CPU for each message / baseline",
            Figure::Rate => "messages/s / baseline",
            Figure::P50 => "p50 / baseline",
            Figure::P99 => "p99 / baseline",
            Figure::Memory => "bytes each",
        }
    }

    /// What was measured of it.
    fn spread(&self, outcome: &Outcome) -> Option<Spread> {
        match self.figure {
            Figure::Cpu => outcome.ratios(self.subject, Sample::cpu_ns_per_message),
            Figure::Rate => outcome.ratios(self.subject, Sample::messages_per_s),
            Figure::P50 => outcome.ratios(self.subject, Sample::p50_ns),
            Figure::P99 => outcome.ratios(self.subject, Sample::p99_ns),
            Figure::Memory => outcome.spread(self.subject, Sample::bytes_each),
        }
    }
}

impl Bound {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::AtLeast(bound) => format!("at least {bound}"),
        }
    }
}

/// A row for each goal of these cases.
pub(super) fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new("case", ["figure", "goal", "median (least-greatest)", "reached"].into_iter());
    for outcome in outcomes {
        for goal in &outcome.goals {
            let Some(spread) = goal.spread(outcome) else { continue };
            let reached = if goal.bound.is_met(spread.median) { "yes" } else { "no" };
            let decimals = if matches!(goal.figure, Figure::Memory) { 0 } else { 2 };
            let cells = [goal.what().to_owned(), goal.bound.text(), spread.text(decimals), reached.to_owned()];
            table.row(&outcome.title, cells.into_iter());
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_on_their_side() {
        assert!(Bound::AtMost(1.35).is_met(1.35) && !Bound::AtMost(1.35).is_met(1.36));
        assert!(Bound::AtLeast(0.85).is_met(0.85) && !Bound::AtLeast(0.85).is_met(0.84));
        assert!(!Bound::AtMost(1.0).is_met(f64::NAN) && !Bound::AtLeast(1.0).is_met(f64::NAN));
    }
}
