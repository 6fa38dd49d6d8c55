//! `bench floors`: what does the relay cost, beside programs that forward bytes and know nothing?
//!
//! In each round of a case all servers carry the same traffic one after another, each as a fresh process, in an order
//! that is another in each round. So whatever else the machine does hits all of them, and ratios within a round say
//! more than any figure by itself.
//!
//! - [`case`] what is compared, [`server`] the processes, [`cpu`] where they run and what they use
//! - [`plugin`], [`socket`], [`batch`], [`pattern`] an end of the traffic; [`line`] one that may lead through a
//!   forwarder; [`waiting`] many of them
//! - [`flow`], [`round_trip`], [`crowd`], [`memory`] what is measured; [`sample`] the window in which it is, [`counting`] what is
//!   counted beside that
//! - [`report`], [`columns`], [`table`] what came out, [`goals`] whether that is enough

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
mod pattern;
pub(crate) mod plugin;
pub(crate) mod report;
pub(crate) mod round_trip;
pub(crate) mod sample;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod table;
pub(crate) mod waiting;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use case::{Case, Entrant, Place, Traffic};
use report::{Outcome, Report};
use sample::{Sample, Setting};
use server::Server;

/// Time before each window.
const WARM_UP: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Say which cases there are, and do nothing
    #[arg(long)]
    list: bool,
    /// Only the case of this name, or those with this in their names (may be repeated)
    #[arg(long = "case", value_name = "TEXT")]
    cases: Vec<String>,
    /// Only these servers, beside the floor (may be repeated)
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// Give the relay this configuration, to see what a setting is worth
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How often all servers have their turn
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each is measured in each round
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS")]
    seconds: f64,
    /// One short round, to see whether it works: its figures mean nothing
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Also count system calls, completions and wakes, with perf, in a window of its own
    #[arg(long)]
    counts: bool,
    /// Print Markdown, when all is done
    #[arg(long)]
    markdown: bool,
    /// Write all samples to a file, as JSON
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
    let goals = goals::table(&report.cases);
    if flags.markdown {
        println!("{}", report.markdown(&goals));
    } else {
        println!("Goals\n{}", goals.text());
    }
    if let Some(path) = &flags.json {
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn measure(flags: &Flags, cases: &[Case]) -> Result<Report> {
    let allowed = cpu::allowed()?;
    let (server_cpu, plugins_cpu) = (allowed[0], allowed[allowed.len() - 1]);
    ensure!(server_cpu != plugins_cpu || flags.quick, "there is one CPU only: server and plugins need one each");
    cpu::pin(&[plugins_cpu])?;
    raise_descriptors()?;
    let (rounds, window, warm_up) = if flags.quick {
        (1, Duration::from_millis(50), Duration::from_millis(20))
    } else {
        (flags.rounds, Duration::try_from_secs_f64(flags.seconds).context("--seconds")?, WARM_UP)
    };
    let setting =
        Setting { plugin_cpus: vec![plugins_cpu], warm_up, window, counts: flags.counts, config: flags.config.clone() };
    let mut outcomes = Vec::new();
    for case in cases {
        let cpus: &[usize] = match case.place {
            Place::Apart => &[server_cpu],
            Place::Together => &[plugins_cpu],
            Place::Everywhere => &[server_cpu, plugins_cpu],
        };
        let outcome = run_case(case, &setting, cpus, rounds).with_context(|| case.name.clone())?;
        if !flags.markdown {
            println!("{}\n{}", outcome.heading(), outcome.table().text());
        }
        outcomes.push(outcome);
    }
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cpu: cpu::model()?,
        cpus: allowed.len(),
        rounds,
        server_cpu,
        plugins_cpu,
        window_s: window.as_secs_f64(),
        cases: outcomes,
    })
}

/// A crowd takes more descriptors than a process may have by default.
pub(crate) fn raise_descriptors() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

impl Flags {
    /// What is to be run.
    fn cases(&self) -> Vec<Case> {
        let mut cases = case::all();
        let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
        let is_meant = |name: &String, text: &String| name == text || !names.contains(text) && name.contains(text);
        cases.retain(|case| self.cases.is_empty() || self.cases.iter().any(|text| is_meant(&case.name, text)));
        for case in &mut cases {
            let floor = case.floor;
            case.entrants.retain(|entrant| {
                self.servers.is_empty() || entrant.name == floor || self.servers.iter().any(|name| name == entrant.name)
            });
        }
        cases
    }
}

fn run_case(case: &Case, setting: &Setting, cpus: &[usize], rounds: u32) -> Result<Outcome> {
    let mut outcome = Outcome::new(case);
    let count = case.entrants.len();
    for round in 0..rounds as usize {
        for turn in 0..count {
            let index = (round + turn) % count;
            let entrant = &case.entrants[index];
            let sample = run_once(case, entrant, setting, cpus).with_context(|| entrant.name)?;
            outcome.entrants[index].rounds.push(sample);
        }
    }
    Ok(outcome)
}

fn run_once(case: &Case, entrant: &Entrant, setting: &Setting, cpus: &[usize]) -> Result<Sample> {
    let mut server = Server::start(entrant.program, case.transport, cpus, setting.config.as_deref())?;
    let sample = match entrant.traffic {
        Traffic::Flow { size, between } => flow::measure(&mut server, setting, size, between)?,
        Traffic::RoundTrip { size } => round_trip::measure(&mut server, setting, size)?,
        Traffic::Crowd(crowd) => crowd::measure(&mut server, setting, crowd)?,
        Traffic::IdleConnections(count) => Sample::memory(memory::of_connections(&mut server, count)?),
        Traffic::IdleChannels(plugins) => Sample::memory(memory::of_channels(&mut server, plugins)?),
    };
    server.stop()?;
    Ok(sample)
}
