//! Where bytes go to: the standard output, or a process.

use std::fs::File;
use std::future::pending;
use std::io;
use std::os::fd::AsFd;

use bytes::Bytes;
use rustix::stdio::dup2_stdout;

use crate::process::Input;
use crate::source::{NULL, widen};
use crate::writer::Writer;

/// So many writes to the standard output may wait for it.
const WRITES_MAX: usize = 4;

/// Where bytes go to.
#[derive(Debug)]
pub(crate) enum Sink<'a> {
    Stdout(Writer),
    Process(&'a mut Input),
}

impl Sink<'_> {
    /// The standard output. It is taken away from the process: whoever reads it sees its end when this is finished,
    /// while the other direction may go on.
    pub(crate) fn stdout() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        dup2_stdout(File::options().write(true).open(NULL)?)?;
        widen(stdout.as_fd());
        Writer::new(stdout, WRITES_MAX).map(Self::Stdout)
    }

    /// Writes, or queues the bytes for a thread that does.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.write(bytes).await,
            Self::Process(input) => input.write(&bytes).await,
        }
    }

    /// Waits until writing has failed, where that shows before the next write.
    pub(crate) async fn failed(&self) -> io::Error {
        match self {
            Self::Stdout(writer) => writer.failed().await,
            Self::Process(_) => pending().await,
        }
    }

    /// Waits until all is written, and closes it. A process is told first if that is not all there was to come.
    pub(crate) async fn finish(self, whole: bool) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.finish().await,
            Self::Process(input) => {
                input.end(whole);
                Ok(())
            }
        }
    }
}
