//! What the program says: figures on stdout, complaints on stderr. Nothing of it panics; figures that stdout does not take
//! end the program, since nobody would see those that follow. Both may be shared with somebody who has made them non-blocking,
//! and lose nothing for that.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, Error, Result};
use relay::daemon::stream::write_all;

/// Wrong usage, as clap has it.
const EXIT_USAGE: u8 = 2;

/// Prints a line on stdout, or several.
pub(crate) fn say(what: impl Display) -> Result<()> {
    write_all(io::stdout().as_fd(), format!("{what}\n").as_bytes(), |_| ()).context("cannot write to stdout")
}

/// Says on stderr what has gone wrong. There is nowhere else to say that stderr does not take it.
pub(crate) fn complain(what: impl Display) {
    let _ = write_all(io::stderr().as_fd(), format!("bench: {what}\n").as_bytes(), |_| ());
}

/// What the program ends with.
pub(crate) fn ending(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads no further has what he wanted.
        Err(error) if is_of_a_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints what clap has to say, which is help, the version, or what is wrong with the flags.
pub(crate) fn answer(answer: &clap::Error) -> ExitCode {
    let text = answer.render().to_string();
    if answer.use_stderr() {
        let _ = write_all(io::stderr().as_fd(), text.as_bytes(), |_| ());
        return ExitCode::from(EXIT_USAGE);
    }
    ending(write_all(io::stdout().as_fd(), text.as_bytes(), |_| ()).context("cannot write to stdout"))
}

/// Only stdout is written with this error unhandled: sockets say what they are.
fn is_of_a_closed_pipe(error: &Error) -> bool {
    let said = error.to_string() == "cannot write to stdout";
    said && error.root_cause().downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
