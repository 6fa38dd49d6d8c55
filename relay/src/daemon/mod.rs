//! The daemon `minbusd`: flags, checked configuration, listeners, shards, signals; and nothing of what they do.
//!
//! stdout belongs to `--check`, `--print-config` and `--help`; a running daemon leaves it empty and logs to stderr.

mod check;
mod flags;
mod kernel;
mod listening;
mod log;
mod notify;
mod signals;
pub mod stream;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;
use tracing::{error, info, warn};

use self::flags::Flags;
use self::log::{Log, LogError};
use self::notify::{READY, notify};
use crate::config::{Config, Environment};
use crate::error::Fatal;
use crate::shard::{Ceiling, Relay};
use engine::listener::Listener;
use limits::REFUSED_MAX;

/// A flag or the configuration is wrong.
const EXIT_USAGE: u8 = 2;

/// Descriptors that are needed beside one for each connection, for each shard: its ring, its listeners, its wakes.
const DESCRIPTORS_PER_SHARD: usize = 16;

/// Runs the daemon with the flags of the process.
#[must_use]
pub fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => return unparsed(&error),
    };
    let config = match Config::load(flags.config.as_deref(), &flags.overrides, &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => return usage(&error),
    };
    if flags.print_config {
        return printed(stream::print(&config.to_toml()));
    }
    if flags.check {
        return check(&config);
    }
    let log = match Log::start(flags.log_format) {
        Ok(log) => log,
        Err(error @ LogError::Filter(_)) => return usage(&error),
        Err(error @ LogError::Thread(_)) => {
            stream::complain(&error);
            return ExitCode::FAILURE;
        }
    };
    let ended = run(config, &log);
    match &ended {
        Ok(()) => info!("stopped"),
        Err(error) => error!("{error}"),
    }
    log.flush();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Serves until it is stopped.
fn run(config: Config, log: &Log) -> Result<(), Fatal> {
    for warning in config.warnings() {
        warn!("{warning}");
    }
    let signals = signals::catch().map_err(Fatal::Signals)?;
    keep_to_small_pages();
    raise_descriptor_limit(&config);
    let listeners = listening::listen(&config)?;
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.address().clone()).collect();
    let files = listeners.iter().filter_map(Listener::file).collect();
    let shards = config.shards.count;
    let ceiling = Ceiling::of(&config);
    let tcp_memory = kernel::tcp_memory(&config);
    let relay = Relay::start(config, listeners)?;
    signals::watch(signals, relay.stopper(), files, log.clone()).map_err(Fatal::Signals)?;
    info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), shards, "started");
    info!("memory ceiling: {ceiling}");
    tcp_memory.iter().for_each(|line| info!("{line}"));
    for address in addresses {
        info!(%address, "listening");
    }
    notify(READY);
    relay.join()
}

/// Huge pages hold what connections keep at a tenth of their size and make nothing faster here: with 1,000 connections the
/// relay had 17 MB resident with them and 3 MB without.
fn keep_to_small_pages() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        warn!(%error, "cannot do without huge pages: the relay will have more memory resident");
    }
}

/// Raises the limit of open files as far as it goes, and says so if that is not far enough.
fn raise_descriptor_limit(config: &Config) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        warn!(?current, ?maximum, %error, "cannot raise the limit of open files");
    }
    let of_pipes = if config.engine.splice { 2 * config.engine.pipes_max } else { 0 };
    let of_shards = config.shards.count * DESCRIPTORS_PER_SHARD;
    let needed = config.limits.connections_max + REFUSED_MAX + of_shards + of_pipes;
    // No limit at all is `None`.
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|&limit| limit < needed as u64) {
        warn!(
            limit,
            needed,
            "the limit of open files is below limits.connections_max; raise it (ulimit -Hn, LimitNOFILE=) or lower that"
        );
    }
}

fn check(config: &Config) -> ExitCode {
    let report = check::check(config);
    let printed = printed(stream::print(&report.plan));
    report.errors.iter().for_each(stream::complain);
    if report.errors.is_empty() { printed } else { ExitCode::from(EXIT_USAGE) }
}

/// Help, the version, or what is wrong with the flags.
fn unparsed(error: &clap::Error) -> ExitCode {
    let result = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { printed(stream::enough_read(result)) }
}

/// The status after something was to be printed.
fn printed(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            stream::complain(&format_args!("cannot write to stdout: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage(error: &impl std::fmt::Display) -> ExitCode {
    stream::complain(error);
    ExitCode::from(EXIT_USAGE)
}
