//! Where bytes come from: the standard input, or a process.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use bytes::{Bytes, BytesMut};
use rustix::stdio::dup2_stdin;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::stdio;

/// Memory for reading is taken in portions of so many bytes.
const BUFFER_LEN: usize = 1 << 20;

/// Reads have room for at least so many bytes.
const READ_LEN_MIN: usize = 64 * 1024;

/// So many reads of the standard input may wait to be sent.
const READS_MAX: usize = 4;

/// What pipes are asked to hold, in bytes: the default is 64 KiB, which makes for many turns.
const PIPE_LEN: usize = 1 << 20;

/// What stands in for the standard input and output once they were taken.
pub(crate) const NULL: &str = "/dev/null";

/// Gives a pipe more room, where it is one and the system lets us.
pub(crate) fn widen(fd: BorrowedFd<'_>) {
    let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE_LEN);
}

/// Where bytes come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Read by a thread: a terminal or a file cannot be waited for, and a pipe may be shared with other processes, which
    /// would not like it to be made non-blocking.
    Stdin(mpsc::Receiver<io::Result<Bytes>>),
    Process(pipe::Receiver, BytesMut),
}

impl Source {
    /// The standard input. It is taken away from the process: whoever writes to it is told when nobody wants more, while
    /// the other direction may go on.
    pub(crate) fn stdin() -> io::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        dup2_stdin(File::open(NULL)?)?;
        widen(stdin.as_fd());
        let (sender, receiver) = mpsc::channel(READS_MAX);
        thread::Builder::new().spawn(move || read_all(stdin, &sender))?;
        Ok(Self::Stdin(receiver))
    }

    /// The output of a process.
    pub(crate) fn process(stdout: pipe::Receiver) -> Self {
        Self::Process(stdout, BytesMut::new())
    }

    /// The next bytes; nothing at the end. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Stdin(reads) => reads.recv().await.transpose(),
            Self::Process(stdout, buffer) => {
                if buffer.capacity() < READ_LEN_MIN {
                    buffer.reserve(BUFFER_LEN);
                }
                let len = stdout.read_buf(buffer).await?;
                Ok((len > 0).then(|| buffer.split().freeze()))
            }
        }
    }
}

/// Reads to the end, or until nobody wants more.
fn read_all(input: impl AsFd, reads: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = BytesMut::new();
    loop {
        if buffer.len() < READ_LEN_MIN {
            buffer = BytesMut::zeroed(BUFFER_LEN);
        }
        let read = match stdio::read(&input, &mut buffer) {
            Ok(0) => return,
            Ok(len) => Ok(buffer.split_to(len).freeze()),
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if reads.blocking_send(read).is_err() || failed {
            return;
        }
    }
}
