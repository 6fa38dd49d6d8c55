//! Socket files: who may serve on a path, and what is left of it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use tests::peer::Address;
use tests::process::Process;

use super::{minbusd, plugin, start};

#[test]
fn the_socket_of_a_dead_daemon_is_replaced() {
    let mut daemon = start(2, "");
    for _ in 0..5 {
        let mut peer = plugin(&Address::Unix(daemon.unix().to_owned()), "echo");
        daemon.kill();
        assert!(daemon.unix().exists(), "a killed daemon leaves its socket behind, or this test shows nothing");
        daemon.start_again();
        assert_eq!(peer.closed(), None);
    }
    daemon.stop();
}

#[test]
fn the_port_of_a_dead_daemon_is_free_again() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    let mut command = minbusd();
    command.args(["--shards", "2", "--tcp", &free.to_string()]);
    let mut daemon = Process::spawn(&mut command);
    for round in 0..5 {
        daemon.wait_logged("listening");
        let mut peer = plugin(&Address::Tcp(free), "echo");
        daemon.signal(Signal::KILL);
        daemon.wait();
        daemon = Process::spawn(&mut command);
        assert_eq!(peer.closed(), None, "round {round}");
    }
    daemon.wait_logged("listening");
}

#[test]
fn the_socket_of_a_living_daemon_is_left_alone() {
    let daemon = start(1, "");
    let mut echo = plugin(&Address::Unix(daemon.unix().to_owned()), "echo");
    let second = Process::run(minbusd().arg("--unix").arg(daemon.unix()));
    let path = daemon.unix().to_str().expect("UTF-8");
    second.expect_code(1).expect_words(&[path, "living daemon", &format!("process {}", daemon.pid())]);
    echo.fence();
    plugin(&Address::Unix(daemon.unix().to_owned()), "clock");
    daemon.stop();
}

#[test]
fn a_stopped_daemon_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = tempfile::tempdir().expect("a directory");
        let sockets = ["one", "two"].map(|name| directory.path().join(name));
        let mut command = minbusd();
        command.args(["--shards", "1", "--unix"]).arg(&sockets[0]).arg("--unix").arg(&sockets[1]);
        let mut daemon = Process::spawn(&mut command);
        daemon.wait_logged("two");
        let peers = sockets.clone().map(|path| plugin(&Address::Unix(path.clone()), &path.display().to_string()));
        daemon.signal(signal);
        assert!(daemon.wait().success());
        drop(peers);
        let left: Vec<_> = std::fs::read_dir(directory.path()).expect("it is there").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn the_rights_of_the_socket_are_those_asked_for() {
    for mode in [0o600, 0o666, 0o660] {
        let directory = tempfile::tempdir().expect("a directory");
        let unix = directory.path().join("bus.sock");
        let mut command = minbusd();
        command.arg("--unix").arg(&unix).args(["--unix-mode", &format!("{mode:04o}"), "--shards", "1"]);
        let mut daemon = Process::spawn(&mut command);
        daemon.wait_logged("listening");
        let metadata = std::fs::metadata(&unix).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, mode);
    }
}
