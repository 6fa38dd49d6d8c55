//! The tests that drive real processes over real sockets, and those that look at the sources.

mod client;
mod conformance;
mod credit;
mod daemon;
mod stats;
mod tidy;
mod tool;

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
