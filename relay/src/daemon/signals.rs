//! Signals: which ask for a graceful stop, and what becomes of all others whose default would end or stop the process.
//!
//! Left as they are: those that tell of a fault of the process itself (`SIGSEGV`, `SIGABRT` and the like), `SIGTSTP`, with
//! which somebody at the terminal suspends it, and what the kernel keeps to itself.

use std::io;
use std::sync::Weak;
use std::thread;

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;
use tracing::{info, warn};

use super::log::Log;
use super::notify::{STOPPING, notify};
use crate::shard::Stopper;
use engine::listener::SocketFile;
use engine::signals::ignore_unmeant;

/// The first of these asks for a graceful stop, the second ends the process at once.
const STOP: [i32; 3] = [SIGTERM, SIGINT, SIGQUIT];

/// These mean nothing to the daemon. Each makes a line of the log, and nothing else.
const MEANINGLESS: [i32; 6] = [SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO];

/// Catches the signals from now on. Those that come before [`watch`] wait for it.
pub(super) fn catch() -> io::Result<Signals> {
    ignore_unmeant()?;
    Signals::new(STOP.into_iter().chain(MEANINGLESS).chain([SIGHUP, SIGXCPU]))
}

/// Acts on signals, in a thread of its own that lasts as long as the process.
pub(super) fn watch(mut signals: Signals, stopper: Stopper, files: Vec<Weak<SocketFile>>, log: Log) -> io::Result<()> {
    let act = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            let name = signal_name(signal).unwrap_or("signal");
            match signal {
                SIGHUP => warn!(signal = name, "nothing is read again: a new configuration takes a restart"),
                // It comes again each second, until the hard limit kills.
                SIGXCPU if stopping => {}
                _ if MEANINGLESS.contains(&signal) => warn!(signal = name, "ignored: it means nothing to minbusd"),
                _ if !stopping => {
                    stopping = true;
                    if signal == SIGXCPU {
                        warn!(signal = name, "the limit of CPU time is reached (ulimit -t, LimitCPU=)");
                    }
                    info!(signal = name, "stopping; a second signal ends at once");
                    notify(STOPPING);
                    stopper.stop();
                }
                _ => {
                    warn!(signal = name, "ending at once");
                    files.iter().filter_map(Weak::upgrade).for_each(|file| file.remove());
                    log.flush_at_once();
                    std::process::exit(128 + signal);
                }
            }
        }
    };
    thread::Builder::new().name("minbusd-signals".into()).spawn(act).map(|_| ())
}
