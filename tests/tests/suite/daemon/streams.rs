//! Standard streams that are closed, full or not read: they change neither what the daemon does nor its exit status.

use std::fs::File;
use std::io::{PipeReader, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use rustix::process::Signal;
use tests::peer::Address;
use tests::process::{Process, eventually, wrapped};

use super::{minbusd, plugin};

/// A stream to which nothing can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Useless {
    /// There is no room for anything.
    Full,
    /// Nobody reads it any more.
    Unread,
}

impl Useless {
    fn stream(self) -> Stdio {
        match self {
            Self::Full => File::options().write(true).open("/dev/full").expect("it is always there").into(),
            Self::Unread => std::io::pipe().expect("a pipe").1.into(),
        }
    }
}

/// A command without some descriptor, such as `2`.
fn without(command: &Command, descriptor: &str) -> Command {
    wrapped(command, &["sh", "-c", &format!("exec \"$@\" {descriptor}>&-"), "sh"].map(str::to_owned))
}

fn with_flags(flags: &[&str]) -> Command {
    let mut command = minbusd();
    command.args(flags);
    command
}

fn code(mut process: Process) -> Option<i32> {
    process.wait().code()
}

#[test]
fn each_exit_status_is_the_same_without_stderr() {
    let directory = tests::directory::directory();
    let fine = directory.path().join("bus.sock");
    let fine = fine.to_str().expect("UTF-8");
    let mut filtered = with_flags(&["--unix", "/nonexistent/bus.sock"]);
    filtered.env("RUST_LOG", "relay=loud");
    for (mut command, expected) in [
        (with_flags(&["--unix", "/nonexistent/bus.sock"]), 1),
        (with_flags(&["--colour"]), 2),
        (with_flags(&["--shards", "0", "--unix", fine]), 2),
        (with_flags(&["--config", "/nonexistent.toml"]), 2),
        (with_flags(&["--unix", "/nonexistent/bus.sock", "--check"]), 2),
        (filtered, 2),
        (with_flags(&["--unix", fine, "--check"]), 0),
        (with_flags(&["--help"]), 0),
    ] {
        for useless in [Useless::Full, Useless::Unread] {
            let status = code(Process::spawn_with_stderr(&mut command, useless.stream()));
            assert_eq!(status, Some(expected), "{useless:?} {command:?}");
        }
        let status = code(Process::spawn(&mut without(&command, "2")));
        assert_eq!(status, Some(expected), "closed: {command:?}");
    }
}

#[test]
fn what_cannot_be_printed_is_an_error_unless_nobody_wants_it() {
    let directory = tests::directory::directory();
    let unix = directory.path().join("bus.sock");
    let unix = unix.to_str().expect("UTF-8");
    for flags in [&["--help"][..], &["--version"], &["--unix", unix, "--check"], &["--unix", unix, "--print-config"]] {
        for (useless, expected) in [(Useless::Full, 1), (Useless::Unread, 0)] {
            for stderr in [Stdio::piped(), useless.stream()] {
                let process = Process::spawn_with(&mut with_flags(flags), useless.stream(), stderr);
                assert_eq!(code(process), Some(expected), "{useless:?} {flags:?}");
            }
        }
        assert_eq!(code(Process::spawn(&mut without(&with_flags(flags), "1"))), Some(0), "closed: {flags:?}");
    }
}

/// A daemon on a socket of its own whose log goes to `stderr`.
fn daemon(directory: &Path, log: &str, stderr: Stdio) -> (Process, Address) {
    let unix = directory.join("bus.sock");
    // With places for all connections that a busy machine lets wait.
    let mut command = minbusd();
    command.args(["--shards", "1", "--unix"]).arg(&unix).env("RUST_LOG", log);
    let daemon = Process::spawn_with_stderr(&mut command, stderr);
    eventually("the socket takes connections", || UnixStream::connect(&unix).ok());
    (daemon, Address::Unix(unix))
}

#[test]
fn a_daemon_whose_log_goes_nowhere_serves_and_stops() {
    for useless in [Useless::Full, Useless::Unread] {
        let directory = tests::directory::directory();
        let (daemon, address) = daemon(directory.path(), "trace", useless.stream());
        let mut peers: Vec<_> = (0..20).map(|number| plugin(&address, &format!("plugin {number}"))).collect();
        peers.iter_mut().for_each(tests::peer::Peer::fence);
        daemon.signal(Signal::TERM);
        assert_eq!(code(daemon), Some(0), "{useless:?}");
    }
}

/// A pipe that is full, so that nothing goes into it before somebody reads.
pub(super) fn full_pipe() -> (PipeReader, Stdio, usize) {
    let (reader, writer, filled) = tests::pipes::full();
    ioctl_fionbio(&writer, false).expect("a pipe can be blocking");
    (reader, writer.into(), filled)
}

/// Connections that come and go, each of which makes two lines at the level of debug. Returns how many there were.
fn come_and_go(address: &Address, connections: usize, daemon: &Process) -> usize {
    /// So few at once that nobody is refused.
    const AT_ONCE: usize = 500;
    let Address::Unix(path) = address else { panic!("a unix socket") };
    let open = || testkit::proc::open_files(daemon.pid()).expect("it runs");
    let mut made = 0;
    for number in 1..=connections {
        drop(UnixStream::connect(path).expect("it listens"));
        made += 1;
        if number % AT_ONCE == 0 || number == connections {
            // All before it have been accepted when it is served.
            plugin(address, "last").fence();
            made += 1;
            eventually("all connections to be over", || (open() < 40).then_some(()));
        }
    }
    made
}

/// What tells of lines that were lost.
const LOST: &str = "log lines were lost: stderr was not read";

/// The log, as slowly as a reader may be that still reads, until it has come to lines that were lost: from there on at once.
fn read_slowly(mut reader: PipeReader, filled: usize, has_caught_up: &AtomicBool) -> Vec<String> {
    let (mut text, mut part) = (Vec::new(), [0; 8192]);
    loop {
        match reader.read(&mut part).expect("a pipe can be read") {
            0 => break,
            count => text.extend_from_slice(&part[..count]),
        }
        if !has_caught_up.load(Ordering::Relaxed) {
            let recent = &text[text.len().saturating_sub(part.len() + LOST.len())..];
            has_caught_up.store(String::from_utf8_lossy(recent).contains(LOST), Ordering::Relaxed);
            sleep(Duration::from_millis(5));
        }
    }
    let text = String::from_utf8(text[filled..].to_vec()).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn count(log: &[String], words: &str) -> usize {
    log.iter().filter(|line| line.contains(words)).count()
}

/// "Lines lost to a stalled stderr are counted and told later": nothing in between waits, and not one is missing in the sum.
#[test]
fn lines_that_a_stalled_reader_has_missed_are_counted() {
    const CONNECTIONS: usize = 6_000;
    let directory = tests::directory::directory();
    let (reader, stderr, filled) = full_pipe();
    let (daemon, address) = daemon(directory.path(), "relay=debug", stderr);
    let made = come_and_go(&address, CONNECTIONS, &daemon);
    let has_caught_up = AtomicBool::new(false);
    let log = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read_slowly(reader, filled, &has_caught_up));
        // Before that a line more may find room or not, and the next one make another gap.
        eventually("the reader to catch up", || has_caught_up.load(Ordering::Relaxed).then_some(()));
        plugin(&address, "still here").fence();
        daemon.signal(Signal::TERM);
        assert_eq!(code(daemon), Some(0));
        reading.join().expect("no panic")
    });
    let lost: Vec<usize> = log
        .iter()
        .filter(|line| line.contains(LOST))
        .map(|line| line.split_once(" lost=").and_then(|(_, number)| number.parse().ok()).expect("a number"))
        .collect();
    assert_eq!(lost.len(), 1, "one gap: {lost:?}");
    // The first connection is that of the harness, and the last one a plugin.
    let connections = made + 2;
    let (came, went) = (count(&log, ": connected peer="), count(&log, ": connection "));
    assert_eq!(came + went + lost[0], 2 * connections, "{came} came, {went} went, {lost:?} were lost");
    assert!(log.last().is_some_and(|line| line.contains("stopped")), "{:?}", log.last());
}

#[test]
fn a_slow_reader_misses_nothing_at_the_end() {
    const CONNECTIONS: usize = 2_000;
    let directory = tests::directory::directory();
    let (reader, stderr, filled) = full_pipe();
    let (daemon, address) = daemon(directory.path(), "relay=debug", stderr);
    let made = come_and_go(&address, CONNECTIONS, &daemon);
    daemon.signal(Signal::TERM);
    let log = read_slowly(reader, filled, &AtomicBool::new(false));
    assert_eq!(code(daemon), Some(0));
    let (came, went) = (count(&log, ": connected peer="), count(&log, ": connection "));
    assert_eq!((came, went), (made + 1, made + 1));
    assert!(log.last().is_some_and(|line| line.contains("stopped")), "{:?}", log.last());
}

#[test]
fn a_reader_that_never_reads_holds_up_no_end() {
    for (signals, expected) in [(1, 0), (2, 128 + 15)] {
        let directory = tests::directory::directory();
        let (reader, stderr, _) = full_pipe();
        let (daemon, address) = daemon(directory.path(), "info", stderr);
        let mut plugin = plugin(&address, "echo");
        plugin.fence();
        daemon.signal(Signal::TERM);
        if signals == 2 {
            // Once it stops, it takes no new connections.
            eventually("the stop to begin", || plugin.closed().or(Some(String::new())));
            daemon.signal(Signal::TERM);
        }
        let status = code(daemon);
        assert!(status == Some(expected) || signals == 2 && status == Some(0), "{status:?}");
        drop(reader);
    }
}
