//! What is measured: the relay or a forwarder, as a process of its own on a CPU of its own.

use std::env;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use minbus::Address;
use rustix::process::Signal;
use tempfile::TempDir;
use testkit::directory::directory;
use testkit::process::Process;
use testkit::{address, cpus, relay};

use crate::connection::connect;
use crate::forward::Kind;

/// Time until a server is reachable, and until one has stopped, at most: longer than any machine is too busy for that.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Unix,
    Tcp,
}

impl Transport {
    pub(crate) const BOTH: [Self; 2] = [Self::Unix, Self::Tcp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        }
    }

    /// An address that is free, with a socket of this name in the directory if it has one.
    pub(crate) fn free_address(self, directory: &Path, name: &str) -> Result<Address> {
        match self {
            Self::Unix => Ok(Address::Unix(directory.join(name))),
            Self::Tcp => Ok(address::free_port()?),
        }
    }
}

/// Which program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The relay, with so many shards, each of which may promise so much memory.
    Relay {
        shards: usize,
        credit_memory: Option<&'static str>,
    },
    Forwarder(Kind),
}

impl Program {
    /// The relay with one shard, otherwise as it comes.
    pub(crate) const RELAY: Self = Self::Relay { shards: 1, credit_memory: None };
}

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    program: Program,
    address: Address,
    /// Holds the socket.
    _directory: TempDir,
}

impl Server {
    /// Starts a program on these CPUs, a relay with this configuration unless it has one of its own. It may take a moment
    /// to be reachable.
    pub(crate) fn start(program: Program, transport: Transport, cpus: &[usize], config: Option<&Path>) -> Result<Self> {
        Self::start_logged(program, transport, cpus, config, None)
    }

    /// The same, with all that a relay has to say in a file.
    pub(crate) fn start_logged(
        program: Program,
        transport: Transport,
        cpus: &[usize],
        config: Option<&Path>,
        log: Option<File>,
    ) -> Result<Self> {
        let directory = directory()?;
        let address = transport.free_address(directory.path(), "bus.sock")?;
        let mut command = match program {
            Program::Relay { shards, credit_memory } => {
                let mut command = relay::command(&[&address], shards, "error")?;
                if let Some(memory) = credit_memory {
                    let path = directory.path().join("minbusd.toml");
                    fs::write(&path, format!("[credit]\nmemory_bytes = \"{memory}\"\n"))?;
                    command.arg("--config").arg(path);
                } else if let Some(path) = config {
                    command.arg("--config").arg(path);
                }
                if let Some(log) = log {
                    command.env("RUST_LOG", "info").stderr(log);
                }
                command
            }
            Program::Forwarder(kind) => {
                let kind = kind.to_possible_value().expect("every kind has a name");
                let mut command = Command::new(env::current_exe()?);
                command.args(["forward", "--kind", kind.get_name(), "--listen", &address.to_string()]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
                command
            }
        };
        let process = start(&mut command, cpus)?;
        Ok(Self { process, program, address, _directory: directory })
    }

    pub(crate) fn program(&self) -> Program {
        self.program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A connection; the first may have to wait until the server is there.
    pub(crate) fn connect(&mut self) -> Result<OwnedFd> {
        connect_to(&mut self.process, &self.address)
    }

    /// Stops it and checks that it went well. All connections must be over.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Program::Relay { .. } = self.program {
            // Should it be gone already, its status says how.
            let _ = self.process.signal(Signal::TERM);
        }
        match self.process.await_end(PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the server has ended badly: {status}"),
            None => bail!("the server has not stopped within {} s", PATIENCE.as_secs()),
        }
    }
}

/// Starts a server on these CPUs: children run where their parent does.
pub(crate) fn start(command: &mut Command, cpus: &[usize]) -> Result<Process> {
    let started = cpus::on(cpus, || Process::start(command))?;
    started.with_context(|| format!("cannot start {command:?}"))
}

/// A connection to a server; the first may have to wait until it is there.
pub(crate) fn connect_to(server: &mut Process, address: &Address) -> Result<OwnedFd> {
    let mut failure = None;
    let connected = server.await_ready(PATIENCE, || connect(address).map_err(|error| failure = Some(error)).ok());
    connected
        .with_context(|| format!("the server at {address}: {}", failure.map(|it| it.to_string()).unwrap_or_default()))
}
