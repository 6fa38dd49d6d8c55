//! Lines for people and programs on the standard output. Where nobody reads them any more, the command ends.

use std::io::{self, Write};

use crate::failure::Failure;

/// Writes at once: whoever reads, reads while the command still runs.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Failure::stdout(&error))
}

/// Writes a line.
pub(crate) fn line(line: impl std::fmt::Display) -> Result<(), Failure> {
    write(format!("{line}\n").as_bytes())
}
