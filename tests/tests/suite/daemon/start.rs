//! How it starts: what is reachable when, and where it runs.

use std::io::Write;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::process::Signal;
use tests::daemon::{Daemon, Options};
use tests::peer::Address;
use tests::process::{Process, eventually};

use super::streams::full_pipe;
use super::{listening, minbusd_with_small_rings, plugin, start};
use crate::options;

#[test]
fn it_serves_before_it_can_say_so() {
    let directory = tests::directory::directory();
    let unix = directory.path().join("bus.sock");
    // Nobody reads this pipe and it is full: not a single line can be printed.
    let (reader, full, _) = full_pipe();
    let mut command = minbusd_with_small_rings();
    command.arg("--unix").arg(&unix).args(["--shards", "2"]);
    let daemon = Process::spawn_with_stderr(&mut command, full);
    eventually("the socket takes connections", || UnixStream::connect(&unix).ok());
    let mut peer = plugin(&Address::Unix(unix), "echo");
    assert_eq!(peer.query(), []);
    drop((peer, daemon, reader));
}

#[test]
fn when_it_says_so_the_first_connection_is_served() {
    for shards in [1, 2].into_iter().cycle().take(10) {
        let directory = tests::directory::directory();
        let unix = directory.path().join("bus.sock");
        let flags = ["--shards", &shards.to_string()];
        let _daemon = listening(minbusd_with_small_rings().arg("--unix").arg(&unix).args(flags));
        plugin(&Address::Unix(unix), "echo");
    }
}

#[test]
fn it_listens_on_all_that_it_is_told_to() {
    let directory = tests::directory::directory();
    let second = directory.path().join("second.sock");
    let flags = ["--unix", second.to_str().expect("UTF-8"), "--tcp", "127.0.0.1:0"].map(String::from).into();
    let daemon = Daemon::start(&Options { flags, ..options(2, "") });
    let listening = daemon.log().into_iter().filter(|line| line.contains("listening")).collect::<Vec<_>>();
    let ports = listening.iter().filter_map(|line| line.split_once("127.0.0.1:")?.1.parse::<u16>().ok());
    let tcp = ports.map(|port| Address::Tcp(([127, 0, 0, 1], port).into())).collect::<Vec<_>>();
    assert_eq!((listening.len(), tcp.len()), (4, 2), "{listening:?}");
    let unix = [daemon.unix().to_owned(), second].map(Address::Unix);
    // Each of them leads to the same bus.
    let mut peers = Vec::new();
    for (number, address) in unix.iter().chain(&tcp).enumerate() {
        peers.push(plugin(address, &format!("plugin {number}")));
        for peer in &mut peers {
            assert_eq!(peer.query().len(), number);
        }
    }
}

#[test]
fn a_running_daemon_leaves_standard_output_empty() {
    let mut daemon = start(2, "");
    let peers = daemon.addresses().map(|address| plugin(&address, &format!("{address:?}")));
    daemon.end(Signal::TERM);
    drop(peers);
    assert_eq!(daemon.output(), Vec::<String>::new());
}

#[test]
fn shards_run_on_the_cpus_that_they_are_given() {
    let cpus = testkit::cpus::allowed().expect("the CPUs of this process are known");
    let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
    let list = if first == last { first.to_string() } else { format!("{last},{first}") };
    let flags = vec!["--cpus".to_owned(), list];
    let daemon = Daemon::start(&Options { flags, ..options(2, "") });
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("the daemon runs");
    let mut shards: Vec<(String, String)> = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok())
        .filter_map(|status| Some((field(&status, "Name:")?, field(&status, "Cpus_allowed_list:")?)))
        .filter(|(name, _)| name.starts_with("shard-"))
        .collect();
    shards.sort();
    let expected = [("shard-0", last), ("shard-1", first)].map(|(name, cpu)| (name.to_owned(), cpu.to_string()));
    assert_eq!(shards, expected);
}

fn field(status: &str, name: &str) -> Option<String> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

#[test]
fn a_full_pipe_is_full() {
    // What the first test relies on.
    let (_reader, mut full, _) = tests::pipes::full();
    let refused = full.write(b"line\n").expect_err("no room");
    assert_eq!(Errno::from_io_error(&refused), Some(Errno::AGAIN));
}
