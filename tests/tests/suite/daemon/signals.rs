//! Signals that do not mean that it is to stop: none of them ends or stops it, whatever their default is.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::process::Signal;
use tests::pair::Pair;
use tests::peer::Address;
use tests::process::{Process, eventually, wrapped};

use super::{minbusd_with_small_rings, plugin, reachable, start};
use crate::CONFINED;

/// "Until reload exists it re-opens nothing and says so in a line; it never kills."
#[test]
fn a_hangup_ends_nothing_and_is_told_of() {
    for shards in [1, 2] {
        let (mut daemon, [unix, tcp]) = reachable(shards, "");
        let mut pair = Pair::between(plugin(&unix, "a"), plugin(&tcp, "b"), 1);
        for _ in 0..50 {
            daemon.signal(Signal::HUP);
            pair.exchange("still here", 64);
        }
        let line = daemon.wait_logged("SIGHUP");
        assert!(line.contains("nothing is read again") && line.contains("restart"), "{line}");
        pair.quiet();
    }
}

#[test]
fn no_other_signal_ends_or_stops_it_either() {
    let told = [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::IO];
    let untold = [Signal::PIPE, Signal::XFSZ, Signal::TTIN, Signal::TTOU, Signal::POWER, Signal::STKFLT];
    let harmless = [Signal::CHILD, Signal::URG, Signal::WINCH, Signal::CONT];
    let mut daemon = start(2, "");
    let mut peer = plugin(&daemon.addresses()[0], "a");
    for signal in told.into_iter().chain(untold).chain(harmless) {
        daemon.signal(signal);
        // From a process that has been stopped no answer would come.
        peer.fence();
    }
    for name in ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO"] {
        let line = daemon.wait_logged(name);
        assert!(line.contains("ignored"), "{line}");
    }
}

#[test]
fn a_log_file_that_may_not_grow_any_more_ends_nothing() {
    let directory = tests::directory::directory();
    let (unix, log) = (directory.path().join("bus.sock"), directory.path().join("log"));
    let mut command = minbusd_with_small_rings();
    command.args(["--shards", "1", "--unix"]).arg(&unix).env("RUST_LOG", "debug");
    // Enough for the lock file, and for a part of the second line.
    let mut command = wrapped(&command, &[CONFINED, "fsize=400", "--"].map(str::to_owned));
    let file = File::options().append(true).create(true).open(&log).expect("a file");
    let mut daemon = Process::spawn_with_stderr(&mut command, Stdio::from(file));
    eventually("the socket takes connections", || UnixStream::connect(&unix).ok());
    let mut peers: Vec<_> =
        (0..50).map(|number| plugin(&Address::Unix(unix.clone()), &format!("plugin {number}"))).collect();
    peers.iter_mut().for_each(tests::peer::Peer::fence);
    assert_eq!(std::fs::metadata(&log).expect("it is there").len(), 400, "the limit has not been reached");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait().success());
}
