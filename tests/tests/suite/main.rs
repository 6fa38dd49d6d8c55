//! The tests that drive a real daemon over real sockets.

mod client;
mod conformance;
mod tidy;
mod vectors;

/// The daemon that the tests start.
const DAEMON: &str = env!("CARGO_BIN_EXE_minbusd-under-test");
