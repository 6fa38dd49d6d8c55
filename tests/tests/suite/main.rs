//! The tests that drive real processes over real sockets, and those that look at the sources.

mod client;
mod conformance;
mod credit;
mod daemon;
mod stats;
mod tidy;
mod tool;

use tests::bus::PATIENT;
use tests::daemon::{Daemon, Options};
use tests::peer::Address;

/// The daemon that the tests start.
const DAEMON: &str = env!("CARGO_BIN_EXE_minbusd-under-test");
/// Runs what follows it with less than it would have.
const CONFINED: &str = env!("CARGO_BIN_EXE_confined");
/// A plugin that writes without end.
const FLOODER: &str = env!("CARGO_BIN_EXE_flooder");
/// A plugin that pours, passes on, or does nothing.
const WORKER: &str = env!("CARGO_BIN_EXE_worker");
/// The tool that the tests run.
const TOOL: &str = env!("CARGO_BIN_EXE_minbus-under-test");

/// A daemon on which nothing times out by itself, with more configuration behind.
fn start(shards: usize, config: &str) -> Daemon {
    start_with(shards, &format!("{PATIENT}{config}"))
}

/// The same, with both ways to reach it.
fn reachable(shards: usize, config: &str) -> (Daemon, [Address; 2]) {
    let daemon = start(shards, config);
    let addresses = daemon.addresses();
    (daemon, addresses)
}

/// A daemon with this configuration and no more.
fn start_with(shards: usize, config: &str) -> Daemon {
    Daemon::start(&options(shards, config))
}

/// What such a daemon is started with.
fn options(shards: usize, config: &str) -> Options {
    Options { program: DAEMON.into(), shards, config: config.to_owned(), ..Options::default() }
}
