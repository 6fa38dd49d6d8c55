//! The relay as a process of its own: this binary carries the daemon, and is it when it is started under its name.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tempfile::TempDir;

use crate::address::Address;
use crate::error::Error;

/// The name under which the binary is the daemon.
const NAME: &str = "minbusd-embedded";

/// Time until the relay is reachable, at most.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Time until the relay has stopped, at most: longer than it lets itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How often we look whether it has.
const TICK: Duration = Duration::from_millis(2);

/// Whether this process was started to be the relay.
pub(crate) fn is_relay() -> bool {
    env::args_os().next().is_some_and(|name| name == NAME)
}

/// Is the relay, with the flags of the process, as long as the generator lives.
pub(crate) fn relay_main() -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        eprintln!("{NAME}: cannot tie its life to the generator's: {error}");
    }
    relay::daemon::main()
}

/// A relay that runs. It is killed when this is dropped; [`Embedded::stop`] is the polite way.
#[derive(Debug)]
pub(crate) struct Embedded {
    child: Child,
    address: Address,
    /// Holds the socket.
    _directory: TempDir,
}

impl Embedded {
    /// Starts a relay on a temporary unix socket, or on a free TCP port of the loopback interface, and waits until it
    /// is reachable.
    pub(crate) fn start(tcp: bool, shards: u32) -> Result<Self, Error> {
        let directory = tempfile::Builder::new().prefix("minbus-load-").tempdir().map_err(Error::Start)?;
        let address = if tcp { free_port().map_err(Error::Start)? } else { socket_in(directory.path()) };
        let child = spawn(&address, shards).map_err(Error::Start)?;
        let mut embedded = Self { child, address, _directory: directory };
        let deadline = Instant::now() + START_TIMEOUT;
        while embedded.address.connect().is_err() {
            embedded.check_alive()?;
            if Instant::now() > deadline {
                return Err(Error::NotReady { seconds: START_TIMEOUT.as_secs() });
            }
            thread::sleep(TICK);
        }
        Ok(embedded)
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says so if it has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(Error::RelayDied(status)),
            _ => Ok(()),
        }
    }

    /// Stops it and checks that it went well.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.check_alive()?;
        // It is our child and not waited for yet, so that the number is still its own.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        match self.await_exit(Instant::now() + STOP_TIMEOUT) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Error::StoppedBadly(status)),
            None => Err(Error::NotStopped { seconds: STOP_TIMEOUT.as_secs() }),
        }
    }

    fn await_exit(&mut self, deadline: Instant) -> Option<ExitStatus> {
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(TICK);
        }
        None
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn spawn(address: &Address, shards: u32) -> io::Result<Child> {
    let (flag, value): (_, OsString) = match address {
        Address::Unix(path) => ("--unix", path.into()),
        Address::Tcp(host_port) => ("--tcp", host_port.into()),
    };
    let mut command = Command::new(env::current_exe()?);
    command.arg0(NAME).arg(flag).arg(value).arg(OsStr::new("--shards")).arg(shards.to_string());
    if env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "warn");
    }
    // A group of its own: Ctrl-C is for the generator, which stops the relay when its plugins have left.
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn()
}

fn socket_in(directory: &Path) -> Address {
    Address::Unix(directory.join("bus.sock"))
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<Address> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(Address::Tcp(listener.local_addr()?.to_string()))
}
