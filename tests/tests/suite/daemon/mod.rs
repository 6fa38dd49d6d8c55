//! The daemon as a process: how it starts and stops, what it says, and what it stands.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::NamedTempFile;
use tests::bus::{Row, Transport, private};
use tests::daemon::{Daemon, Options, with_small_rings};
use tests::peer::{Address, Pace, plugin};
use tests::process::{Process, daemon_command};

use crate::{DAEMON, options, reachable, start};

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

/// Starts a process of the daemon, and waits until it listens.
fn listening(command: &mut Command) -> Process {
    let mut daemon = Process::spawn(command);
    daemon.wait_logged("listening");
    daemon
}

/// A daemon that logs so much, in this format.
fn logging(log: &str, format: &str, shards: usize, config: &str) -> Daemon {
    let flags = vec!["--log-format".to_owned(), format.to_owned()];
    Daemon::start(&Options { flags, log: log.to_owned(), ..options(shards, config) })
}

/// Runs a test on each row, with a daemon of its own on which nothing times out by itself, and with its address.
fn on_cross(config: &str, test: impl Fn(&Daemon, &Address, Row)) {
    for row in CROSS {
        let daemon = start(row.shards, config);
        test(&daemon, &address_of(&daemon, row), row);
    }
}

fn address_of(daemon: &Daemon, row: Row) -> Address {
    daemon.addresses()[usize::from(row.transport == Transport::Tcp)].clone()
}
