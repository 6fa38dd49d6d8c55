//! The relay as a process of its own, which is this program again.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use testkit::address::free_port;
use testkit::directory::directory;
use testkit::process::{NotReady, Process};
use testkit::relay;

use crate::address::{Address, connect};
use crate::error::Error;
use crate::flags::Machine;

/// Time until the relay is reachable, and until it has stopped, at most: longer than it lets itself, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relay that runs. It is killed when this is dropped; [`Embedded::stop`] is the polite way.
#[derive(Debug)]
pub(crate) struct Embedded {
    process: Process,
    unix: Address,
    tcp: Address,
    /// Holds the socket and the configuration.
    _directory: TempDir,
}

impl Embedded {
    /// Starts a relay on a temporary unix socket and on a free TCP port of the loopback interface, and waits until it is
    /// reachable. Its threads run on these CPUs, if there are any. Where the user has no configuration for it, `config` is
    /// what the plan needs.
    pub(crate) fn start(machine: &Machine, cpus: &[usize], config: &str) -> Result<Self, Error> {
        let directory = directory().map_err(Error::Start)?;
        let unix = Address::Unix(directory.path().join("bus.sock"));
        let tcp = free_port().map_err(Error::Start)?;
        let process = spawn(directory.path(), &[&unix, &tcp], machine, cpus, config).map_err(Error::Start)?;
        let mut embedded = Self { process, unix, tcp, _directory: directory };
        let Self { process, unix, tcp, .. } = &mut embedded;
        match process.await_ready(PATIENCE, || connect(unix).and(connect(tcp)).ok()) {
            Ok(_) => Ok(embedded),
            Err(NotReady::Ended(status)) => Err(Error::RelayDied(status)),
            Err(NotReady::Late(patience)) => Err(Error::NotReady { seconds: patience.as_secs() }),
            Err(NotReady::Unknown(error)) => Err(Error::Start(error)),
        }
    }

    /// Where it listens, on TCP or on a unix socket.
    pub(crate) fn address(&self, tcp: bool) -> &Address {
        if tcp { &self.tcp } else { &self.unix }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Says so if it has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        match self.process.status() {
            Ok(Some(status)) => Err(Error::RelayDied(status)),
            _ => Ok(()),
        }
    }

    /// Stops it and checks that it went well.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.check_alive()?;
        // Should it have gone meanwhile, its status says how.
        let _ = self.process.signal(Signal::TERM);
        match self.process.await_end(PATIENCE).ok().flatten() {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Error::StoppedBadly(status)),
            None => Err(Error::NotStopped { seconds: PATIENCE.as_secs() }),
        }
    }
}

fn spawn(
    directory: &Path,
    addresses: &[&Address],
    machine: &Machine,
    cpus: &[usize],
    config: &str,
) -> io::Result<Process> {
    let mut command = relay::command(addresses, machine.shards as usize, "warn")?;
    if !cpus.is_empty() {
        let cpus: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        command.arg("--cpus").arg(cpus.join(","));
    }
    if let Some(config) = &machine.relay_config {
        command.arg("--config").arg(config);
    } else if !config.is_empty() {
        let path = directory.join("minbusd.toml");
        fs::write(&path, config)?;
        command.arg("--config").arg(path);
    }
    Process::start(&mut command)
}
