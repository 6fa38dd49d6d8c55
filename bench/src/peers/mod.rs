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

use anyhow::{Result, bail};
use clap::Args;

use self::case::{Case, Traffic};
use self::figures::Figures;
use self::host::Host;
use self::peer::Peer;
use self::report::{Outcome, Report, Series};
use crate::console;
use crate::floors::sample::Setting;
use crate::rounds::{Bench, RoundFlags};

#[derive(Debug, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    rounds: RoundFlags,
    /// Say what installs the peers that are missing, and do nothing
    #[arg(long)]
    install: bool,
    /// Install them, with --install
    #[arg(long, requires = "install")]
    run: bool,
    /// Only these peers, beside minbus (may be repeated)
    #[arg(long = "peer", value_name = "NAME")]
    peers: Vec<String>,
}

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let cases = flags.rounds.pick(case::all(), |case| &case.name)?;
    let peers = flags.peers()?;
    if flags.rounds.list {
        let line = |name: &str, what: &str| console::say(format_args!("{name:18} {what}"));
        cases.iter().try_for_each(|case| line(&case.name, &case.title))?;
        console::say("")?;
        return peers.iter().try_for_each(|peer| line(peer.name, &peer.missing().unwrap_or_else(|| peer.version())));
    }
    if flags.install {
        return install::run(&peers, flags.run);
    }
    let report = measure(&flags.rounds, &cases, &peers)?;
    let text = if flags.rounds.markdown { report.markdown() } else { report.summary() };
    console::say(text)
}

/// The report is written after each case, so that what was measured is not lost with a run that is broken off.
fn measure(flags: &RoundFlags, cases: &[Case], peers: &[Peer]) -> Result<Report> {
    let bench = flags.prepare()?;
    let peers_about = peers.iter().map(report::About::of).collect();
    let mut report = Report { head: bench.head()?, peers: peers_about, cases: Vec::new() };
    for case in cases {
        let outcome = run_case(case, peers, &bench);
        if !flags.markdown {
            let absences: String = outcome.absences().iter().map(|absence| format!("  {absence}\n")).collect();
            console::say(format_args!("{}\n{}{absences}", outcome.heading(), outcome.table().text()))?;
        }
        report.cases.push(outcome);
        flags.write(&report)?;
    }
    Ok(report)
}

/// All rounds of a case. A peer that fails is out of it; the table says why.
fn run_case(case: &Case, peers: &[Peer], bench: &Bench) -> Outcome {
    let taking_part: Vec<&Peer> = peers.iter().filter(|peer| case.suits(peer)).collect();
    let mut series: Vec<Series> = taking_part.iter().map(|peer| Series::of(peer)).collect();
    for index in bench.turns(taking_part.len()) {
        if series[index].failure.is_some() {
            continue;
        }
        match run_once(case, taking_part[index], &bench.setting, bench.server_cpu) {
            Ok(figures) => series[index].rounds.push(figures),
            Err(error) => series[index].failure = Some(format!("{error:#}")),
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
