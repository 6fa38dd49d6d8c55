//! The relay as a process of its own, which is this program again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use testkit::address::free_port;
use testkit::directory::directory;
use testkit::process::{NotReady, Process};
use testkit::relay;

use crate::address::{Address, connect};
use crate::error::Error;

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

/// How the relay is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct RelaySettings {
    pub(crate) shards: u32,
    /// The CPUs of its threads; none are chosen by itself.
    pub(crate) cpus: Vec<usize>,
    /// A configuration file of the user's.
    pub(crate) config: Option<PathBuf>,
    /// What is to be configured because the plan needs more than usual.
    pub(crate) config_text: String,
}

impl Embedded {
    /// Starts a relay on a temporary unix socket and on a free TCP port of the loopback interface, and waits until it is
    /// reachable.
    pub(crate) fn start(settings: &RelaySettings) -> Result<Self, Error> {
        let directory = directory().map_err(Error::Start)?;
        let unix = Address::Unix(directory.path().join("bus.sock"));
        let tcp = free_port().map_err(Error::Start)?;
        let process = spawn(directory.path(), &[&unix, &tcp], settings).map_err(Error::Start)?;
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

fn spawn(directory: &Path, addresses: &[&Address], settings: &RelaySettings) -> io::Result<Process> {
    let mut command = relay::command(addresses, settings.shards as usize, "warn")?;
    if !settings.cpus.is_empty() {
        let cpus: Vec<String> = settings.cpus.iter().map(ToString::to_string).collect();
        command.arg("--cpus").arg(cpus.join(","));
    }
    if let Some(config) = &settings.config {
        command.arg("--config").arg(config);
    } else if !settings.config_text.is_empty() {
        let path = directory.join("minbusd.toml");
        fs::write(&path, &settings.config_text)?;
        command.arg("--config").arg(path);
    }
    Process::start(&mut command)
}
