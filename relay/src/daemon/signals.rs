//! Signals: the first asks for a graceful stop, the second ends the process at once.

use std::io;
use std::sync::Weak;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;
use tracing::{info, warn};

use super::logging::Log;
use super::notify::{STOPPING, notify};
use crate::engine::listener::SocketFile;
use crate::shard::Stopper;

/// Catches the signals from now on. Those that come before [`watch`] wait for it.
pub(super) fn catch() -> io::Result<Signals> {
    Signals::new([SIGTERM, SIGINT])
}

/// Acts on signals, in a thread of its own that lasts as long as the process.
pub(super) fn watch(mut signals: Signals, stopper: Stopper, files: Vec<Weak<SocketFile>>, log: Log) -> io::Result<()> {
    let act = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            let name = signal_name(signal).unwrap_or("signal");
            if !stopping {
                stopping = true;
                info!(signal = name, "stopping; a second signal ends at once");
                notify(STOPPING);
                stopper.stop();
                continue;
            }
            warn!(signal = name, "ending at once");
            for file in files.iter().filter_map(Weak::upgrade) {
                file.remove();
            }
            log.flush();
            std::process::exit(128 + signal);
        }
    };
    thread::Builder::new().name("minbusd-signals".into()).spawn(act).map(|_| ())
}
