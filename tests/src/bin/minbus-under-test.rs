//! `minbus` as the tests run it: the tool's own `main`, bound to the life of the thread that has started it.
//!
//! Its standard input carries data, and cannot tell it that its test is gone, as it does for the daemon.

use std::process::ExitCode;

use rustix::process::{Signal, set_parent_process_death_signal};

fn main() -> ExitCode {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("it is one of the known signals");
    cli::main()
}
