//! What was measured in a case: series of samples, their medians and ratios.

use serde::Serialize;

use super::goals::Goal;
use super::sample::Sample;

/// What was measured in a case.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) title: String,
    /// Who the others are compared with.
    pub(super) baseline: &'static str,
    pub(super) subjects: Vec<Series>,
    #[serde(skip)]
    pub(super) goals: Vec<Goal>,
}

/// The samples of a subject, one for each round.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) rounds: Vec<Sample>,
}

impl Outcome {
    /// How a subject compares with the baseline, round by round.
    pub(super) fn ratios(&self, subject: &str, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let (mine, baseline) = (self.series(subject)?, self.series(self.baseline)?);
        Spread::of(mine.rounds.iter().zip(&baseline.rounds).map(|(mine, its)| figure(mine) / figure(its)))
    }

    /// A figure of a subject over all rounds.
    pub(super) fn spread(&self, subject: &str, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        self.series(subject)?.spread(figure)
    }

    fn series(&self, subject: &str) -> Option<&Series> {
        self.subjects.iter().find(|series| series.name == subject)
    }
}

impl Series {
    /// A figure over all rounds.
    pub(super) fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(figure))
    }

    /// The median of a figure.
    pub(super) fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        self.spread(figure).map_or(f64::NAN, |spread| spread.median)
    }
}

/// What a figure was in all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let median = if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) };
        Some(Self { median, least: values[0], greatest: values[values.len() - 1] })
    }

    /// `median (least-greatest)`.
    pub(crate) fn text(self, decimals: usize) -> String {
        let Self { median, least, greatest } = self;
        format!("{median:.decimals$} ({least:.decimals$}-{greatest:.decimals$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found_in_any_order() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, greatest: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0]), Some(Spread { median: 2.5, least: 1.0, greatest: 4.0 }));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let series = |name, cpu: [f64; 3]| {
            let sample = |server_cpu_ns| Sample { server_cpu_ns, messages: 1.0, ..Sample::default() };
            Series { name, rounds: cpu.map(sample).to_vec() }
        };
        let outcome = Outcome {
            name: String::new(),
            title: String::new(),
            baseline: "baseline",
            // The machine was slow in the second round: that hit both.
            subjects: vec![series("relay", [12.0, 36.0, 13.0]), series("baseline", [10.0, 30.0, 10.0])],
            goals: Vec::new(),
        };
        let ratios = outcome.ratios("relay", Sample::cpu_ns_per_message).expect("both were measured");
        assert_eq!(ratios.text(2), "1.20 (1.20-1.30)");
        assert_eq!(outcome.ratios("copy", Sample::cpu_ns_per_message), None);
    }
}
