//! Sudden deaths in mid-transfer: whoever is left ends by itself, and never claims success.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::running::{Tool, minbus, under_way};
use super::{Place, Transport, bytes, wait_until};
use crate::DAEMON;

#[test]
fn a_plugin_killed_while_it_reads_breaks_the_transfer() {
    for (transport, shards) in [(Transport::Unix, 1), (Transport::Tcp, 2)] {
        let place = Place::with(transport, shards);
        let provide = place.provide("sink", []);
        under_way(place.tool(["connect", "sink"]), provide, |connect, provide, _output| {
            provide.kill();
            connect.wait().assert_failure(6, "");
        });
        works_again(&place);
    }
}

#[test]
fn a_plugin_killed_while_it_writes_breaks_the_transfer() {
    for (transport, shards) in [(Transport::Unix, 2), (Transport::Tcp, 1)] {
        let place = Place::with(transport, shards);
        let mut provide = place.provide("sink", []);
        let mut connect = place.tool(["connect", "sink"]);
        // The other way has ended in good order, which must not pass for all of it.
        connect.close_stdin();
        assert_eq!(provide.line(), "");
        under_way(provide, connect, |provide, connect, output| {
            provide.kill();
            bytes::sum_of(output);
            connect.wait().assert_failure(6, "");
        });
        works_again(&place);
    }
}

#[test]
fn a_plugin_of_processes_killed_breaks_all_its_transfers() {
    let place = Place::with(Transport::Unix, 2);
    let provide = place.provide("sink", ["--", "cat"]);
    let mut connects = [place.tool(["connect", "sink"]), place.tool(["connect", "sink"])];
    for connect in &mut connects {
        connect.write("hello\n");
        assert_eq!(connect.line(), "hello");
    }
    provide.kill();
    for connect in connects {
        connect.wait().assert_failure(6, "");
    }
    works_again(&place);
}

/// The name `sink` is free, and whoever takes it can be talked to.
fn works_again(place: &Place) {
    place.wait_free("sink");
    let provide = place.provide("sink", ["--", "cat"]);
    let mut connect = place.tool(["connect", "sink"]);
    connect.write("again");
    let ended = connect.end();
    ended.assert_code(0);
    assert_eq!(ended.text(), "again");
    provide.signal(Signal::INT);
    provide.wait().assert_code(0);
}

#[test]
fn a_tool_killed_while_it_writes_breaks_the_transfer() {
    let place = Place::new();
    let provide = place.provide("sink", []);
    under_way(place.tool(["connect", "sink"]), provide, |connect, provide, output| {
        connect.kill();
        bytes::sum_of(output);
        provide.wait().assert_failure(6, "");
    });
    works_again(&place);
}

/// A daemon on a path that another one may have had before.
struct Daemon(Child);

impl Daemon {
    fn start(path: &Path) -> Self {
        let mut command = Command::new(DAEMON);
        command.arg("--unix").arg(path).args(["--shards", "1"]);
        let daemon = Self(command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it can be started"));
        let address = address(path);
        wait_until("the daemon answers", || Tool::start(minbus(&address).arg("list")).end().is_success());
        daemon
    }

    fn kill(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn a_daemon_killed_ends_all_and_its_successor_serves_all() {
    let directory = tests::directory::directory();
    let path: PathBuf = directory.path().join("bus.sock");
    let address = address(&path);
    let start = |args: &[&str]| Tool::start(minbus(&address).args(args));
    for _ in 0..2 {
        let mut daemon = Daemon::start(&path);
        let provide = start(&["provide", "sink"]);
        let mut watch = start(&["watch"]);
        assert!(watch.line().ends_with("sink  0"));
        let idle = start(&["provide", "idle", "--", "cat"]);
        assert!(watch.line().ends_with("idle  0"));
        under_way(start(&["connect", "sink"]), provide, |connect, provide, output| {
            daemon.kill();
            bytes::sum_of(output);
            for tool in [connect, provide, watch, idle] {
                tool.wait().assert_failure(1, "");
            }
        });
        start(&["list"]).end().assert_failure(3, &address);
    }
}
