//! What the program says: results on stdout, complaints on stderr. Nothing of it panics, so that a full disk or a reader
//! that has gone away changes no exit code but where results are lost. Both may be shared with somebody who has made them
//! non-blocking, and lose nothing for that.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use relay::daemon::stream::write_all;

use crate::error::Error;

/// Writes results to stdout, all of them before it returns. Who reads no further has what he wanted.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    match write_all(io::stdout().as_fd(), text.as_bytes(), |_| ()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Output { what: "to stdout".into(), source })
        }
        _ => Ok(()),
    }
}

/// Prints what clap has to say, which is help, the version, or what is wrong with the flags. The latter is lost when stderr
/// does not take it.
pub(crate) fn answer(answer: &clap::Error) -> Result<(), Error> {
    let text = answer.render().to_string();
    if answer.use_stderr() {
        rescue(&text);
        return Ok(());
    }
    print(&text)
}

/// Says on stderr what has gone wrong. There is nowhere else to say that stderr does not take it.
pub(crate) fn complain(what: impl Display) {
    rescue(&format!("minbus-load: {what}\n"));
}

/// Writes results to stderr, because stdout has not taken them.
pub(crate) fn rescue(text: &str) {
    let _ = write_all(io::stderr().as_fd(), text.as_bytes(), |_| ());
}
