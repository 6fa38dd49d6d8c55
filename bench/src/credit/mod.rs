//! `bench credit`: is memory bounded, are others spared, and does credit flow, whatever a plugin does?
//!
//! In each round of a case its variants run one after another, each with a fresh relay, in an order that is another in
//! each round: a pair alone and beside others, a cap that finds its size and caps that have it from the start. What is
//! compared with something else is compared within a round.
//!
//! - [`case`] what is compared, [`scene`] the relays that all are measured on, [`report`] what came out
//! - [`stalled`], [`sharing`], [`floods`] a healthy pair beside others that are not
//! - [`growth`], [`paced`], [`distance`] caps that follow what a half makes of them; [`wire`] a long way to the relay
//! - [`blame`] what the relay says that a direction waits for; [`look`] asks it

mod blame;
mod case;
mod distance;
mod floods;
mod growth;
mod look;
mod paced;
mod report;
mod scene;
mod sharing;
mod stalled;
mod wire;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::floors::cpu;
use case::Case;
use report::{Outcome, Report};
use scene::Scene;

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Say which cases there are, and do nothing
    #[arg(long)]
    list: bool,
    /// Only the case of this name, or those with this in their names (may be repeated)
    #[arg(long = "case", value_name = "TEXT")]
    cases: Vec<String>,
    /// How often all variants have their turn
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each is measured in each round; some take a multiple of it
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS")]
    seconds: f64,
    /// One short round, to see whether it works: its figures mean nothing
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Print Markdown, when all is done
    #[arg(long)]
    markdown: bool,
    /// Write all figures to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let cases = flags.cases();
    if cases.is_empty() {
        bail!("there is no such case; --list says which there are");
    }
    if flags.list {
        cases.iter().for_each(|case| println!("{:18} {}", case.name, case.title));
        return Ok(());
    }
    let report = measure(flags, &cases)?;
    if flags.markdown {
        println!("{}", report.markdown());
    } else {
        println!("Goals\n{}", report.goals().text());
    }
    if let Some(path) = &flags.json {
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn measure(flags: &Flags, cases: &[Case]) -> Result<Report> {
    let window = Duration::try_from_secs_f64(flags.seconds).context("--seconds")?;
    let (rounds, scene) = if flags.quick { (1, Scene::quick()?) } else { (flags.rounds, Scene::new(window)?) };
    let mut outcomes = Vec::new();
    for case in cases {
        let outcome = run_case(case, &scene, rounds).with_context(|| case.name)?;
        if !flags.markdown {
            println!("{}\n{}", outcome.heading(), outcome.table().text());
        }
        outcomes.push(outcome);
    }
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cpu: cpu::model()?,
        rounds,
        window_s: scene.setting.window.as_secs_f64(),
        cases: outcomes,
    })
}

fn run_case(case: &Case, scene: &Scene, rounds: u32) -> Result<Outcome> {
    let mut outcome = Outcome::new(case);
    let count = case.variants.len();
    for round in 0..rounds as usize {
        for turn in 0..count {
            let index = (round + turn) % count;
            let variant = &case.variants[index];
            let figures = (variant.run)(scene).with_context(|| variant.name)?;
            outcome.variants[index].rounds.push(figures);
        }
    }
    Ok(outcome)
}

impl Flags {
    /// What is to be run.
    fn cases(&self) -> Vec<Case> {
        let mut cases = case::all();
        let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
        let is_meant = |name: &str, text: &str| name == text || !names.contains(&text) && name.contains(text);
        cases.retain(|case| self.cases.is_empty() || self.cases.iter().any(|text| is_meant(case.name, text)));
        cases
    }
}
