//! `minbusd` as the tests run it: the relay's own `main`, bound to the life of whoever holds its standard input.
//!
//! A test process may die without a chance to stop what it started, so this daemon ends itself when its input closes.

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::process::end_with_stdin();
    relay::daemon::main()
}
