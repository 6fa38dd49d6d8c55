//! A run of the tool: its pipes, its lines, its end. One that takes too long is killed, so that no test waits for ever.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use testkit::process::Process;
use tests::process::{Outcome, heed_signals};

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
    process: Process,
    /// What is written here it reads; none once it was closed.
    pub(super) stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    /// None where it goes elsewhere.
    stderr: Option<BufReader<ChildStderr>>,
    /// Dropping it calls off the killing of a run that takes too long.
    _patience: Sender<()>,
}

impl Tool {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut process = Process::start(command).expect("the tool can be started");
        let child = process.child();
        let pid = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).expect("the tool is our child");
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
            process,
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
        self.process.pid()
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.process.signal(signal).expect("the tool is our child");
    }

    /// Kills it, so that it can do nothing more.
    pub(super) fn kill(self) {}

    /// Ends its input, and waits until it has ended.
    pub(super) fn end(mut self) -> Outcome {
        self.close_stdin();
        self.wait()
    }

    /// The same for an end that must be a good one.
    #[track_caller]
    pub(super) fn end_well(self) -> Outcome {
        let ended = self.end();
        ended.expect_code(0);
        ended
    }

    /// Stops it by a signal, which must be a good end.
    #[track_caller]
    pub(super) fn stop(self, signal: Signal) -> Outcome {
        self.signal(signal);
        let ended = self.wait();
        ended.expect_code(0);
        ended
    }

    /// Waits until it has ended by itself, its input still open.
    pub(super) fn wait(mut self) -> Outcome {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        if let Some(mut rest) = self.stdout.take() {
            rest.read_to_string(&mut stdout).expect("its output is UTF-8");
        }
        if let Some(mut rest) = self.stderr.take() {
            rest.read_to_string(&mut stderr).expect("it speaks UTF-8");
        }
        let status = self.process.child().wait().expect("the tool is our child");
        Outcome { status, stdout, stderr }
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

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("it writes UTF-8");
    line.truncate(line.trim_end_matches('\n').len());
    line
}
