//! `bench credit`: is memory bounded, are others spared, and does credit flow, whatever a plugin does?
//!
//! In each round of a case its variants run one after another, each with a fresh relay: a pair alone and beside others, a
//! cap that finds its size and caps that have it from the start.
//!
//! - [`case`] what is compared, [`scene`] the relays that all are measured on, [`report`] what came out
//! - [`stalled`], [`sharing`], [`floods`] a healthy pair beside others that are not
//! - [`growth`], [`paced`], [`distance`] caps that follow what a half makes of them; [`link_emulator`] a long way to the relay
//! - [`blame`] what the relay says that a direction waits for; [`look`] asks it

mod blame;
pub(crate) mod case;
mod distance;
mod floods;
mod growth;
mod link_emulator;
mod look;
mod paced;
mod report;
pub(crate) mod scene;
mod sharing;
pub(crate) mod stalled;

use anyhow::{Context, Result};

use crate::console;
use crate::rounds::{Bench, RoundFlags};
use case::Case;
use report::{Outcome, Report};
use scene::Scene;

/// Measures and prints.
pub(crate) fn run(flags: &RoundFlags) -> Result<()> {
    run_cases(flags, all())
}

/// All cases.
fn all() -> Vec<Case> {
    [
        stalled::cases(),
        sharing::cases(),
        growth::cases(),
        paced::cases(),
        distance::cases(),
        floods::cases(),
        blame::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The same with other cases.
pub(crate) fn run_cases(flags: &RoundFlags, cases: Vec<Case>) -> Result<()> {
    let cases = flags.pick(cases, |case| case.name)?;
    if flags.list {
        return cases.iter().try_for_each(|case| console::say(format_args!("{:18} {}", case.name, case.title)));
    }
    let report = measure(flags, &cases)?;
    if flags.markdown {
        console::say(report.markdown())?;
    } else {
        console::say(format_args!("Goals\n{}", report.goals().text()))?;
    }
    flags.write(&report)
}

fn measure(flags: &RoundFlags, cases: &[Case]) -> Result<Report> {
    let bench = flags.prepare()?;
    let scene = Scene::new(&bench, flags.quick)?;
    let mut outcomes = Vec::new();
    for case in cases {
        let outcome = run_case(case, &scene, &bench).with_context(|| case.name)?;
        if !flags.markdown {
            console::say(format_args!("{}\n{}", outcome.heading(), outcome.table().text()))?;
        }
        outcomes.push(outcome);
    }
    Ok(Report { head: bench.head()?, cases: outcomes })
}

fn run_case(case: &Case, scene: &Scene, bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::new(case);
    for index in bench.turns(case.variants.len()) {
        let variant = &case.variants[index];
        let figures = (variant.run)(scene).with_context(|| variant.name)?;
        outcome.variants[index].rounds.push(figures);
    }
    Ok(outcome)
}
