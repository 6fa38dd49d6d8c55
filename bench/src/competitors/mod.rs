//! `bench competitors`: the relay beside what a user would pick in its place, on the same work, in one run.
//!
//! In each round of a case every competitor's server is started afresh on a CPU of its own, and clients on another one send the
//! same messages through it, in an order that is another in each round. The clients are as lean as can be and the same for
//! all but for the words of the protocol: messages are prepared, writes large, and what arrives is compared byte by byte. So it
//! is servers that are measured.
//!
//! - [`competitor`] who takes part, [`servers`] how they are configured, [`program`] where they are, [`host`] one that runs;
//!   [`wires`] their protocols
//! - [`cases`] what is done, of which [`stalled`] is done nowhere else; [`figures`] what is measured
//! - [`install`] what is missing

mod cases;
mod competitor;
mod figures;
mod host;
mod install;
mod program;
mod servers;
mod stalled;
mod wires;

use std::rc::Rc;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use self::competitor::{Competitor, OURS};
use crate::console;
use crate::lab::report::{self, Preface, Style};
use crate::lab::scene::RoundFlags;
use crate::lab::table::Table;

#[derive(Debug, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    rounds: RoundFlags,
    /// Say what installs the competitors that are missing, and do nothing
    #[arg(long)]
    install: bool,
    /// Install them, with --install
    #[arg(long, requires = "install")]
    run: bool,
    /// Only these competitors, beside minbus (may be repeated)
    #[arg(long = "competitor", value_name = "NAME")]
    competitors: Vec<String>,
}

const STYLE: Style = Style {
    variants: "competitors",
    variant: "",
    goals: "Ahead of the others",
    goal_heads: ["compared with", "their CPU / ours", "goal", "reached"],
    goal_row: |outcome, goal, [measured, bound, reached]| {
        [outcome.case.name.clone(), goal.variant.to_owned(), measured, bound, reached]
    },
    forgives: true,
};

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let competitors = flags.competitors()?;
    let cases = flags.rounds.pick(cases::all(&competitors), |case| &case.name)?;
    if flags.rounds.list {
        report::list(&cases)?;
        console::say("")?;
        return competitors.iter().try_for_each(|competitor| {
            let what = competitor.missing().unwrap_or_else(|| competitor.version());
            console::say(format_args!("{:18} {what}", competitor.name))
        });
    }
    if flags.install {
        return install::run(&competitors, flags.run);
    }
    report::measure(&flags.rounds, &flags.rounds.scene()?, &cases, &STYLE, &preface(&competitors))
}

/// Who takes part, or why not.
fn preface(competitors: &[Rc<Competitor>]) -> Preface {
    let mut table = Table::new("competitor", ["version", "settings"].into_iter());
    let mut about = Vec::new();
    for competitor in competitors {
        let (name, settings, missing) = (competitor.name, competitor.settings, competitor.missing());
        let version = if missing.is_some() { "-".to_owned() } else { competitor.version() };
        let what = missing.clone().unwrap_or_else(|| settings.to_owned());
        table.row(name, [version.clone(), what].into_iter());
        about.push(json!({ "name": name, "version": version, "settings": settings, "missing": missing }));
    }
    let json = [("competitors".to_owned(), about.into())].into_iter().collect();
    Preface { json, markdown: format!("\n### Who took part\n\n{}", table.markdown()) }
}

impl Flags {
    /// Who takes part.
    fn competitors(&self) -> Result<Vec<Rc<Competitor>>> {
        let mut competitors = competitor::all();
        if let Some(unknown) =
            self.competitors.iter().find(|name| competitors.iter().all(|competitor| competitor.name != **name))
        {
            bail!("there is no competitor {unknown:?}; --list says which there are");
        }
        competitors.retain(|competitor| {
            self.competitors.is_empty()
                || competitor.name == OURS
                || self.competitors.iter().any(|name| name == competitor.name)
        });
        Ok(competitors.into_iter().map(Rc::new).collect())
    }
}
