//! A real daemon process on sockets of its own, stopped in good order when the value is dropped.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use tempfile::TempDir;
use testkit::{descriptors, proc};

use crate::directory::directory;
use crate::peer::Address;
use crate::process::{Process, daemon_command, wrapped};

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The program, unless [`crate::process::PROGRAM_VARIABLE`] names another.
    pub program: PathBuf,
    /// Number of shards.
    pub shards: usize,
    /// The text of the configuration file.
    pub config: String,
    /// Further flags.
    pub flags: Vec<String>,
    /// `RUST_LOG`; `info` when it is empty.
    pub log: String,
    /// A program, with arguments, that runs the daemon; none when it is empty.
    pub wrapper: Vec<String>,
}

/// A running daemon. It listens on a unix socket and on a TCP port of 127.0.0.1.
pub struct Daemon {
    process: Process,
    command: Command,
    unix: PathBuf,
    tcp: SocketAddr,
    directory: TempDir,
    /// Somebody has waited for its end, and knows how it was.
    is_over: bool,
}

impl Daemon {
    /// Starts a daemon and waits until both of its sockets answer.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(options: &Options) -> Self {
        descriptors::raise().expect("the soft limit may go to the hard one");
        let directory = directory();
        let unix = directory.path().join("bus.sock");
        let file = directory.path().join("minbusd.toml");
        std::fs::write(&file, with_small_rings(&options.config)).expect("the configuration file can be written");
        let mut command = daemon_command(&options.program);
        command.arg("--config").arg(&file).arg("--unix").arg(&unix);
        command.args(["--tcp", "127.0.0.1:0", "--shards", &options.shards.to_string()]).args(&options.flags);
        if !options.log.is_empty() {
            command.env("RUST_LOG", &options.log);
        }
        if !options.wrapper.is_empty() {
            command = wrapped(&command, &options.wrapper);
        }
        let process = Process::spawn(&mut command);
        let tcp = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Self { process, command, unix, tcp, directory, is_over: false };
        daemon.come_up();
        daemon
    }

    /// Starts it again, on the same unix socket, after it has ended; the TCP port is another one.
    ///
    /// # Panics
    /// When it has not ended, or does not come up.
    pub fn start_again(&mut self) {
        assert!(!self.process.is_running(), "it has not ended");
        self.process = Process::spawn(&mut self.command);
        self.is_over = false;
        self.come_up();
    }

    fn come_up(&mut self) {
        let Self { process, unix, tcp, .. } = self;
        process.wait_until("the unix socket answers", |_| UnixStream::connect(&*unix).is_ok().then_some(()));
        *tcp = process.wait_until("the log names the TCP port", tcp_in_log);
    }

    /// The path of its unix socket.
    pub fn unix(&self) -> &Path {
        &self.unix
    }

    /// The address of its TCP socket.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Both ways to reach it.
    pub fn addresses(&self) -> [Address; 2] {
        [Address::Unix(self.unix.clone()), Address::Tcp(self.tcp)]
    }

    /// A directory of its own, for whatever else a test needs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How many file descriptors it has open.
    ///
    /// # Panics
    /// When it does not run.
    pub fn open_files(&self) -> usize {
        proc::open_files(self.pid()).expect("the daemon runs")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait(&mut self) -> ExitStatus {
        self.is_over = true;
        self.process.wait()
    }

    /// Kills it, so that it can do nothing more.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Ends it in good order by a signal.
    ///
    /// # Panics
    /// Unless it ends with status 0.
    pub fn end(&mut self, signal: Signal) {
        self.signal(signal);
        self.expect_success();
    }

    /// Waits for its end, which must be one in good order.
    ///
    /// # Panics
    /// Unless it ends with status 0.
    #[track_caller]
    pub fn expect_success(&mut self) {
        let status = self.wait();
        assert!(status.success(), "ended with {status}, log:\n{}", self.log_tail());
    }

    /// Stops it now rather than when it goes out of scope.
    pub fn stop(self) {}
}

impl Deref for Daemon {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Daemon {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log_tail());
        } else if !self.is_over {
            self.end(Signal::TERM);
        }
    }
}

/// A configuration with rings that are small, unless it says how large they are. Since Linux 6.14 the rings of all processes of
/// a user count against `RLIMIT_MEMLOCK`, which is often 8 MiB; one of the default size takes more than 1 MiB, and on a
/// machine with many CPUs many tests have daemons at once.
#[must_use]
pub fn with_small_rings(config: &str) -> String {
    let mut text = config.to_owned();
    for (section, key, value) in [("[engine]\n", "ring_entries", 256), ("[limits]\n", "connections_max", 2_000)] {
        if text.contains(key) {
            continue;
        }
        let line = format!("{key} = {value}\n");
        match text.find(section) {
            Some(at) => text.insert_str(at + section.len(), &line),
            None => text.extend(["\n", section, &line]),
        }
    }
    text
}

/// The first real port in a line that says it listens.
fn tcp_in_log(process: &Process) -> Option<SocketAddr> {
    let log = process.log();
    let rests = log.iter().filter(|line| line.contains("listening")).filter_map(|line| line.split_once("127.0.0.1:"));
    rests
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        .filter_map(|digits| digits.parse().ok().filter(|port| *port != 0))
        .map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)))
        .next()
}
