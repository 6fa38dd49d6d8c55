//! The daemon as a process: how it starts and stops, what it says, and what it stands.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::NamedTempFile;
use tests::bus::{PATIENT, Row, Transport, private};
use tests::daemon::{Daemon, Options, with_small_rings};
use tests::peer::{Address, Pace, Peer};
use tests::process::daemon_command;

use crate::DAEMON;

mod ceiling;
mod confinement;
mod crowd;
mod idleness;
mod kernel_memory;
mod last_words;
mod log_limits;
mod logging;
mod restart;
mod returning;
mod scarcity;
mod signals;
mod sockets;
mod start;
mod stopping;
mod streams;
mod suspension;
mod usage;

/// Unix sockets and TCP, one shard and two.
const CROSS: [Row; 4] = [
    Row { transport: Transport::Unix, shards: 1, skewed: false, pace: Pace::Whole },
    Row { transport: Transport::Unix, shards: 2, skewed: false, pace: Pace::Whole },
    Row { transport: Transport::Tcp, shards: 1, skewed: false, pace: Pace::Whole },
    Row { transport: Transport::Tcp, shards: 2, skewed: false, pace: Pace::Whole },
];

/// Runs a test on unix sockets and TCP, with one shard and with two, each with a daemon of its own.
fn crossed(config: &str, test: impl Fn(&tests::bus::Bus)) {
    private(DAEMON, config, &CROSS, test);
}

/// The daemon's command, to be given flags.
fn minbusd() -> Command {
    daemon_command(DAEMON)
}

/// The same with a configuration with which many may run at once.
fn minbusd_with_small_rings() -> Command {
    static FILE: OnceLock<NamedTempFile> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let file = NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), with_small_rings("")).expect("the configuration can be written");
        file
    });
    let mut command = minbusd();
    command.arg("--config").arg(file.path());
    command
}

/// A daemon on which nothing times out by itself, with more configuration behind.
fn start(shards: usize, config: &str) -> Daemon {
    let config = format!("{PATIENT}{config}");
    Daemon::start(&Options { program: DAEMON.into(), shards, config, ..Options::default() })
}

/// Both ways to reach a daemon.
fn addresses(daemon: &Daemon) -> [Address; 2] {
    [Address::Unix(daemon.unix().to_owned()), Address::Tcp(daemon.tcp())]
}

/// A plugin that the bus lists.
fn plugin(address: &Address, name: &str) -> Peer {
    let mut peer = Peer::connect(address, Pace::Whole);
    peer.register(name.as_bytes(), 1);
    peer.fence();
    peer
}
