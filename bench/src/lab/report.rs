//! What came out: all that was measured for machines, medians and goals for people.

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::case::{Case, Column, Goal, Shown};
use super::scene::{Head, RoundFlags, Scene};
use super::series::{Outcome, Series, Spread};
use super::table::{Table, significant};
use crate::console;

/// How a command tells of its cases.
pub(crate) struct Style {
    /// What variants are to machines.
    pub(crate) variants: &'static str,
    /// What they are to people.
    pub(crate) variant: &'static str,
    /// What goals are called, and the heads of their table behind the case.
    pub(crate) goals: &'static str,
    pub(crate) goal_heads: [&'static str; 4],
    /// The row of a goal of which this was measured, with this bound, which it reaches or not.
    pub(crate) goal_row: fn(&Outcome, &Goal, [String; 3]) -> [String; 5],
    /// Whether a variant that fails is out of the case, rather than the end of all.
    pub(crate) forgives: bool,
}

/// What stands before the cases.
#[derive(Default)]
pub(crate) struct Preface {
    pub(crate) json: Map<String, Value>,
    pub(crate) markdown: String,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    preface: &'a Map<String, Value>,
    cases: Vec<Told<'a>>,
}

/// An outcome, in a style.
struct Told<'a>(&'a Outcome<'a>, &'a Style);

/// Says which cases there are.
pub(crate) fn list(cases: &[Case]) -> Result<()> {
    cases.iter().try_for_each(|case| console::say(format_args!("{:18} {}", case.name, case.title)))
}

/// Measures the cases that are meant, or lists them, and prints.
pub(crate) fn run(flags: &RoundFlags, cases: Vec<Case>, style: &Style) -> Result<()> {
    let cases = flags.pick(cases, |case| &case.name)?;
    if flags.list { list(&cases) } else { measure(flags, &flags.scene()?, &cases, style, &Preface::default()) }
}

/// Measures cases and prints. The report is written after each case, so that what was measured is not lost with a run that is
/// broken off.
pub(crate) fn measure(
    flags: &RoundFlags,
    scene: &Scene,
    cases: &[Case],
    style: &Style,
    preface: &Preface,
) -> Result<()> {
    let mut outcomes = Vec::new();
    for case in cases {
        let outcome = run_case(case, scene, style.forgives).with_context(|| case.name.clone())?;
        if !flags.markdown {
            let absences: String = outcome.absences().map(|absence| format!("  {absence}\n")).collect();
            console::say(format_args!("{}\n{}{absences}", outcome.heading(), outcome.table(style).text()))?;
        }
        outcomes.push(outcome);
        let told = outcomes.iter().map(|outcome| Told(outcome, style)).collect();
        flags.write(&Report { head: scene.head(), preface: &preface.json, cases: told })?;
    }
    let goals = goals_table(&outcomes, style);
    if !flags.markdown {
        return console::say(format_args!("{}\n{}", style.goals, goals.text()));
    }
    let mut text = format!("{}{}\n### {}\n\n{}", scene.head().text(), preface.markdown, style.goals, goals.markdown());
    for outcome in &outcomes {
        text += &format!("\n### {}\n\n{}", outcome.heading(), outcome.table(style).markdown());
        outcome.absences().for_each(|absence| text += &format!("\n{absence}\n"));
    }
    console::say(text)
}

/// All rounds of a case.
fn run_case<'a>(case: &'a Case, scene: &Scene, forgives: bool) -> Result<Outcome<'a>> {
    let mut outcome = Outcome::new(case);
    for index in scene.turns(case.variants.len()) {
        let (variant, series) = (&case.variants[index], &mut outcome.series[index]);
        if series.failure.is_some() {
            continue;
        }
        match (variant.run)(scene) {
            Ok(round) => series.rounds.push(round),
            Err(error) if forgives => series.failure = Some(format!("{error:#}")),
            Err(error) => return Err(error.context(variant.name)),
        }
    }
    Ok(outcome)
}

/// A row for each goal of which something was measured.
fn goals_table(outcomes: &[Outcome], style: &Style) -> Table {
    let mut table = Table::new("case", style.goal_heads.into_iter());
    for outcome in outcomes {
        for goal in &outcome.case.goals {
            let Some(spread) = outcome.spread(goal) else { continue };
            let reached = if goal.bound.is_met(spread.median) { "yes" } else { "no" };
            let cells = [spread.text(goal.decimals), goal.bound.text(), reached.to_owned()];
            let [first, others @ ..] = (style.goal_row)(outcome, goal, cells);
            table.row(&first, others.into_iter());
        }
    }
    table
}

impl Outcome<'_> {
    /// What it is, and who is the baseline.
    fn heading(&self) -> String {
        let Case { name, title, baseline, .. } = self.case;
        let baseline = baseline.map(|baseline| format!(", baseline: {baseline}")).unwrap_or_default();
        format!("{title} (`{name}`{baseline})")
    }

    fn table(&self, style: &Style) -> Table {
        let columns = if self.case.columns.is_empty() { self.all_columns() } else { self.case.columns.clone() };
        let mut table = Table::new(style.variant, columns.iter().map(|column| column.head));
        for series in &self.series {
            table.row(series.name, columns.iter().map(|column| self.cell(series, column)));
        }
        table
    }

    /// The medians of everything that any variant has.
    fn all_columns(&self) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for (name, _) in self.series.iter().filter_map(|series| series.rounds.first()).flat_map(|it| &it.figures) {
            if columns.iter().all(|column| column.head != *name) {
                columns.push(Column::median(name, significant));
            }
        }
        columns
    }

    fn cell(&self, series: &Series, column: &Column) -> String {
        let values = self.values(series.name, column.figure, column.against);
        match (Spread::of(values.clone()), column.shown) {
            (Some(_), _) if series.failure.is_some() => "-".to_owned(),
            (None, _) => "-".to_owned(),
            (Some(spread), Shown::Median(text)) => text(spread.median),
            (Some(spread), Shown::Spread(decimals)) => spread.text(decimals),
            (Some(_), Shown::Rounds(text)) => text(&values),
        }
    }

    /// Who did not take part, and why.
    fn absences(&self) -> impl Iterator<Item = String> {
        self.series.iter().filter_map(|series| Some(format!("{}: {}", series.name, series.failure.as_ref()?)))
    }
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Outcome { case, series }, style) = self;
        let mut told = json!({ "name": case.name, "title": case.title, style.variants: series });
        if let Some(baseline) = case.baseline {
            told["baseline"] = baseline.into();
        }
        told.serialize(serializer)
    }
}
