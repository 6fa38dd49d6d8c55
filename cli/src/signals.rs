//! What tells the tool to stop, as something to wait for: the signals that would end it at once if it did not listen for them,
//! so that it can leave the bus and tell its processes before.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::ops::RangeInclusive;
use std::task::Poll;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// These stop the tool, however it was started.
const ALWAYS: [Number; 3] = [Number::INT, Number::TERM, Number::QUIT];

/// These stop it unless it was started so that they should not, as `nohup` does with SIGHUP.
const UNLESS_IGNORED: [Number; 11] = [
    Number::HUP,
    Number::USR1,
    Number::USR2,
    Number::ALARM,
    Number::STKFLT,
    Number::XCPU,
    Number::XFSZ,
    Number::VTALARM,
    Number::PROF,
    Number::IO,
    Number::POWER,
];

/// Real-time signals, which have no names. The C library keeps one or two of the first for itself.
const REAL_TIME: RangeInclusive<i32> = 34..=64;

/// Listens for all of them, from its making on. Processes that are started afterwards begin with the default for each,
/// also where the tool itself has been told to ignore it.
pub(crate) struct Signals(Vec<Listener>);

struct Listener {
    number: i32,
    signal: Signal,
    is_ignored: bool,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let ignored = ignored();
        let listen = |(number, respects_ignoring)| {
            let is_ignored = respects_ignoring && ignored >> (number - 1) & 1 == 1;
            signal(SignalKind::from_raw(number)).map(|signal| Listener { number, signal, is_ignored })
        };
        let always = ALWAYS.map(|signal| (signal.as_raw(), false));
        let unless_ignored = UNLESS_IGNORED.map(|signal| (signal.as_raw(), true));
        let listeners = always.into_iter().chain(unless_ignored).map(listen).collect::<io::Result<Vec<_>>>();
        let mut listeners =
            listeners.map_err(|error| Failure::runtime(format!("cannot listen for signals: {error}")))?;
        listeners.extend(REAL_TIME.filter_map(|number| listen((number, true)).ok()));
        Ok(Self(listeners))
    }

    /// Waits for one of them, and gives its number.
    pub(crate) async fn wait(&mut self) -> i32 {
        poll_fn(|cx| {
            for Listener { number, signal, is_ignored } in &mut self.0 {
                while let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                    if !*is_ignored {
                        return Poll::Ready(*number);
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for `work`, but for no longer than until one of them comes.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            number = self.wait() => Err(Failure::signal(number)),
            result = work => result,
        }
    }
}

/// The signals that this process ignores now, a bit for each from the first on. Where the system does not tell, there are none.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
