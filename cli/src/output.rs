//! Lines for people and programs on the standard output. Where nobody reads them any more, the command ends.

use std::fmt::Display;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rustix::stdio::stdout;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::json;
use crate::stdio::wait_for_hangup;
use crate::writer::Writer;

/// So many writes may wait for whoever reads. More would show only how far a slow one is behind.
const WRITES_MAX: usize = 4;

/// How long a command that ends early waits for others to take what it still has for them: a moment for them, and hardly
/// one for who waits for its end.
pub(crate) const PARTING: Duration = Duration::from_secs(1);

/// The standard output of a command that prints.
pub(crate) struct Output(Writer);

impl Output {
    pub(crate) fn new() -> Result<Self, Failure> {
        Writer::new(stdout(), WRITES_MAX).map(Self).map_err(|error| Failure::stdout(&error))
    }

    /// Tells when nothing more can be printed.
    pub(crate) fn hangup(&self) -> Hangup {
        let (told, gone) = oneshot::channel();
        // Where there can be no thread, the next write tells.
        let _ = thread::Builder::new().spawn(move || wait_for_hangup(stdout()).map(|()| told.send(())));
        let failed = self.0.failed();
        Box::pin(async {
            tokio::select! {
                Ok(()) = gone => Failure::closed(),
                error = failed => Failure::stdout(&error),
            }
        })
    }

    /// Writes soon: whoever reads, reads while the command still runs. A future that is dropped before it was done has
    /// written nothing.
    pub(crate) async fn write(&mut self, text: impl Into<Bytes>) -> Result<(), Failure> {
        self.0.write(text.into()).await.map_err(|error| Failure::stdout(&error))
    }

    /// Writes a line.
    pub(crate) async fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        self.write(format!("{line}\n")).await
    }

    /// Writes an object in a line of its own, for programs.
    pub(crate) async fn json(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        self.line(json::text(object)?).await
    }

    /// Waits until all is written. What was not is a failure, also where the command has gone well.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        self.0.finish().await.map_err(|error| Failure::stdout(&error))
    }

    /// The same when the signal of this number has told the command to stop: whoever reads slowly is not waited for long.
    pub(crate) async fn part(self, signal: i32) -> Result<(), Failure> {
        timeout(PARTING, self.finish()).await.unwrap_or_else(|_| Err(Failure::signal(signal)))
    }
}

/// Waits until nothing more can be printed, because nobody reads the standard output any more, or it has failed, for what the
/// command then ends with. A command that waits for something to print would wait in vain.
pub(crate) type Hangup = Pin<Box<dyn Future<Output = Failure>>>;
