//! The tool as people and scripts use it: real processes on a bus of their own, told by their output and exit codes.
//!
//! Nothing here sleeps for luck: tests wait for lines, for ends, and for what `list` shows.

mod addresses;
mod blaming;
mod bytes;
mod deaths;
mod endings;
mod last_words;
mod looking;
mod names;
mod partings;
mod processes;
mod running;
mod streams;
mod transfers;
mod uploads;

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::bus::Transport;
use tests::daemon::Daemon;
use tests::peer::{Address, Peer, plugin};
use tests::process::Outcome;

use crate::start_with;
use running::{Tool, minbus};

/// How long anything may take. It bounds a test that fails; it measures nothing.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A bus, and how the tool is told of it.
struct Place {
    /// The same for plugins of raw chunks.
    socket: Address,
    address: String,
    daemon: Daemon,
}

impl Place {
    fn new() -> Self {
        Self::with(Transport::Unix, 1)
    }

    fn with(transport: Transport, shards: usize) -> Self {
        let daemon = start_with(shards, "");
        let [unix, tcp] = daemon.addresses();
        let socket = if transport == Transport::Unix { unix } else { tcp };
        Self { address: socket.to_string(), socket, daemon }
    }

    /// One for each kind of socket, with two shards.
    fn both() -> [Self; 2] {
        [Transport::Unix, Transport::Tcp].map(|transport| Self::with(transport, 2))
    }

    /// One for each row: unix sockets and TCP, one shard and two.
    fn crossed() -> [Self; 4] {
        [(Transport::Unix, 1), (Transport::Unix, 2), (Transport::Tcp, 1), (Transport::Tcp, 2)]
            .map(|(transport, shards)| Self::with(transport, shards))
    }

    /// A raw plugin that is on the bus, or a client where it has no name.
    fn peer(&self, name: &str) -> Peer {
        plugin(&self.socket, name)
    }

    /// Runs the tool to its end, which must be a good one.
    fn run(&self, args: &[&str]) -> Outcome {
        Tool::start(minbus(&self.address).args(args)).end_well()
    }

    /// Starts the tool, told by a flag where the bus is.
    fn tool<const N: usize>(&self, args: [&str; N]) -> Tool {
        Tool::start(minbus(&self.address).args(args))
    }

    /// Starts a plugin, and waits until it is on the bus.
    fn provide<const N: usize>(&self, name: &str, args: [&str; N]) -> Tool {
        let tool = Tool::start(minbus(&self.address).args(["provide", name]).args(args));
        self.wait_listed(name);
        tool
    }

    /// Waits until a plugin is on the bus.
    fn wait_listed(&self, name: &str) {
        wait_until(&format!("{name} is listed"), || listed(&self.address).iter().any(|one| one == name));
    }

    /// Waits until a name is free.
    fn wait_free(&self, name: &str) {
        wait_until(&format!("{name} is free"), || listed(&self.address).iter().all(|one| one != name));
    }
}

/// The names on a bus, as the tool prints them for programs.
fn listed(address: &str) -> Vec<String> {
    let ended = Tool::start(minbus(address).args(["list", "--json"])).end_well();
    let name = |line: &str| json(line)["name"].as_str().expect("a name").to_owned();
    ended.stdout.lines().map(name).collect()
}

fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < give_up, "in vain: {what}");
        sleep(POLL);
    }
}

/// Reads a line for programs.
fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"))
}
