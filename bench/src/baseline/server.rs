//! What is measured: the relay or a forwarder, as a process of its own on a CPU of its own.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use limits::UNIX_PATH_BYTES_MAX;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tempfile::TempDir;

use super::cpu;
use crate::address::Address;
use crate::console;
use crate::forward::Kind;

/// The name under which this program is the daemon.
const RELAY_NAME: &str = "minbusd-bench";

/// What the socket is called in its directory, and the longest that one is called there, with the slash before it.
const SOCKET: &str = "bus.sock";
const SOCKET_BYTES_MAX: usize = 20;

/// Time until a server is reachable, and until a relay has stopped, at most: longer than any machine is too busy for that.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often we look.
const TICK: Duration = Duration::from_millis(2);

/// Whether this process was started to be the relay.
pub(crate) fn is_relay() -> bool {
    env::args_os().next().is_some_and(|name| name == RELAY_NAME)
}

/// Is the relay, with the flags of the process, as long as the benchmark lives.
pub(crate) fn relay_main() -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        console::complain(format_args!("{RELAY_NAME} cannot tie its life to the benchmark's: {error}"));
    }
    relay::daemon::main()
}

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

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
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
        let address = match transport {
            Transport::Unix => Address::Unix(directory.path().join(SOCKET)),
            Transport::Tcp => Address::Tcp(free_port()?),
        };
        let mut command = Command::new(env::current_exe()?);
        match program {
            Program::Relay { shards, credit_memory } => {
                let (flag, value): (_, OsString) = match &address {
                    Address::Unix(path) => ("--unix", path.into()),
                    Address::Tcp(host_port) => ("--tcp", host_port.into()),
                };
                command.arg0(RELAY_NAME).arg(flag).arg(value).arg("--shards").arg(shards.to_string());
                if let Some(memory) = credit_memory {
                    let path = directory.path().join("minbusd.toml");
                    fs::write(&path, format!("[credit]\nmemory_bytes = \"{memory}\"\n"))?;
                    command.arg("--config").arg(path);
                } else if let Some(path) = config {
                    command.arg("--config").arg(path);
                }
                if let Some(log) = log {
                    command.env("RUST_LOG", "info").stderr(log);
                } else if env::var_os("RUST_LOG").is_none() {
                    command.env("RUST_LOG", "error");
                }
            }
            Program::Forwarder(kind) => {
                let kind = kind.to_possible_value().expect("every kind has a name");
                command.args(["forward", "--kind", kind.get_name(), "--listen", &address.to_string()]);
            }
        }
        // It is no service of a manager that may have started us.
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        // Children run where their parent does.
        let child = cpu::on(cpus, || command.spawn())?.context("cannot start a server")?;
        Ok(Self { child, program, address, _directory: directory })
    }

    pub(crate) fn program(&self) -> Program {
        self.program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A connection; the first may have to wait until the server is there.
    pub(crate) fn connect(&mut self) -> Result<OwnedFd> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.address.connect() {
                Ok(socket) => return Ok(socket),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("{} is not reachable", self.address));
                }
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server has ended: {status}");
            }
            thread::sleep(TICK);
        }
    }

    /// Stops it and checks that it went well. All connections must be over.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Program::Relay { .. } = self.program {
            // It is our child and not waited for yet, so that the number is still its own.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                None => thread::sleep(TICK),
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the server has ended badly: {status}"),
            }
        }
        bail!("the server has not stopped within {} s", PATIENCE.as_secs());
    }
}

/// A directory for a socket: with all temporary files, unless the path of a socket would be too long there.
pub(crate) fn directory() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let directory = builder.prefix("minbus-bench-").tempdir()?;
    let is_short = directory.path().as_os_str().len() + SOCKET_BYTES_MAX <= UNIX_PATH_BYTES_MAX;
    if is_short { Ok(directory) } else { builder.tempdir_in("/tmp") }
}

/// Host and port that were free a moment ago, and are likely to be: on an address of this machine of which no other process
/// takes ports, neither to listen nor to connect.
pub(crate) fn free_port() -> io::Result<String> {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let listener = TcpListener::bind((Ipv4Addr::new(127, 1 + high % 0x80, middle, low), 0))?;
    Ok(listener.local_addr()?.to_string())
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
