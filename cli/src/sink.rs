//! Where bytes go to: the standard output, or a process.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread;

use bytes::Bytes;
use rustix::stdio::dup2_stdout;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot};

use crate::source::{NULL, widen};

/// So many writes to the standard output may wait for it.
const WRITES_MAX: usize = 4;

/// Where bytes go to.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Written by a thread, for the same reasons as the standard input is read by one.
    Stdout {
        writes: mpsc::Sender<Bytes>,
        result: oneshot::Receiver<io::Result<()>>,
    },
    Process(ChildStdin),
}

impl Sink {
    /// The standard output. It is taken away from the process: whoever reads it sees its end when this is finished,
    /// while the other direction may go on.
    pub(crate) fn stdout() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        dup2_stdout(File::options().write(true).open(NULL)?)?;
        widen(stdout.as_fd());
        let (writes, receiver) = mpsc::channel(WRITES_MAX);
        let (done, result) = oneshot::channel();
        thread::spawn(move || {
            // Nobody waits for the result where the command is ending for another reason.
            let _ = done.send(write_all(File::from(stdout), receiver));
        });
        Ok(Self::Stdout { writes, result })
    }

    /// The input of a process.
    pub(crate) fn process(stdin: ChildStdin) -> Self {
        widen(stdin.as_fd());
        Self::Process(stdin)
    }

    /// Writes, or queues the bytes for a thread that does.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Stdout { writes, result } => match writes.send(bytes).await {
                Ok(()) => Ok(()),
                Err(_) => ended(result).await,
            },
            Self::Process(stdin) => stdin.write_all(&bytes).await,
        }
    }

    /// Waits until all is written, and closes it.
    pub(crate) async fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout { writes, mut result } => {
                drop(writes);
                ended(&mut result).await
            }
            Self::Process(_) => Ok(()),
        }
    }
}

/// What the thread has to say at its end.
async fn ended(result: &mut oneshot::Receiver<io::Result<()>>) -> io::Result<()> {
    result.await.unwrap_or_else(|_| Err(io::Error::other("the thread that writes is gone")))
}

/// Writes all that comes.
fn write_all(mut output: File, mut writes: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(bytes) = writes.blocking_recv() {
        output.write_all(&bytes)?;
    }
    Ok(())
}
