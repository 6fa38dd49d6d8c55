//! The relay as a process of its own: this binary carries the daemon, and is it when it is started under its name.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use limits::UNIX_PATH_BYTES_MAX;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tempfile::TempDir;

use crate::address::{Address, connect};
use crate::console;
use crate::error::Error;

/// The name under which the binary is the daemon.
const NAME: &str = "minbusd-embedded";

/// What its socket is called.
const SOCKET: &str = "bus.sock";

/// Where temporary files have short names.
const SHORT_DIRECTORY: &str = "/tmp";

/// Time until the relay is reachable, at most: longer than any machine is too busy for that.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Time until the relay has stopped, at most: longer than it lets itself, on a busy machine.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// How often we look whether it has.
const TICK: Duration = Duration::from_millis(2);

/// Whether this process was started to be the relay.
pub(crate) fn is_relay() -> bool {
    env::args_os().next().is_some_and(|name| name == NAME)
}

/// Is the relay, with the flags of the process, as long as the generator lives.
pub(crate) fn relay_main() -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        console::complain(format_args!("{NAME} cannot tie its life to the generator's: {error}"));
    }
    relay::daemon::main()
}

/// A relay that runs. It is killed when this is dropped; [`Embedded::stop`] is the polite way.
#[derive(Debug)]
pub(crate) struct Embedded {
    child: Child,
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
        let unix = Address::Unix(directory.path().join(SOCKET));
        let tcp = free_port().map_err(Error::Start)?;
        let child = spawn(directory.path(), &unix, &tcp, settings).map_err(Error::Start)?;
        let mut embedded = Self { child, unix, tcp, _directory: directory };
        let deadline = Instant::now() + START_TIMEOUT;
        while connect(&embedded.unix).is_err() || connect(&embedded.tcp).is_err() {
            embedded.check_alive()?;
            if Instant::now() > deadline {
                return Err(Error::NotReady { seconds: START_TIMEOUT.as_secs() });
            }
            thread::sleep(TICK);
        }
        Ok(embedded)
    }

    /// Where it listens, on TCP or on a unix socket.
    pub(crate) fn address(&self, tcp: bool) -> &Address {
        if tcp { &self.tcp } else { &self.unix }
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

fn spawn(directory: &Path, unix: &Address, tcp: &Address, settings: &RelaySettings) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg0(NAME);
    for address in [unix, tcp] {
        match address {
            Address::Unix(path) => command.arg("--unix").arg(path),
            Address::Abstract(name) => command.arg("--unix").arg(format!("@{name}")),
            Address::Tcp { host, port } => command.arg("--tcp").arg(format!("{host}:{port}")),
        };
    }
    command.arg("--shards").arg(settings.shards.to_string());
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
    if env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "warn");
    }
    // It is no service of a manager that may have started us.
    command.env_remove("NOTIFY_SOCKET");
    // A group of its own: Ctrl-C is for the generator, which stops the relay when its plugins have left.
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn()
}

/// A directory for the socket: with all temporary files, unless the path of a socket would be too long there.
fn directory() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let directory = builder.prefix("minbus-load-").tempdir()?;
    let is_short = directory.path().join(SOCKET).as_os_str().len() <= UNIX_PATH_BYTES_MAX;
    if is_short { Ok(directory) } else { builder.tempdir_in(SHORT_DIRECTORY) }
}

/// A port that was free a moment ago, and is likely to be: on an address of this machine of which nobody else takes ports,
/// neither to listen nor to connect.
fn free_port() -> io::Result<Address> {
    let [high, middle, low] = [(); 3].map(|()| fastrand::u8(1..255));
    let listener = TcpListener::bind((Ipv4Addr::new(127, high, middle, low), 0))?;
    let address = listener.local_addr()?;
    Ok(Address::Tcp { host: address.ip().to_string(), port: address.port() })
}
