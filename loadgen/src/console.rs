//! What the program says: results on stdout, complaints on stderr. Nothing of it panics, so that a full disk or a reader
//! that has gone away changes no exit code but where results are lost.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use crate::error::Error;

/// Writes results to stdout, all of them before it returns. Who reads no further has what he wanted.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints what clap has to say, which is help, the version, or what is wrong with the flags. The latter is lost when stderr
/// does not take it.
pub(crate) fn answer(answer: &clap::Error) -> Result<(), Error> {
    let printed = answer.print().and_then(|()| io::stdout().flush());
    if answer.use_stderr() { Ok(()) } else { written(printed) }
}

/// Says on stderr what has gone wrong. There is nowhere else to say that stderr does not take it.
pub(crate) fn complain(what: impl Display) {
    let _ = writeln!(io::stderr(), "minbus-load: {what}");
}

/// Writes results to stderr, because stdout has not taken them.
pub(crate) fn rescue(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn written(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Output { what: "to stdout".into(), source })
        }
        _ => Ok(()),
    }
}
