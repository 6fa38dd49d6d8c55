//! `bench competitors`: the relay beside what a user would pick in its place, on the same work, in one run.
//!
//! In each round of a case every competitor's server is started afresh on a CPU of its own, and clients on another one send the
//! same messages through it, in an order that is another in each round. The clients are as lean as can be and the same for
//! all but for the words of the protocol: messages are prepared, writes large, and what arrives is compared byte by byte. So it
//! is servers that are measured.
//!
//! - [`competitor`] who takes part, [`servers`] how they are configured, [`program`] where they are, [`host`] one that runs
//! - [`wire`] what a protocol must say, [`wires`] those of the competitors; [`client`], [`tape`] a client; [`end`] one, or
//!   a plugin
//! - [`case`] what is done: [`flow`], [`trips`], [`stalled`], [`idle`]; [`figures`] what is measured
//! - [`report`] what came out, [`install`] what is missing

mod case;
mod client;
mod competitor;
mod end;
mod figures;
mod flow;
mod host;
mod idle;
mod install;
mod program;
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
use self::competitor::Competitor;
use self::figures::Figures;
use self::host::Host;
use self::report::{Outcome, Report, Series};
use crate::baseline::sample::Setting;
use crate::console;
use crate::rounds::{Bench, RoundFlags};

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

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let cases = flags.rounds.pick(case::all(), |case| &case.name)?;
    let competitors = flags.competitors()?;
    if flags.rounds.list {
        let line = |name: &str, what: &str| console::say(format_args!("{name:18} {what}"));
        cases.iter().try_for_each(|case| line(&case.name, &case.title))?;
        console::say("")?;
        return competitors.iter().try_for_each(|competitor| {
            line(competitor.name, &competitor.missing().unwrap_or_else(|| competitor.version()))
        });
    }
    if flags.install {
        return install::run(&competitors, flags.run);
    }
    let report = measure(&flags.rounds, &cases, &competitors)?;
    let text = if flags.rounds.markdown { report.markdown() } else { report.summary() };
    console::say(text)
}

/// The report is written after each case, so that what was measured is not lost with a run that is broken off.
fn measure(flags: &RoundFlags, cases: &[Case], competitors: &[Competitor]) -> Result<Report> {
    let bench = flags.prepare()?;
    let about = competitors.iter().map(report::About::of).collect();
    let mut report = Report { head: bench.head()?, competitors: about, cases: Vec::new() };
    for case in cases {
        let outcome = run_case(case, competitors, &bench);
        if !flags.markdown {
            let absences: String = outcome.absences().iter().map(|absence| format!("  {absence}\n")).collect();
            console::say(format_args!("{}\n{}{absences}", outcome.heading(), outcome.table().text()))?;
        }
        report.cases.push(outcome);
        flags.write(&report)?;
    }
    Ok(report)
}

/// All rounds of a case. A competitor that fails is out of it; the table says why.
fn run_case(case: &Case, competitors: &[Competitor], bench: &Bench) -> Outcome {
    let taking_part: Vec<&Competitor> = competitors.iter().filter(|competitor| case.suits(competitor)).collect();
    let mut series: Vec<Series> = taking_part.iter().map(|competitor| Series::of(competitor)).collect();
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

fn run_once(case: &Case, competitor: &Competitor, setting: &Setting, server_cpu: usize) -> Result<Figures> {
    let mut host = Host::start(competitor, case.transport, &[server_cpu])?;
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
            flow::measure(&mut ends, setting, pid, size, competitor.is_paced)?
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
    fn competitors(&self) -> Result<Vec<Competitor>> {
        let mut competitors = competitor::all();
        if let Some(unknown) =
            self.competitors.iter().find(|name| competitors.iter().all(|competitor| competitor.name != **name))
        {
            bail!("there is no competitor {unknown:?}; --list says which there are");
        }
        let ours = competitors[0].name;
        competitors.retain(|competitor| {
            self.competitors.is_empty()
                || competitor.name == ours
                || self.competitors.iter().any(|name| name == competitor.name)
        });
        Ok(competitors)
    }
}
