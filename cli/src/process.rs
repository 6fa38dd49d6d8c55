//! A process that serves a connection, and the order of its last things.
//!
//! What reads the input takes its end for the end of what was sent, as `cat > part && mv part done` does. So where the
//! input breaks off, the process and all that it has started get SIGHUP before the pipe is closed, whatever the cause.
//! [`Input`] sees to that when it is dropped, so a panic is such a cause, and a runtime that drops its tasks. Signals that end
//! the tool are such causes as far as it listens for them (see [`crate::signals`]); behind another one nobody is left to tell.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{self, SignalKind, signal};

use crate::source::widen;

/// A running process: what it reads, what it writes, and its end.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) input: Input,
    pub(crate) output: pipe::Receiver,
    pub(crate) life: Life,
}

impl Process {
    /// Starts a process in a group of its own. All that can fail comes before it runs.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let deaths = signal(SignalKind::child())?;
        // A process inherits that a signal is ignored, and not that it is listened for: so SIGHUP ends it, whether or not this
        // process was told to ignore it. That lasts from the first time on, whatever becomes of the listener.
        drop(signal(SignalKind::hangup())?);
        let (its_stdin, stdin) = io::pipe()?;
        let (stdout, its_stdout) = io::pipe()?;
        widen(stdin.as_fd());
        widen(stdout.as_fd());
        let stdin = pipe::Sender::from_owned_fd(stdin.into())?;
        let output = pipe::Receiver::from_owned_fd(stdout.into())?;
        let child = command.process_group(0).stdin(its_stdin).stdout(its_stdout).spawn()?;
        let leader = Leader(Pid::from_child(&child));
        Ok(Self {
            input: Input { pipe: Some(stdin), leader, settled: false },
            output,
            life: Life { child, leader, deaths },
        })
    }
}

/// The first process of a group. It is not waited for as long as this is used, so that its id remains its own.
#[derive(Clone, Copy, Debug)]
struct Leader(Pid);

impl Leader {
    /// Tells the whole group that the other side has broken off.
    fn hang_up(self) {
        // It fails where all of them have ended, which is no harm.
        let _ = kill_process_group(self.0, Signal::HUP);
    }

    fn has_ended(self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.0), look), Ok(None))
    }
}

/// The input of a process. Unless it was ended as a whole, the process is told before it sees the end.
#[derive(Debug)]
pub(crate) struct Input {
    /// None once it was closed.
    pipe: Option<pipe::Sender>,
    leader: Leader,
    /// Whether the process knows, or need not know, that more was to come.
    settled: bool,
}

impl Input {
    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(bytes).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Closes it, after all there was, or else after SIGHUP.
    pub(crate) fn end(&mut self, whole: bool) {
        if !whole && !self.settled {
            self.leader.hang_up();
        }
        self.settled = true;
        self.pipe = None;
    }

    /// Whether a process is left that could take its end for something.
    fn is_read(&self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut polled = [PollFd::new(pipe, PollFlags::empty())];
        // The write end of a pipe is in error when nobody has the read end.
        poll(&mut polled, Some(&Timespec::default())).is_err() || !polled[0].revents().contains(PollFlags::ERR)
    }
}

impl Drop for Input {
    /// A process that has ended by itself wanted no more, unless it has left somebody behind who does.
    fn drop(&mut self) {
        if !self.settled && (self.is_read() || !self.leader.has_ended()) {
            self.leader.hang_up();
        }
    }
}

/// The end of a process.
#[derive(Debug)]
pub(crate) struct Life {
    child: Child,
    leader: Leader,
    /// Tells that some process has ended.
    deaths: unix::Signal,
}

impl Life {
    /// Tells the process and all that it has started that the other side has broken off.
    pub(crate) fn hang_up(&self) {
        self.leader.hang_up();
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) {
        while !self.leader.has_ended() {
            self.deaths.recv().await;
        }
    }

    /// How it has ended, once that is so. Its input must be gone by now.
    pub(crate) fn status(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

#[cfg(test)]
mod tests;
