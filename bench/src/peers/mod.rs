//! `bench peers`: the relay beside what a user would pick in its place, on the same work, in one run.
//!
//! In each round of a case every peer's server is started afresh on a CPU of its own, and clients on another one send the
//! same messages through it, in an order that is another in each round. The clients are as lean as can be and the same for
//! all but for the words of the protocol: messages are prepared, writes large, and what arrives is compared byte by byte. So it
//! is servers that are measured.
//!
//! - [`peer`] who takes part, [`servers`] how they are configured, [`host`] one that runs
//! - [`wire`] what a protocol must say, [`wires`] those of the peers; [`client`], [`tape`] a client; [`end`] one, or a plugin
//! - [`case`] what is done: [`flow`], [`trips`], [`stalled`], [`idle`]; [`figures`] what is measured
//! - [`report`] what came out, [`install`] what is missing

mod case;
mod client;
mod end;
mod figures;
mod flow;
mod host;
mod idle;
mod install;
mod peer;
mod report;
mod servers;
mod stalled;
mod tape;
mod trips;
mod wire;
mod wires;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::case::{Case, Traffic};
use self::figures::Figures;
use self::host::Host;
use self::peer::Peer;
use self::report::{Outcome, Report, Series};
use crate::floors::cpu;
use crate::floors::sample::Setting;

/// Time before each window.
const WARM_UP: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Say which cases and peers there are, and do nothing
    #[arg(long)]
    list: bool,
    /// Say what installs the peers that are missing, and do nothing
    #[arg(long)]
    install: bool,
    /// Install them, with --install
    #[arg(long, requires = "install")]
    run: bool,
    /// Only the case of this name, or those with this in their names (may be repeated)
    #[arg(long = "case", value_name = "TEXT")]
    cases: Vec<String>,
    /// Only these peers, beside minbus (may be repeated)
    #[arg(long = "peer", value_name = "NAME")]
    peers: Vec<String>,
    /// How often all peers have their turn
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each is measured in each round
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS")]
    seconds: f64,
    /// One short round, to see whether it works: its figures mean nothing
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Print Markdown, when all is done
    #[arg(long)]
    markdown: bool,
    /// Write all samples to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let (cases, peers) = (flags.cases()?, flags.peers()?);
    if flags.list {
        cases.iter().for_each(|case| println!("{:18} {}", case.name, case.title));
        println!();
        peers.iter().for_each(|peer| println!("{:18} {}", peer.name, peer.missing().unwrap_or_else(|| peer.version())));
        return Ok(());
    }
    if flags.install {
        return install::run(&peers, flags.run);
    }
    let report = measure(flags, &cases, &peers)?;
    let text = if flags.markdown { report.markdown() } else { report.summary() };
    println!("{text}");
    Ok(())
}

/// Writes all samples to a file: after each case, so that what was measured is not lost with a run that is broken off.
fn write_json(path: &Path, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    fs::write(path, text + "\n").with_context(|| path.display().to_string())
}

fn measure(flags: &Flags, cases: &[Case], peers: &[Peer]) -> Result<Report> {
    let allowed = cpu::allowed()?;
    let (server_cpu, clients_cpu) = (allowed[0], allowed[allowed.len() - 1]);
    ensure!(server_cpu != clients_cpu || flags.quick, "there is one CPU only: servers and clients need one each");
    cpu::pin(&[clients_cpu])?;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let (rounds, window, warm_up) = if flags.quick {
        (1, Duration::from_millis(50), Duration::from_millis(20))
    } else {
        (flags.rounds, Duration::try_from_secs_f64(flags.seconds).context("--seconds")?, WARM_UP)
    };
    let setting = Setting { plugin_cpus: vec![clients_cpu], warm_up, window, counts: false, config: None };
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cpu: cpu::model()?,
        cpus: allowed.len(),
        rounds,
        window_s: window.as_secs_f64(),
        peers: peers.iter().map(report::About::of).collect(),
        cases: Vec::new(),
    };
    for case in cases {
        let outcome = run_case(case, peers, &setting, server_cpu, rounds);
        if !flags.markdown {
            print!("{}\n{}", outcome.heading(), outcome.table().text());
            outcome.absences().iter().for_each(|absence| println!("  {absence}"));
            println!();
        }
        report.cases.push(outcome);
        if let Some(path) = &flags.json {
            write_json(path, &report)?;
        }
    }
    Ok(report)
}

/// All rounds of a case. A peer that fails is out of it; the table says why.
fn run_case(case: &Case, peers: &[Peer], setting: &Setting, server_cpu: usize, rounds: u32) -> Outcome {
    let taking_part: Vec<&Peer> = peers.iter().filter(|peer| case.suits(peer)).collect();
    let mut series: Vec<Series> = taking_part.iter().map(|peer| Series::of(peer)).collect();
    let count = taking_part.len();
    for round in 0..rounds as usize {
        for turn in 0..count {
            let index = (round + turn) % count;
            if series[index].failure.is_some() {
                continue;
            }
            match run_once(case, taking_part[index], setting, server_cpu) {
                Ok(figures) => series[index].rounds.push(figures),
                Err(error) => series[index].failure = Some(format!("{error:#}")),
            }
        }
    }
    Outcome::new(case, series)
}

fn run_once(case: &Case, peer: &Peer, setting: &Setting, server_cpu: usize) -> Result<Figures> {
    let mut host = Host::start(peer, case.transport, &[server_cpu])?;
    let pid = host.pid();
    let mut figures = match case.traffic {
        Traffic::Flow { size, pairs, count } => {
            let mut ends = Vec::new();
            for number in 0..pairs {
                let mut pair = host.pair(number)?;
                let [one, other] = &mut pair;
                one.prepare(other, size, count)?;
                ends.push(pair);
            }
            flow::measure(&mut ends, setting, pid, size, peer.is_paced)?
        }
        Traffic::Closed => trips::closed(&mut host.pair(0)?, setting, pid)?,
        Traffic::Open => trips::open(&mut host.pair(0)?, setting, pid)?,
        Traffic::Stalled => {
            let (mut healthy, mut stalled) = (host.pair(0)?, host.pair(1)?);
            stalled::measure(&mut healthy, &mut stalled, setting, || host::memory_bytes(pid))?
        }
        Traffic::Idle(count) => idle::measure(&mut host, count)?,
    };
    figures.memory_peak_bytes = host::memory_peak_bytes(pid)?;
    host.stop()?;
    Ok(figures)
}

impl Flags {
    /// What is to be done.
    fn cases(&self) -> Result<Vec<Case>> {
        let mut cases = case::all();
        let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
        let is_meant = |name: &String, text: &String| name == text || !names.contains(text) && name.contains(text);
        cases.retain(|case| self.cases.is_empty() || self.cases.iter().any(|text| is_meant(&case.name, text)));
        if cases.is_empty() {
            bail!("there is no such case; --list says which there are");
        }
        Ok(cases)
    }

    /// Who takes part.
    fn peers(&self) -> Result<Vec<Peer>> {
        let mut peers = peer::all();
        if let Some(unknown) = self.peers.iter().find(|name| peers.iter().all(|peer| peer.name != **name)) {
            bail!("there is no peer {unknown:?}; --list says which there are");
        }
        let ours = peers[0].name;
        peers.retain(|peer| {
            self.peers.is_empty() || peer.name == ours || self.peers.iter().any(|name| name == peer.name)
        });
        Ok(peers)
    }
}
