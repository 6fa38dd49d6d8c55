//! What tells the tool to stop: SIGINT, SIGTERM, SIGHUP and SIGQUIT, as something to wait for.

use std::fs;
use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Code, Failure};

/// Listens for all of them, from its making on. Processes that are started afterwards begin with the default for each,
/// also where the tool itself has been told to ignore SIGHUP.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hangup: Signal,
    /// Whether the tool was started so that a SIGHUP should not end it, as `nohup` does.
    ignores_hangup: bool,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let ignores_hangup = is_ignored(SignalKind::hangup());
        let listen =
            |kind| signal(kind).map_err(|error| Failure::runtime(format!("cannot listen for signals: {error}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            quit: listen(SignalKind::quit())?,
            hangup: listen(SignalKind::hangup())?,
            ignores_hangup,
        })
    }

    /// Waits for one of them, and gives the exit code that stands for it.
    pub(crate) async fn wait(&mut self) -> Code {
        let hangup = async {
            match self.ignores_hangup {
                true => pending().await,
                false => self.hangup.recv().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Code::Interrupted,
            _ = self.terminate.recv() => Code::Terminated,
            _ = self.quit.recv() => Code::Quit,
            _ = hangup => Code::HungUp,
        }
    }

    /// Waits for `work`, but for no longer than until one of them comes.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            code = self.wait() => Err(Failure::signal(code)),
            result = work => result,
        }
    }
}

/// Whether this process ignores a signal now. Where the system does not tell, it does not.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
