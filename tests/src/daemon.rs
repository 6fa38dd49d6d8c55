//! A real daemon process on a socket of its own, gone when the value is dropped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a daemon may take to start or to stop. It bounds a test that fails; it measures nothing.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);
/// Lines of the daemon's log that a failing test shows.
const LOG_TAIL_LINES: usize = 12;

/// Names a program to run instead of the one the suite was built with: another build, another implementation.
pub const PROGRAM_VARIABLE: &str = "MINBUSD_UNDER_TEST";

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program, unless [`PROGRAM_VARIABLE`] names another.
    pub program: PathBuf,
    /// Number of shards.
    pub shards: usize,
    /// The text of the configuration file.
    pub config: String,
}

/// A running daemon. It listens on a unix socket and on a TCP port of 127.0.0.1.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    unix: PathBuf,
    tcp: SocketAddr,
    /// Holds the socket and the configuration file; removed with the value.
    _directory: TempDir,
}

impl Daemon {
    /// Starts a daemon and waits until both of its sockets answer.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start(options: &Options) -> Self {
        let directory = TempDir::with_prefix("minbus-").expect("a directory for the socket");
        let unix = directory.path().join("bus.sock");
        let file = directory.path().join("minbusd.toml");
        std::fs::write(&file, &options.config).expect("the configuration file can be written");
        let program = std::env::var_os(PROGRAM_VARIABLE).map_or_else(|| options.program.clone(), PathBuf::from);
        let mut child = Command::new(&program)
            .arg("--config")
            .arg(&file)
            .arg("--unix")
            .arg(&unix)
            .args(["--tcp", "127.0.0.1:0", "--shards", &options.shards.to_string()])
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
        let mut daemon = Self { child, log, unix, tcp: SocketAddr::from(([127, 0, 0, 1], 0)), _directory: directory };
        daemon.wait_until("the unix socket answers", |daemon| UnixStream::connect(&daemon.unix).is_ok().then_some(()));
        daemon.tcp = daemon.wait_until("the log names the TCP port", |daemon| daemon.tcp_in_log());
        daemon
    }

    fn wait_until<T>(&mut self, what: &str, ready: impl Fn(&Self) -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = ready(self) {
                return value;
            }
            let status = self.child.try_wait().expect("the child can be asked");
            let late = Instant::now() > give_up;
            assert!(status.is_none() && !late, "before {what}: status {status:?}, log:\n{}", self.log_tail());
            sleep(POLL);
        }
    }

    /// The first real port in a line that says it listens.
    fn tcp_in_log(&self) -> Option<SocketAddr> {
        let log = self.log.lock().unwrap();
        let rests =
            log.iter().filter(|line| line.contains("listening")).filter_map(|line| line.split_once("127.0.0.1:"));
        rests
            .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
            .filter_map(|digits| digits.parse().ok().filter(|port| *port != 0))
            .map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)))
            .next()
    }

    /// The path of its unix socket.
    pub fn unix(&self) -> &Path {
        &self.unix
    }

    /// The address of its TCP socket.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that it has logged.
    pub fn log_tail(&self) -> String {
        let log = self.log.lock().unwrap();
        log[log.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// How many file descriptors it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the daemon runs").count()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the daemon is our child");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait(&mut self) -> ExitStatus {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return status;
            }
            assert!(Instant::now() < give_up, "the daemon does not stop, log:\n{}", self.log_tail());
            sleep(POLL);
        }
    }

    /// Stops it in good order.
    ///
    /// # Panics
    /// Unless it ends with status 0.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "stopped with {status}, log:\n{}", self.log_tail());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log_tail());
        }
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
