//! `minbusd` as the tests run it: the relay's own `main`, bound to the life of whoever holds its standard input.
//!
//! A test process may die without a chance to stop what it started, so this daemon ends itself when its input closes.

use std::process::{ExitCode, exit};

/// Exit status of a daemon whose test is gone.
const ORPHANED: i32 = 86;

fn main() -> ExitCode {
    std::thread::spawn(|| {
        // Nothing is ever written to it: an error, too, means that the other end is gone.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        exit(ORPHANED);
    });
    relay::daemon::main()
}
