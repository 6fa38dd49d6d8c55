//! The tests that drive a real daemon over real sockets.

mod client;
mod conformance;
mod tidy;
mod tool;
mod vectors;

/// The daemon that the tests start.
const DAEMON: &str = env!("CARGO_BIN_EXE_minbusd-under-test");
/// The tool that the tests run.
const TOOL: &str = env!("CARGO_BIN_EXE_minbus-under-test");
