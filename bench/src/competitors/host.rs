//! A competitor's server as a process of its own, and clients that are connected through it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use minbus::Address;
use rustix::process::Signal;
use tempfile::TempDir;
use testkit::directory::directory;
use testkit::proc::{self, Memory};
use testkit::process::Process;

use super::competitor::{Competitor, Installed, Is, Shape};
use super::servers::Site;
use super::wires::bare::Bare;
use crate::connection::Listener;
use crate::plugin::Plugin;
use crate::plugin::socket::Socket;
use crate::server::{self, PATIENCE, Program, Server, Transport};
use crate::traffic::client::Client;
use crate::traffic::end::End;
use crate::traffic::wire::Wire;

/// A server that runs.
pub(super) enum Host {
    Ours(Server),
    Installed(Running),
}

/// A server that others have written. It is killed when this is dropped.
pub(super) struct Running {
    process: Process,
    /// Where it listens, and its second address.
    addresses: [Address; 2],
    /// Where it connects to.
    onward: Option<Listener>,
    shape: Shape,
    wire: fn() -> Box<dyn Wire>,
    _directory: TempDir,
}

impl Host {
    /// Starts a competitor's server on these CPUs.
    pub(super) fn start(competitor: &Competitor, transport: Transport, cpus: &[usize]) -> Result<Self> {
        match &competitor.is {
            Is::Ours(program) => Ok(Self::Ours(Server::start(*program, transport, cpus, None)?)),
            Is::Installed(installed) => Ok(Self::Installed(Running::start(installed, transport, cpus)?)),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Ours(server) => server.pid(),
            Self::Installed(running) => running.process.pid(),
        }
    }

    /// Two clients, of which each knows how to address the other.
    pub(super) fn pair(&mut self, number: usize) -> Result<[End; 2]> {
        let names = ["a", "b"].map(|side| format!("bench-{side}-{number:04}"));
        match self {
            Self::Ours(server) => match server.program() {
                Program::Forwarder(_) => bare([server.connect()?, server.connect()?], &names),
                Program::Relay { .. } => {
                    let (one, other) = (server.connect()?, server.connect()?);
                    End::channel(one, other, [&names[0], &names[1]])
                }
            },
            Self::Installed(running) if running.shape == Shape::Onward => bare(running.through()?, &names),
            Self::Installed(running) => {
                let [one, other] = [&names[0], &names[1]].map(|name| running.join(name));
                Ok(End::clients(one?, other?))
            }
        }
    }

    /// A client that only is there; what is returned keeps it.
    pub(super) fn idle(&mut self, number: usize) -> Result<Box<dyn Send>> {
        let name = format!("bench-idle-{number:04}");
        match self {
            Self::Ours(server) => Ok(Box::new(Plugin::register(server.connect()?, &name)?)),
            Self::Installed(running) if running.shape == Shape::Onward => Ok(Box::new(running.through()?)),
            Self::Installed(running) => Ok(Box::new(running.join(&name)?)),
        }
    }

    /// Stops it. All connections must be over.
    pub(super) fn stop(self) -> Result<()> {
        match self {
            Self::Ours(server) => server.stop(),
            Self::Installed(running) => running.stop(),
        }
    }
}

fn bare(sockets: [OwnedFd; 2], names: &[String; 2]) -> Result<[End; 2]> {
    let [one, other] = sockets;
    let one = Client::join(Box::new(Bare), Socket::new(one)?, None, &names[0])?;
    let other = Client::join(Box::new(Bare), Socket::new(other)?, None, &names[1])?;
    Ok(End::clients(one, other))
}

impl Running {
    fn start(installed: &Installed, transport: Transport, cpus: &[usize]) -> Result<Self> {
        let directory = directory()?;
        let address = |name| transport.free_address(directory.path(), name);
        let addresses = [address("bus.sock")?, address("second.sock")?];
        let is_onward = installed.shape == Shape::Onward;
        let onward = is_onward.then(|| Listener::bind(&addresses[1])).transpose()?;
        let site = Site { directory: directory.path(), address: &addresses[0], second: &addresses[1] };
        let mut command = (installed.command)(&site)?;
        command.current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let process = server::start(&mut command, cpus)?;
        // From here on it is killed if something goes wrong.
        let mut running =
            Self { process, addresses, onward, shape: installed.shape, wire: installed.wire, _directory: directory };
        for index in 0..if running.shape == Shape::TwoSided { 2 } else { 1 } {
            running.connect(index)?;
            if running.onward.is_some() {
                running.accept()?;
            }
        }
        Ok(running)
    }

    /// A connection; the first may have to wait until the server is there.
    fn connect(&mut self, index: usize) -> Result<OwnedFd> {
        server::connect_to(&mut self.process, &self.addresses[index])
    }

    fn accept(&self) -> Result<OwnedFd> {
        Ok(self.onward.as_ref().context("it connects to nobody")?.accept()?)
    }

    /// Both ends of a connection through it.
    fn through(&mut self) -> Result<[OwnedFd; 2]> {
        Ok([self.connect(0)?, self.accept()?])
    }

    fn join(&mut self, name: &str) -> Result<(Client, String)> {
        let output = Socket::new(self.connect(0)?)?;
        let input = (self.shape == Shape::TwoSided).then(|| Socket::new(self.connect(1)?)).transpose()?;
        Client::join((self.wire)(), output, input, name)
    }

    fn stop(mut self) -> Result<()> {
        // Should it be gone already, that is all that was wanted.
        let _ = self.process.signal(Signal::TERM);
        match self.process.await_end(PATIENCE)? {
            Some(_) => Ok(()),
            None => bail!("the server has not stopped within {} s", PATIENCE.as_secs()),
        }
    }
}

/// The most memory that a process and its children had in RAM, in bytes. A child that is over has none.
pub(super) fn memory_peak_bytes(pid: u32) -> io::Result<u64> {
    let children = proc::family(pid).into_iter().filter(|child| *child != pid);
    let peak = |pid| proc::memory_bytes(pid, Memory::Peak);
    Ok(peak(pid)? + children.map(|child| peak(child).unwrap_or(0)).sum::<u64>())
}

/// The memory that a process and its children have in RAM, in bytes.
pub(super) fn memory_bytes(pid: u32) -> io::Result<u64> {
    proc::family(pid).into_iter().map(|pid| proc::memory_bytes(pid, Memory::Anonymous)).sum()
}
