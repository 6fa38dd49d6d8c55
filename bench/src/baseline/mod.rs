//! `bench baseline`: what does the relay cost, beside programs that forward bytes and know nothing?
//!
//! In each round of a case all servers carry the same traffic one after another, each as a fresh process.
//!
//! - [`case`] what is compared, [`server`] the processes, [`cpu`] where they run and what they use
//! - [`plugin`], [`socket`], [`batch`], [`pattern`] an end of the traffic; [`line`] one that may lead through a
//!   forwarder; [`waiting`] many of them
//! - [`flow`], [`round_trip`], [`crowd`], [`memory`] what is measured; [`sample`] the window in which it is, [`counting`]
//!   what is counted beside that
//! - [`outcome`], [`report`], [`columns`], [`table`] what came out, [`goals`] whether that is enough

pub(crate) mod batch;
mod case;
mod columns;
mod counting;
pub(crate) mod cpu;
mod crowd;
pub(crate) mod flow;
pub(crate) mod goals;
pub(crate) mod line;
mod memory;
pub(crate) mod outcome;
mod pattern;
pub(crate) mod plugin;
pub(crate) mod report;
pub(crate) mod round_trip;
pub(crate) mod sample;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod table;
pub(crate) mod waiting;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::console;
use crate::rounds::{Bench, RoundFlags};
use case::{Case, Place, Subject, Traffic};
use outcome::Outcome;
use report::Report;
use sample::{Sample, Setting};
use server::Server;

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

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let cases = flags.cases()?;
    if flags.rounds.list {
        return cases.iter().try_for_each(|case| console::say(format_args!("{:18} {}", case.name, case.title)));
    }
    let report = measure(flags, &cases)?;
    let goals = report::goals_table(&report.cases);
    if flags.rounds.markdown {
        console::say(report.markdown(&goals))?;
    } else {
        console::say(format_args!("Goals\n{}", goals.text()))?;
    }
    flags.rounds.write(&report)
}

fn measure(flags: &Flags, cases: &[Case]) -> Result<Report> {
    let mut bench = flags.rounds.prepare()?;
    bench.setting.counts = flags.counts;
    bench.setting.config.clone_from(&flags.config);
    let mut outcomes = Vec::new();
    for case in cases {
        let outcome = run_case(case, &bench).with_context(|| case.name.clone())?;
        if !flags.rounds.markdown {
            console::say(format_args!("{}\n{}", outcome.heading(), outcome.table().text()))?;
        }
        outcomes.push(outcome);
    }
    Ok(Report { head: bench.head()?, cases: outcomes })
}

impl Flags {
    /// What is to be run.
    fn cases(&self) -> Result<Vec<Case>> {
        let mut cases = self.rounds.pick(case::all(), |case| &case.name)?;
        for case in &mut cases {
            let baseline = case.baseline;
            case.subjects.retain(|subject| {
                self.servers.is_empty()
                    || subject.name == baseline
                    || self.servers.iter().any(|name| name == subject.name)
            });
        }
        Ok(cases)
    }
}

fn run_case(case: &Case, bench: &Bench) -> Result<Outcome> {
    let cpus: &[usize] = match case.place {
        Place::Apart => &[bench.server_cpu],
        Place::Together => &[bench.plugins_cpu],
        Place::Everywhere => &[bench.server_cpu, bench.plugins_cpu],
    };
    let mut outcome = Outcome::new(case);
    for index in bench.turns(case.subjects.len()) {
        let subject = &case.subjects[index];
        let sample = run_once(case, subject, &bench.setting, cpus).with_context(|| subject.name)?;
        outcome.subjects[index].rounds.push(sample);
    }
    Ok(outcome)
}

fn run_once(case: &Case, subject: &Subject, setting: &Setting, cpus: &[usize]) -> Result<Sample> {
    let mut server = Server::start(subject.program, case.transport, cpus, setting.config.as_deref())?;
    let sample = match subject.traffic {
        Traffic::Flow { size, between } => flow::measure(&mut server, setting, size, between)?,
        Traffic::RoundTrip { size } => round_trip::measure(&mut server, setting, size)?,
        Traffic::Crowd(crowd) => crowd::measure(&mut server, setting, crowd)?,
        Traffic::IdleConnections(count) => Sample::memory(memory::of_connections(&mut server, count)?),
        Traffic::IdleChannels(plugins) => Sample::memory(memory::of_channels(&mut server, plugins)?),
    };
    server.stop()?;
    Ok(sample)
}
