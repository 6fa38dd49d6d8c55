//! `minbus-load`: puts load on a relay, verifies every byte that comes through, and says what was measured.
//!
//! - [`scenario`] what is done, [`traffic`] what plugins send each other, [`engine`] the sockets, [`run`] all of it
//!   together, [`report`] the results
//! - [`embedded`] the relay as a process of its own, [`setup`] what runs where, [`usage`] what the relay uses
//! - [`plan`] and [`selftest`] what else there is to do

mod address;
mod embedded;
mod engine;
mod error;
mod flags;
mod report;
mod run;
mod scenario;
mod setup;
mod traffic;
mod usage;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;
use crate::flags::{Command, Flags, Run};
use crate::report::gather;
use crate::report::model::Report;
use crate::report::table::Table;
use crate::run::{Bus, run_phase};
use crate::scenario::Phase;
use crate::setup::Placement;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage.
const EXIT_USAGE: u8 = 2;

/// Ended by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    if embedded::is_relay() {
        return embedded::relay_main();
    }
    let flags = Flags::parse();
    match &flags.command {
        None => load(&flags.run),
        _ => ExitCode::SUCCESS,
    }
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("minbus-load: {error}");
    ExitCode::from(code)
}

/// A run.
fn load(flags: &Run) -> ExitCode {
    let phases = match flags.phases() {
        Ok(phases) => phases,
        Err(error) => return fail(&error, EXIT_USAGE),
    };
    match measure(flags, &phases).and_then(|report| deliver(&report, flags).map(|()| report)) {
        Ok(report) => {
            report.errors.iter().for_each(|error| eprintln!("minbus-load: {error}"));
            match report {
                Report { interrupted: true, errors, .. } if errors.is_empty() => ExitCode::from(EXIT_INTERRUPTED),
                report if report.is_clean() => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(error) => fail(&error, 1),
    }
}

/// Runs the phases one after another.
fn measure(flags: &Run, phases: &[Phase]) -> Result<Report, Error> {
    let interrupted = catch_signals().map_err(Error::Signals)?;
    let placement = Placement::new(&flags.machine);
    let bus = setup::bus(&flags.machine, phases, &placement)?;
    let context = setup::context(&flags.machine, &bus, &placement, &interrupted);
    let (relay, generator) = setup::describe(&flags.machine, &context, &placement);
    let begun_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION").into(),
        begun_s,
        machine: gather::machine(),
        relay,
        generator,
        phases: Vec::new(),
        errors: Vec::new(),
        interrupted: false,
        verified: false,
    };
    for phase in phases {
        if interrupted.load(Ordering::Relaxed) || !report.errors.is_empty() {
            break;
        }
        let mut steps = gather::phase(phase);
        run_phase(&context, phase, |outcome| {
            steps.steps.push(gather::step(phase.kind, &outcome));
            report.errors.extend(outcome.errors.iter().map(ToString::to_string));
        });
        report.phases.push(steps);
    }
    report.interrupted = interrupted.load(Ordering::Relaxed);
    stop(bus, &mut report);
    report.verified = report.is_clean() && report.steps().any(|(_, step)| step.verdict.sent > 0);
    Ok(report)
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

/// Writes the report in all forms that were asked for.
fn deliver(report: &Report, flags: &Run) -> Result<(), Error> {
    let json = || serde_json::to_string(report).expect("a report is serializable") + "\n";
    match &flags.output.json {
        Some(path) if path == Path::new("-") => return print(&json()),
        Some(path) => write(path, &json())?,
        None => {}
    }
    print(&Table(report).to_string())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::Output { what: path.display().to_string(), source })
}

fn print(text: &str) -> Result<(), Error> {
    match io::stdout().write_all(text.as_bytes()) {
        // Who reads no further has what he wanted.
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Output { what: "to stdout".into(), source })
        }
        _ => Ok(()),
    }
}
