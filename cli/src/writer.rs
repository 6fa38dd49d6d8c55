//! A thread that writes to a standard stream: a terminal or a file cannot be waited for, and a pipe may be shared with
//! other processes, which would not like it to be made non-blocking. Nobody else waits while it is slow.

use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::stdio;

/// How a thread has ended: where it failed, with what the system has said, if it was the system.
type End = Result<(), Option<i32>>;

/// Writes to one descriptor, in order.
#[derive(Debug)]
pub(crate) struct Writer {
    writes: mpsc::Sender<Bytes>,
    end: watch::Receiver<Option<End>>,
}

impl Writer {
    /// Up to `writes_max` writes may wait for it.
    pub(crate) fn new(fd: impl AsFd + Send + 'static, writes_max: usize) -> io::Result<Self> {
        let (writes, queue) = mpsc::channel(writes_max);
        let (ended, end) = watch::channel(None);
        thread::Builder::new().spawn(move || {
            let result = write_all(fd, queue);
            ended.send_replace(Some(result.map_err(|error| error.raw_os_error())));
        })?;
        Ok(Self { writes, end })
    }

    /// Queues bytes, once there is room. A future that is dropped before it was done has queued nothing.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        match self.writes.send(bytes).await {
            Ok(()) => Ok(()),
            Err(_) => ended(&mut self.end).await,
        }
    }

    /// Queues bytes if there is room now; says whether there was.
    pub(crate) fn try_write(&self, bytes: Bytes) -> bool {
        self.writes.try_send(bytes).is_ok()
    }

    /// Waits until writing has failed. It does not hold up the writer.
    pub(crate) fn failed(&self) -> impl Future<Output = io::Error> + use<> {
        let mut end = self.end.clone();
        async move {
            match ended(&mut end).await {
                Err(error) => error,
                // All is written.
                Ok(()) => pending().await,
            }
        }
    }

    /// Waits until all is written, and gives up the descriptor.
    pub(crate) async fn finish(self) -> io::Result<()> {
        let Self { writes, mut end } = self;
        // The thread ends when it has written all that nobody adds to any more.
        drop(writes);
        ended(&mut end).await
    }
}

fn write_all(fd: impl AsFd, mut queue: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(bytes) = queue.blocking_recv() {
        stdio::write_all(&fd, &bytes)?;
    }
    Ok(())
}

/// What the thread has to say at its end.
async fn ended(end: &mut watch::Receiver<Option<End>>) -> io::Result<()> {
    match end.wait_for(Option::is_some).await.ok().and_then(|end| *end) {
        Some(Ok(())) => Ok(()),
        Some(Err(Some(code))) => Err(io::Error::from_raw_os_error(code)),
        Some(Err(None)) | None => Err(io::Error::other("the thread that writes has failed")),
    }
}
