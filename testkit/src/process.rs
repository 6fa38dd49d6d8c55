//! A child process, which is killed when the value is dropped.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often a process is looked at that is waited for.
const TICK: Duration = Duration::from_millis(2);

/// A child process.
#[derive(Debug)]
pub struct Process(Child);

/// Why a process did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It has ended before.
    #[error("it has ended: {0}")]
    Ended(ExitStatus),
    /// It takes longer than anybody waits.
    #[error("it was not ready within {} s", .0.as_secs())]
    Late(Duration),
    /// The system does not tell how it is.
    #[error(transparent)]
    Unknown(#[from] io::Error),
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// The child, for its standard streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Sends a signal. It must not have been waited for, so that the number is still its own.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.0), signal)?)
    }

    /// Waits until `ready` finds what it looks for, while the process runs.
    ///
    /// # Errors
    /// When it takes too long, or the process ends.
    pub fn await_ready<T>(&mut self, patience: Duration, mut ready: impl FnMut() -> Option<T>) -> Result<T, NotReady> {
        let deadline = Instant::now() + patience;
        loop {
            // Asked before, so that nothing of what it did last is missed.
            let status = self.status()?;
            if let Some(found) = ready() {
                return Ok(found);
            }
            if let Some(status) = status {
                return Err(NotReady::Ended(status));
            }
            if Instant::now() > deadline {
                return Err(NotReady::Late(patience));
            }
            thread::sleep(TICK);
        }
    }

    /// Waits for its end. It is nothing when that takes too long.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn await_end(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.status()? {
                return Ok(Some(status));
            }
            thread::sleep(TICK);
        }
        Ok(None)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
