//! A run of the tool: its pipes, its lines, its end. One that takes too long is killed, so that no test waits for ever.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tests::process::heed_signals;

use super::{PATIENCE, bytes};
use crate::TOOL;

/// The tool with nothing in the environment that says where a bus is.
pub(super) fn minbus_without_address() -> Command {
    heed_signals();
    let mut command = Command::new(TOOL);
    command.env_remove("MINBUS_ADDRESS").env_remove("XDG_RUNTIME_DIR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The tool, told by a flag where the bus is.
pub(super) fn minbus(address: &str) -> Command {
    let mut command = minbus_without_address();
    command.args(["--bus", address]);
    command
}

/// A running tool. It is killed when the value is dropped.
pub(super) struct Tool {
    child: Child,
    /// What is written here it reads; none once it was closed.
    pub(super) stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    /// None where it goes elsewhere.
    stderr: Option<BufReader<ChildStderr>>,
    /// Dropping it calls off the killing of a run that takes too long.
    _patience: Sender<()>,
}

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    status: ExitStatus,
    /// What it has written since somebody last read it.
    stdout: Vec<u8>,
    /// The same of the standard error.
    pub(super) stderr: String,
}

impl Tool {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the tool can be started");
        let pid = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("the tool is our child");
        let (patience, over) = channel();
        thread::spawn(move || {
            if over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // It fails where the tool has ended meanwhile.
                let _ = pidfd_send_signal(pid, Signal::KILL);
            }
        });
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            stderr: child.stderr.take().map(BufReader::new),
            child,
            _patience: patience,
        }
    }

    pub(super) fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text.as_bytes()).expect("the tool reads its input");
    }

    /// Ends its input.
    pub(super) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Its output, for somebody else to read.
    pub(super) fn take_stdout(&mut self) -> BufReader<ChildStdout> {
        self.stdout.take().expect("stdout is still here")
    }

    /// The next line of its output, without the line break; empty at the end.
    pub(super) fn line(&mut self) -> String {
        line(self.stdout.as_mut().expect("stdout is still here"))
    }

    /// The next line of its standard error.
    pub(super) fn complaint(&mut self) -> String {
        line(self.stderr.as_mut().expect("stderr is piped"))
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the tool is our child");
    }

    /// Tells it to end, which must be a good one.
    #[track_caller]
    pub(super) fn terminate(self) {
        self.signal(Signal::TERM);
        self.wait().assert_code(0);
    }

    /// Kills it, so that it can do nothing more.
    pub(super) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("the tool is our child");
    }

    /// Ends its input, and waits until it has ended.
    pub(super) fn end(mut self) -> Ended {
        self.close_stdin();
        self.wait()
    }

    /// Waits until it has ended by itself, its input still open.
    pub(super) fn wait(mut self) -> Ended {
        let mut stdout = Vec::new();
        if let Some(mut rest) = self.stdout.take() {
            rest.read_to_end(&mut stdout).expect("its output can be read");
        }
        let mut stderr = String::new();
        if let Some(mut rest) = self.stderr.take() {
            rest.read_to_string(&mut stderr).expect("it speaks UTF-8");
        }
        let status = self.child.wait().expect("the tool is our child");
        Ended { status, stdout, stderr }
    }
}

/// Lets one tool write to another without end, and does something with both, and what the reader still writes, when the
/// transfer is well under way.
pub(super) fn under_way(mut writer: Tool, mut reader: Tool, act: impl FnOnce(Tool, Tool, BufReader<ChildStdout>)) {
    /// Bytes that have arrived by then.
    const UNDER_WAY: u64 = 8 << 20;
    let (input, mut output) = (writer.stdin.take().expect("stdin is open"), reader.take_stdout());
    thread::scope(|scope| {
        scope.spawn(|| bytes::write_without_end(input));
        bytes::skip(&mut output, UNDER_WAY);
        act(writer, reader, output);
    });
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub(super) fn is_success(&self) -> bool {
        self.status.success()
    }

    #[track_caller]
    pub(super) fn assert_code(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}; stderr: {:?}", self.status, self.stderr);
    }

    /// A failure says what went wrong, on the standard error alone, in one line that names the tool.
    #[track_caller]
    pub(super) fn assert_failure(&self, code: i32, words: &str) {
        self.assert_code(code);
        let one_line = self.stderr.starts_with("minbus: ") && self.stderr.lines().count() == 1;
        assert!(one_line && self.stderr.contains(words), "{words:?} is not in {:?}", self.stderr);
    }

    /// Its output as text.
    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.stdout).expect("its output is UTF-8")
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("it writes UTF-8");
    line.truncate(line.trim_end_matches('\n').len());
    line
}
