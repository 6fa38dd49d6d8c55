//! A competitor's server as a process of its own, and clients that are connected through it.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::client::Client;
use super::competitor::{Competitor, Installed, Is, Shape};
use super::end::End;
use super::servers::Site;
use super::wires::bare::Bare;
use crate::address::Address;
use crate::baseline::cpu;
use crate::baseline::plugin::Plugin;
use crate::baseline::server::{self, Program, Server, Transport};
use crate::baseline::socket::Socket;

/// Time until a server is reachable, and until one has stopped, at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often we look.
const TICK: Duration = Duration::from_millis(2);

/// A server that runs.
pub(super) enum Host {
    Ours(Server),
    Installed(Running),
}

/// A server that others have written. It is killed when this is dropped.
pub(super) struct Running {
    child: Child,
    /// Where it listens, and its second address.
    addresses: [Address; 2],
    /// Where it connects to.
    onward: Option<Onward>,
    shape: Shape,
    wire: fn() -> Box<dyn super::wire::Wire>,
    _directory: TempDir,
}

/// Takes connections from a server.
enum Onward {
    Unix(UnixListener),
    Tcp(TcpListener),
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
            Self::Installed(running) => running.child.id(),
        }
    }

    /// Two clients, of which each knows how to address the other.
    pub(super) fn pair(&mut self, number: usize) -> Result<[End; 2]> {
        let names = ["a", "b"].map(|side| format!("bench-{side}-{number:04}"));
        match self {
            Self::Ours(server) => match server.program() {
                Program::Forwarder(_) => bare([server.connect()?, server.connect()?], &names),
                Program::Relay { .. } => {
                    let [one, other] = [&names[0], &names[1]].map(|name| Plugin::register(server.connect()?, name));
                    End::channel(one?, other?, &names[1])
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
        let directory = server::directory()?;
        let address = |name: &str| -> io::Result<Address> {
            Ok(match transport {
                Transport::Unix => Address::Unix(directory.path().join(name)),
                Transport::Tcp => Address::Tcp(server::free_port()?),
            })
        };
        let addresses = [address("bus.sock")?, address("second.sock")?];
        let onward = match &addresses[1] {
            _ if installed.shape != Shape::Onward => None,
            Address::Unix(path) => Some(Onward::Unix(UnixListener::bind(path)?)),
            Address::Tcp(host_port) => Some(Onward::Tcp(TcpListener::bind(host_port)?)),
        };
        let site = Site { directory: directory.path(), address: &addresses[0], second: &addresses[1] };
        let mut command = (installed.command)(&site)?;
        command.current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        // Children run where their parent does.
        let child = cpu::on(cpus, || command.spawn())?.with_context(|| format!("cannot start {command:?}"))?;
        // From here on it is killed if something goes wrong.
        let mut running =
            Self { child, addresses, onward, shape: installed.shape, wire: installed.wire, _directory: directory };
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
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.addresses[index].connect() {
                Ok(socket) => return Ok(socket),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("{} is not reachable", self.addresses[index]));
                }
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server has ended: {status}");
            }
            thread::sleep(TICK);
        }
    }

    fn accept(&self) -> Result<OwnedFd> {
        Ok(match self.onward.as_ref().context("it connects to nobody")? {
            Onward::Unix(listener) => listener.accept()?.0.into(),
            Onward::Tcp(listener) => {
                let socket = listener.accept()?.0;
                socket.set_nodelay(true)?;
                socket.into()
            }
        })
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
        // It is our child and not waited for yet, so that the number is still its own.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(TICK);
        }
        bail!("the server has not stopped within {} s", PATIENCE.as_secs());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The most memory that a process and its children had in RAM, in bytes.
pub(super) fn memory_peak_bytes(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for pid in cpu::family(pid) {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        sum += line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default() << 10;
    }
    Ok(sum)
}

/// The memory that a process and its children have in RAM, in bytes.
pub(super) fn memory_bytes(pid: u32) -> Result<u64> {
    cpu::family(pid).into_iter().map(cpu::memory_bytes).sum()
}
