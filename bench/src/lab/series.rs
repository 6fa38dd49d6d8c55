//! What was measured: the rounds of each variant, and what figures were in all of them.

use serde::Serialize;

use super::case::{Against, Case, Goal};
use super::round::Round;

/// The rounds of a variant.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(super) name: &'static str,
    /// Why there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    pub(super) rounds: Vec<Round>,
}

/// What was measured in a case.
pub(crate) struct Outcome<'a> {
    pub(crate) case: &'a Case,
    pub(super) series: Vec<Series>,
}

/// What a figure was in all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(super) median: f64,
    least: f64,
    greatest: f64,
}

impl<'a> Outcome<'a> {
    /// A case of which nothing has been measured.
    pub(super) fn new(case: &'a Case) -> Self {
        let of = |name, failure| Series { name, failure, rounds: Vec::new() };
        Self { case, series: case.variants.iter().map(|it| of(it.name, it.missing.clone())).collect() }
    }

    fn series(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name)
    }

    /// What a figure is compared with.
    fn other(&self, variant: &str, figure: &str, against: Against) -> Option<&Series> {
        match against {
            Against::Nothing => None,
            Against::Variant(name) => self.series(name),
            Against::BestOther => {
                let others = self.series.iter().filter(|series| series.name != variant);
                let median = |series: &&Series| {
                    Spread::of(series.values(figure)).map_or(f64::NEG_INFINITY, |spread| spread.median)
                };
                others.max_by(|one, other| median(one).total_cmp(&median(other)))
            }
        }
    }

    /// A figure of a variant, or the ratio that it makes within each round.
    pub(super) fn values(&self, variant: &str, figure: &str, against: Against) -> Vec<f64> {
        let of = |series: Option<&Series>| series.map(|series| series.values(figure)).unwrap_or_default();
        let mine = of(self.series(variant));
        if let Against::Nothing = against {
            return mine;
        }
        let theirs = of(self.other(variant, figure, against));
        mine.into_iter().zip(theirs).map(|(mine, theirs)| mine / theirs).collect()
    }

    /// What was measured of a goal.
    pub(super) fn spread(&self, goal: &Goal) -> Option<Spread> {
        Spread::of(self.values(goal.variant, goal.figure, goal.against))
    }

    /// What a goal is about.
    pub(crate) fn subject(&self, goal: &Goal) -> String {
        let Goal { variant, figure, against, .. } = goal;
        match (against, self.other(variant, figure, *against)) {
            (Against::Nothing, _) => format!("{variant}: {figure}"),
            (_, other) => format!("{variant} / {}: {figure}", other.map_or("none", |series| series.name)),
        }
    }
}

impl Series {
    pub(super) fn values(&self, figure: &str) -> Vec<f64> {
        let of = |round: &Round| round.figures.iter().find(|(name, _)| *name == figure).map(|(_, value)| *value);
        self.rounds.iter().filter_map(of).collect()
    }
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let median = if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) };
        Some(Self { median, least: values[0], greatest: values[values.len() - 1] })
    }

    /// `median (least-greatest)`.
    pub(super) fn text(self, decimals: usize) -> String {
        let Self { median, least, greatest } = self;
        format!("{median:.decimals$} ({least:.decimals$}-{greatest:.decimals$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::case::{Bound, Variant};
    use crate::lab::round::Figures;

    /// Looks at an outcome in which the machine was slow in the second round: that hit all.
    fn look<R>(goal: Goal, at: impl FnOnce(&Outcome, &Goal) -> R) -> R {
        let figures = [("grown", [90.0, 45.0, 99.0]), ("small", [50.0, 25.0, 200.0]), ("large", [100.0, 50.0, 100.0])];
        let variants = figures.map(|(name, _)| Variant::new(name, |_| Ok(Figures::new())));
        let case = Case::new("case", "A case", variants.into(), Vec::new());
        let mut outcome = Outcome::new(&case);
        for (series, (_, values)) in outcome.series.iter_mut().zip(figures) {
            series.rounds = values.map(|value| Round::from(vec![("MB/s", value)])).to_vec();
        }
        at(&outcome, &goal)
    }

    const GOAL: Goal = Goal::new("grown", "MB/s", Bound::AtLeast(0.9));

    #[test]
    fn figures_are_compared_within_rounds() {
        let text = |against| look(GOAL.against(against), |outcome, goal| outcome.spread(goal).map(|it| it.text(2)));
        assert_eq!(text(Against::Nothing).as_deref(), Some("90.00 (45.00-99.00)"));
        assert_eq!(text(Against::Variant("large")).as_deref(), Some("0.90 (0.90-0.99)"));
        assert_eq!(text(Against::Variant("small")).as_deref(), Some("1.80 (0.49-1.80)"));
        assert_eq!(text(Against::Variant("none")), None);
    }

    #[test]
    fn the_best_is_the_one_with_the_greatest_median() {
        assert_eq!(
            look(GOAL.against(Against::BestOther), |outcome, goal| outcome.subject(goal)),
            "grown / large: MB/s"
        );
    }

    #[test]
    fn the_middle_is_found_in_any_order() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, greatest: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0]), Some(Spread { median: 2.5, least: 1.0, greatest: 4.0 }));
        assert_eq!(spread(&[]), None);
    }
}
