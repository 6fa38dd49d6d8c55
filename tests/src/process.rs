//! A child process of a test: its output is gathered as it comes, and it is gone when the value is dropped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::proc;

/// How long a process may take to say something, or to end. It bounds a test that fails; it measures nothing.
pub const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);
/// Lines that a failing test shows.
const TAIL_LINES: usize = 12;

/// Names a program to run instead of the one the suite was built with: another build, another implementation.
pub const PROGRAM_VARIABLE: &str = "MINBUSD_UNDER_TEST";

/// Gives programs that are started from here the default for each signal, whatever those who run the tests ignore, as
/// `nohup` does with SIGHUP: a signal that is ignored is so in every child, and one that is caught is not.
pub fn heed_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ignored = proc::status_field(std::process::id(), "SigIgn").expect("the kernel tells");
        let ignored = u64::from_str_radix(&ignored.expect("it says which"), 16).expect("a set of signals");
        // Of SIGPIPE the standard library takes care.
        let signals = [
            Signal::HUP,
            Signal::INT,
            Signal::QUIT,
            Signal::USR1,
            Signal::USR2,
            Signal::ALARM,
            Signal::TERM,
            Signal::XCPU,
            Signal::VTALARM,
            Signal::PROF,
            Signal::IO,
        ];
        for signal in signals.map(Signal::as_raw).into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 1) {
            signal_hook::flag::register(signal, Arc::default()).expect("it can be caught");
        }
    });
}

/// Ends this process when its standard input closes: then the test that has started it is gone.
pub fn end_with_stdin() {
    /// Exit status of one whose test is gone.
    const ORPHANED: i32 = 86;
    std::thread::spawn(|| {
        // Nothing is ever written to it: an error, too, means that the other end is gone.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(ORPHANED);
    });
}

/// A command that runs the daemon `program`, or what [`PROGRAM_VARIABLE`] names, in surroundings that are the same
/// everywhere.
pub fn daemon_command(program: impl AsRef<OsStr>) -> Command {
    let program = std::env::var_os(PROGRAM_VARIABLE).unwrap_or_else(|| program.as_ref().to_owned());
    heed_signals();
    let mut command = Command::new(program);
    command.env("RUST_LOG", "info").env("NO_COLOR", "1").env_remove("XDG_RUNTIME_DIR").env_remove("NOTIFY_SOCKET");
    command
}

/// The same command, run by `wrapper`, a program with arguments of its own that runs what follows them.
pub fn wrapped(command: &Command, wrapper: &[String]) -> Command {
    let [program, arguments @ ..] = wrapper else { panic!("a wrapper is a program") };
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Waits until `ready` finds what it looks for.
///
/// # Panics
/// When it takes too long.
#[track_caller]
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        sleep(POLL);
    }
}

/// Says that something is over when it is dropped, which is when a test fails as well.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a process has done, once it is over.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Its exit status must be this one.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self
    }

    /// A failure of the tool says what went wrong, on the standard error alone, in one line that names the tool.
    #[track_caller]
    pub fn expect_failure(&self, code: i32, words: &str) {
        self.expect_code(code);
        let one_line = self.stderr.starts_with("minbus: ") && self.stderr.lines().count() == 1;
        assert!(one_line && self.stderr.contains(words), "{words:?} is not in {self:?}");
    }

    /// Its standard error must have all of these words.
    #[track_caller]
    pub fn expect_words(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:?}");
        }
        self
    }
}

/// What comes out of a pipe, line by line.
struct Gathered {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Gathered {
    fn from(pipe: Option<impl Read + Send + 'static>) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let read = |pipe| BufReader::new(pipe).lines().map_while(Result::ok);
        let reader =
            pipe.map(|pipe| std::thread::spawn(move || read(pipe).for_each(|line| kept.lock().unwrap().push(line))));
        Self { lines, reader }
    }

    /// All of it, once the other end is closed.
    fn all(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.lines.lock().unwrap().clone()
    }
}

/// A running process.
pub struct Process {
    process: testkit::process::Process,
    /// Held, because the daemon under test and others end when it closes.
    stdin: Option<ChildStdin>,
    stdout: Gathered,
    stderr: Gathered,
}

impl Process {
    /// Starts a command with pipes for all of its standard streams.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_with_stderr(command, Stdio::piped())
    }

    /// The same, with a standard error that is not gathered.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_with_stderr(command: &mut Command, stderr: Stdio) -> Self {
        Self::spawn_with(command, Stdio::piped(), stderr)
    }

    /// The same, with a standard output and a standard error of which only pipes are gathered.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_with(command: &mut Command, stdout: Stdio, stderr: Stdio) -> Self {
        command.stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        let started = testkit::process::Process::start(command);
        let mut process = started.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let child = process.child();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Self { process, stdin, stdout: Gathered::from(stdout), stderr: Gathered::from(stderr) }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The lines of standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.stderr.lines.lock().unwrap().clone()
    }

    /// All lines of standard error, when the process has closed it.
    pub fn log_to_its_end(&mut self) -> Vec<String> {
        self.stderr.all()
    }

    /// The last of them.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        log[log.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// The lines of standard output so far.
    pub fn output(&self) -> Vec<String> {
        self.stdout.lines.lock().unwrap().clone()
    }

    /// Waits for a line of standard error with these words.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait_logged(&mut self, words: &str) -> String {
        self.wait_until(words, |process| process.log().into_iter().find(|line| line.contains(words)))
    }

    /// Waits until `ready` finds what it looks for in a process that runs.
    ///
    /// # Panics
    /// When it takes too long, or when the process ends before.
    #[track_caller]
    pub fn wait_until<T>(&mut self, what: &str, ready: impl Fn(&Self) -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        loop {
            // Asked before, so that nothing of what it said last is missed.
            let status = self.process.status().expect("the child can be asked");
            if let Some(value) = ready(self) {
                return value;
            }
            let late = Instant::now() > give_up;
            assert!(status.is_none() && !late, "before {what:?}: {status:?}, log:\n{}", self.log_tail());
            sleep(POLL);
        }
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// When the system does not know.
    pub fn is_running(&mut self) -> bool {
        self.process.status().expect("the child can be asked").is_none()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When it is not our child any more.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal).expect("it is our child");
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.process.await_end(PATIENCE).expect("the child can be asked");
        status.unwrap_or_else(|| panic!("it does not end, log:\n{}", self.log_tail()))
    }

    /// Waits for its end, and takes all that it has said.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn outcome(mut self) -> Outcome {
        let status = self.wait();
        Outcome { status, stdout: text(&self.stdout.all()), stderr: text(&self.stderr.all()) }
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it does not start, or does not end.
    #[track_caller]
    pub fn run(command: &mut Command) -> Outcome {
        Self::spawn(command).outcome()
    }
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// The memory that a process has resident, in bytes.
///
/// # Panics
/// When it is gone.
pub fn resident_bytes(pid: u32) -> u64 {
    proc::memory_bytes(pid, proc::Memory::Resident).expect("the process runs")
}
