//! `bench baseline`: what does the relay cost, beside programs that forward bytes and know nothing?
//!
//! In each round of a case all servers carry the same traffic one after another, each as a fresh process.
//!
//! - [`cases`] what is compared, [`columns`] what people are shown of it; [`memory`] what idle plugins and channels take

mod cases;
mod columns;
mod memory;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::lab::report::{self, Preface, Style};
use crate::lab::scene::RoundFlags;

#[derive(Debug, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    rounds: RoundFlags,
    /// Only these servers, beside the baseline (may be repeated)
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// Give the relay this configuration, to see what a setting is worth
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also count system calls, completions and wakes, with perf, in a window of its own
    #[arg(long)]
    counts: bool,
}

const STYLE: Style = Style {
    variants: "subjects",
    variant: "server",
    goals: "Goals",
    goal_heads: ["figure", "goal", "median (least-greatest)", "reached"],
    goal_row: |outcome, goal, [measured, bound, reached]| {
        [outcome.case.title.clone(), columns::compared(goal).into(), bound, measured, reached]
    },
    forgives: false,
};

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut cases = flags.rounds.pick(cases::all(flags.config.as_ref(), flags.counts), |case| &case.name)?;
    for case in &mut cases {
        let is_meant = |name: &str| flags.servers.is_empty() || flags.servers.iter().any(|server| server == name);
        case.variants.retain(|variant| case.baseline == Some(variant.name) || is_meant(variant.name));
    }
    if flags.rounds.list {
        return report::list(&cases);
    }
    let mut scene = flags.rounds.scene()?;
    scene.setting.counts = flags.counts;
    report::measure(&flags.rounds, &scene, &cases, &STYLE, &Preface::default())
}
