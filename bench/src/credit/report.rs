//! What came out: all figures for machines, medians and goals for people.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::case::{Against, Case, Figures, Goal};
use crate::baseline::outcome::Spread;
use crate::baseline::table::{Table, significant};
use crate::rounds::Head;

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) cases: Vec<Outcome>,
}

/// What was measured in a case.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    name: &'static str,
    title: &'static str,
    pub(super) variants: Vec<Series>,
    #[serde(skip)]
    goals: Vec<Goal>,
}

/// The figures of a variant, for each round.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    name: &'static str,
    #[serde(serialize_with = "by_name")]
    pub(super) rounds: Vec<Figures>,
}

fn by_name<S: Serializer>(rounds: &[Figures], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rounds.iter().map(|figures| figures.iter().copied().collect::<BTreeMap<_, _>>()))
}

impl Report {
    /// All of it, beginning with what was to be reached.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("{}\n### Goals\n\n{}", self.head.text(), self.goals().markdown());
        for case in &self.cases {
            text += &format!("\n### {}\n\n{}", case.heading(), case.table().markdown());
        }
        text
    }

    /// A row for each goal.
    pub(super) fn goals(&self) -> Table {
        let mut table = Table::new("case", ["figure", "goal", "median (least-greatest)", "reached"].into_iter());
        for case in &self.cases {
            for goal in &case.goals {
                let Some(spread) = case.spread(goal) else { continue };
                let reached = if goal.bound.is_met(spread.median) { "yes" } else { "no" };
                let cells = [case.figure_name(goal), goal.bound.text(), spread.text(3), reached.to_owned()];
                table.row(case.name, cells.into_iter());
            }
        }
        table
    }
}

impl Outcome {
    pub(super) fn new(case: &Case) -> Self {
        let series = |name| Series { name, rounds: Vec::new() };
        Self {
            name: case.name,
            title: case.title,
            variants: case.variants.iter().map(|variant| series(variant.name)).collect(),
            goals: case.goals.clone(),
        }
    }

    pub(super) fn heading(&self) -> String {
        format!("{} (`{}`)", self.title, self.name)
    }

    /// Medians over all rounds.
    pub(super) fn table(&self) -> Table {
        let mut figures: Vec<&'static str> = Vec::new();
        for (name, _) in self.variants.iter().filter_map(|series| series.rounds.first()).flatten() {
            if !figures.contains(name) {
                figures.push(name);
            }
        }
        let mut table = Table::new("", figures.iter().copied());
        for series in &self.variants {
            let cell =
                |figure: &&str| series.spread(figure).map_or_else(|| "-".to_owned(), |it| significant(it.median));
            table.row(series.name, figures.iter().map(cell));
        }
        table
    }

    fn figure_name(&self, goal: &Goal) -> String {
        let Goal { variant, figure, .. } = goal;
        match goal.against {
            Against::Nothing => format!("{variant}: {figure}"),
            Against::Variant(other) => format!("{variant} / {other}: {figure}"),
            Against::BestOther => {
                let best = self.best_other(goal).map_or("none", |series| series.name);
                format!("{variant} / {best}: {figure}")
            }
        }
    }

    fn series(&self, name: &str) -> Option<&Series> {
        self.variants.iter().find(|series| series.name == name)
    }

    fn best_other(&self, goal: &Goal) -> Option<&Series> {
        let median = |series: &&Series| series.spread(goal.figure).map_or(f64::NEG_INFINITY, |spread| spread.median);
        let others = self.variants.iter().filter(|series| series.name != goal.variant);
        others.max_by(|one, other| median(one).total_cmp(&median(other)))
    }

    fn spread(&self, goal: &Goal) -> Option<Spread> {
        let mine = self.series(goal.variant)?;
        let other = match goal.against {
            Against::Nothing => return mine.spread(goal.figure),
            Against::Variant(name) => self.series(name)?,
            Against::BestOther => self.best_other(goal)?,
        };
        Spread::of(mine.figures(goal.figure).zip(other.figures(goal.figure)).map(|(mine, its)| mine / its))
    }
}

impl Series {
    fn figures(&self, figure: &str) -> impl Iterator<Item = f64> {
        let of = move |figures: &Figures| figures.iter().find(|(name, _)| *name == figure).map(|(_, value)| *value);
        self.rounds.iter().filter_map(of)
    }

    fn spread(&self, figure: &str) -> Option<Spread> {
        Spread::of(self.figures(figure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::goals::Bound;

    fn outcome() -> Outcome {
        let series =
            |name, values: [f64; 3]| Series { name, rounds: values.map(|value| vec![("MB/s", value)]).to_vec() };
        Outcome {
            name: "case",
            title: "A case",
            // The machine was slow in the second round: that hit all.
            variants: vec![
                series("grown", [90.0, 45.0, 99.0]),
                series("small", [50.0, 25.0, 200.0]),
                series("large", [100.0, 50.0, 100.0]),
            ],
            goals: Vec::new(),
        }
    }

    #[test]
    fn figures_are_compared_within_rounds() {
        let goal = Goal::new("grown", "MB/s", Bound::AtLeast(0.9));
        let spread = |against| outcome().spread(&goal.against(against)).expect("it was measured").text(2);
        assert_eq!(spread(Against::Nothing), "90.00 (45.00-99.00)");
        assert_eq!(spread(Against::Variant("large")), "0.90 (0.90-0.99)");
        assert_eq!(spread(Against::Variant("small")), "1.80 (0.49-1.80)");
    }

    #[test]
    fn the_best_is_the_one_with_the_greatest_median() {
        let goal = Goal::new("grown", "MB/s", Bound::AtLeast(0.9)).against(Against::BestOther);
        assert_eq!(outcome().figure_name(&goal), "grown / large: MB/s");
    }
}
