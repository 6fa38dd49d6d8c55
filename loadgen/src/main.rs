//! `minbus-load`: puts load on a relay, verifies every byte that comes through, and says what was measured.
//!
//! - [`scenario`] what is done, [`traffic`] what plugins send each other, [`run`] all of it together, [`report`] the
//!   results
//! - [`embedded`] the relay as a process of its own, [`setup`] what runs where
//! - [`mod@plan`] and [`selftest`] what else there is to do; [`outputs`] files, [`console`] stdout and stderr

#![forbid(unsafe_code)]

mod address;
mod console;
mod embedded;
mod error;
mod flags;
mod outputs;
mod plan;
mod report;
mod run;
mod scenario;
mod selftest;
mod setup;
mod traffic;

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, UsageError};
use crate::flags::{Command, Flags, Run};
use crate::outputs::Outputs;
use crate::plan::Plan;
use crate::report::compare::Comparison;
use crate::report::hlog::Hlog;
use crate::report::model::Report;
use crate::report::{gather, notes, to_json};
use crate::run::{Bus, run_phase};
use crate::scenario::Phase;
use crate::setup::Placement;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something went wrong.
const EXIT_FAILURE: u8 = 1;

/// Wrong usage.
const EXIT_USAGE: u8 = 2;

/// Ended by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    if let Some(code) = testkit::relay::main_if_wanted(relay::daemon::main) {
        return code;
    }
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(answer) => return exit(console::answer(&answer).map_err(failure).map(|()| code_of(&answer))),
    };
    exit(match &flags.command {
        None => load(&flags.run),
        Some(Command::Plan(run)) => plan(run),
        Some(Command::Compare { before, after }) => compare(before, after),
        Some(Command::SelfTest { duration_s, json }) => self_test(*duration_s, *json),
    })
}

/// Says why it failed, if it did.
fn exit(ending: Ending) -> ExitCode {
    ending.unwrap_or_else(|(code, error)| {
        console::complain(error);
        ExitCode::from(code)
    })
}

/// Of clap's answer: help is no error.
fn code_of(answer: &clap::Error) -> ExitCode {
    if answer.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

/// What the process ends with, or the exit code and why.
type Ending = Result<ExitCode, (u8, Box<dyn std::error::Error>)>;

fn usage(error: UsageError) -> (u8, Box<dyn std::error::Error>) {
    (EXIT_USAGE, error.into())
}

fn failure(error: Error) -> (u8, Box<dyn std::error::Error>) {
    (EXIT_FAILURE, error.into())
}

/// A run.
fn load(flags: &Run) -> Ending {
    let phases = flags.phases().map_err(usage)?;
    let outputs = Outputs::prepare(&flags.output).map_err(failure)?;
    let (report, hlog) = measure(flags, &phases, outputs.has_hdr()).map_err(failure)?;
    let undelivered = outputs.deliver(&report, &hlog);
    report.errors.iter().for_each(console::complain);
    undelivered.iter().for_each(console::complain);
    Ok(match report {
        _ if !undelivered.is_empty() => ExitCode::from(EXIT_FAILURE),
        Report { interrupted: true, errors, .. } if errors.is_empty() => ExitCode::from(EXIT_INTERRUPTED),
        report if report.is_clean() => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_FAILURE),
    })
}

fn plan(flags: &Run) -> Ending {
    let phases = flags.phases().map_err(usage)?;
    console::print(&Plan { flags, phases: &phases }.to_string()).map_err(failure)?;
    Ok(ExitCode::SUCCESS)
}

fn compare(before: &Path, after: &Path) -> Ending {
    let comparison = Comparison::new(&read(before).map_err(usage)?, &read(after).map_err(usage)?).map_err(usage)?;
    console::print(&comparison.to_string()).map_err(failure)?;
    Ok(ExitCode::SUCCESS)
}

/// A report of another run.
fn read(path: &Path) -> Result<Report, UsageError> {
    let text = fs::read_to_string(path).map_err(|source| UsageError::Unreadable { path: path.into(), source })?;
    serde_json::from_str(&text).map_err(|source| UsageError::NoReport { path: path.into(), source })
}

fn self_test(duration_s: f64, json: bool) -> Ending {
    let phase = selftest::phase(duration_s).map_err(usage)?;
    let found = setup::self_test(&phase).map_err(failure)?;
    let text = if json { to_json(&found) } else { found.to_string() };
    console::print(&text).map_err(failure)?;
    Ok(if found.verified { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILURE) })
}

/// Runs the phases one after another. Histograms of intervals are kept only if they are wanted.
fn measure(flags: &Run, phases: &[Phase], has_hdr: bool) -> Result<(Report, Hlog), Error> {
    let interrupted = catch_signals().map_err(Error::Signals)?;
    let placement = Placement::new(&flags.machine);
    let bus = setup::bus(&flags.machine, phases, &placement)?;
    let context = setup::context(&flags.machine, &bus, &placement, &interrupted);
    let mut report = setup::report(&flags.machine, &context, &placement);
    let mut hlog = Hlog::new();
    for phase in phases {
        if interrupted.load(Ordering::Relaxed) || !report.errors.is_empty() {
            break;
        }
        let mut found = gather::phase(phase, context.has_cpus());
        run_phase(&context, phase, |outcome| {
            let step = gather::step(phase.kind, &outcome);
            if has_hdr {
                hlog.add(&found.title(&step), &outcome);
            }
            found.steps.push(step);
            report.errors.extend(outcome.errors.iter().map(ToString::to_string));
        });
        report.phases.push(found);
    }
    report.interrupted = interrupted.load(Ordering::Relaxed);
    stop(bus, &mut report);
    report.verified = report.is_clean() && report.steps().any(|(_, step)| step.verdict.sent > 0);
    report.warnings = notes::warnings(&report);
    Ok((report, hlog))
}

/// Stops the relay, if it is ours. That it is gone explains whatever its plugins have noticed.
fn stop(bus: Bus, report: &mut Report) {
    if let Bus::Embedded(mut relay) = bus {
        match relay.check_alive() {
            Err(error) => report.errors.insert(0, error.to_string()),
            Ok(()) => report.errors.extend(relay.stop().err().map(|error| error.to_string())),
        }
    }
}

/// The flag that the first SIGINT or SIGTERM sets. The second ends the process, and with it the embedded relay.
fn catch_signals() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, EXIT_INTERRUPTED.into(), Arc::clone(&interrupted))?;
        flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}
