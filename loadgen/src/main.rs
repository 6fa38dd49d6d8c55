//! `minbus-load`: moves data from one plugin to another through a relay, verifies it, and says what was measured.
//!
//! - [`embedded`] the relay as a process of its own, [`usage`] what it uses
//! - [`address`] and [`plugin`] a connection to the bus, over the protocol alone
//! - [`payload`], [`batch`], [`verifier`] what is sent, how, and whether it arrived
//! - [`phase`] the window that is measured, [`flood`] and [`pingpong`] what goes on in it, [`report`] the results

mod address;
mod batch;
mod embedded;
mod error;
mod flags;
mod flood;
mod payload;
mod phase;
mod pingpong;
mod plugin;
mod report;
mod usage;
mod verifier;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::address::Address;
use crate::embedded::Embedded;
use crate::error::Error;
use crate::flags::{Flags, Task, Transport};
use crate::phase::Setting;
use crate::report::{Phase, Relay, Report, bytes};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ended by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

/// Time before each window, at most.
const WARM_UP_MAX: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    if embedded::is_relay() {
        return embedded::relay_main();
    }
    let flags = Flags::parse();
    match run(&flags).and_then(|report| print(&report, flags.json).map(|()| report)) {
        Ok(report) if !report.is_clean() => ExitCode::FAILURE,
        Ok(report) if report.interrupted => ExitCode::from(EXIT_INTERRUPTED),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("minbus-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<Report, Error> {
    let interrupted = catch_signals().map_err(Error::Signals)?;
    if let Some(address) = &flags.bus {
        return measure(flags, address, None, &interrupted);
    }
    let mut relay = Embedded::start(flags.transport == Transport::Tcp, flags.shards)?;
    let measured = measure(flags, relay.address(), Some(&relay), &interrupted);
    // That it is gone explains whatever its plugins have noticed.
    relay.check_alive()?;
    let report = measured?;
    relay.stop()?;
    Ok(report)
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

/// Runs the phases one after another.
fn measure(
    flags: &Flags,
    address: &Address,
    embedded: Option<&Embedded>,
    interrupted: &AtomicBool,
) -> Result<Report, Error> {
    let duration = flags.duration_s;
    let setting = Setting { address, embedded, interrupted, warm_up: duration.min(WARM_UP_MAX), duration };
    let mut phases = Vec::new();
    for task in flags.tasks() {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        phases.push(match task {
            Task::Flood(size) => Phase::flood(size, &flood::run(&setting, &format!("flood {}", bytes(size)), size)?),
            Task::PingPong(size) => {
                let (outcome, times) = pingpong::run(&setting, &format!("ping-pong {}", bytes(size)), size)?;
                Phase::ping_pong(size, &outcome, &times)
            }
        });
    }
    let relay = embedded.map(|relay| {
        let rss_peak_bytes = usage::rss_peak_bytes(relay.pid())?;
        Ok(Relay { pid: relay.pid(), shards: flags.shards, rss_peak_bytes })
    });
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        address: address.to_string(),
        transport: address.transport(),
        cpus: thread::available_parallelism().map_or(1, usize::from),
        relay: relay.transpose()?,
        verified: !phases.is_empty() && phases.iter().all(Phase::is_clean),
        phases,
        interrupted: interrupted.load(Ordering::Relaxed),
    })
}

fn print(report: &Report, json: bool) -> Result<(), Error> {
    let text =
        if json { serde_json::to_string(report).expect("a report is serializable") + "\n" } else { report.to_string() };
    match io::stdout().write_all(text.as_bytes()) {
        // Who reads no further has what he wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Report(error)),
        _ => Ok(()),
    }
}
