//! What connections and channels cost that do nothing: a relay in this very process, under an allocator that counts.
//!
//! Counted is what the relay has asked for; what the allocator takes on top is in `docs/memory.md`. The plugins have given
//! back all but their sockets when it is counted. One test, because another one beside it would be counted, too.

use std::alloc::System;
use std::os::unix::net::UnixStream;
use std::path::Path;

use engine::listener::Listener;
use relay::config::{Config, Environment, Overrides};
use relay::shard::Relay;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tests::audit::What;
use tests::bus::PATIENT;
use tests::pair::answer;
use tests::peer::{Address, Peer, entry, plugin};
use tests::wire::{Kind, in_stream, out_stream};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a connection and a channel may cost at the most, in bytes.
const CONNECTION_BYTES_MAX: isize = 1_536;
const CHANNEL_BYTES_MAX: isize = 1_024;

/// Connections of which each is to have a channel to each other one.
const PLUGINS: usize = 33;
const CHANNELS: usize = PLUGINS * (PLUGINS - 1);
/// Connections when there is nothing but these: tables that double are neither just full nor nearly empty.
const CONNECTIONS: usize = 768;
/// Those that are there before anything is counted.
const BEFORE: usize = 20;
/// More than the relay lets any direction have in flight.
const CREDIT: u64 = 1 << 30;

#[test]
fn idle_connections_and_channels_are_small() {
    // Both ends of each connection are in this process.
    if !tests::descriptors::suffice(2 * (BEFORE + CONNECTIONS) as u64 + 100) {
        return;
    }
    let connections = retained_bytes(CONNECTIONS, false) / CONNECTIONS as isize;
    let channels = (retained_bytes(PLUGINS, true) - retained_bytes(PLUGINS, false)) / CHANNELS as isize;
    eprintln!("a connection: {connections} bytes, a channel: {channels} bytes");
    assert!(connections <= CONNECTION_BYTES_MAX, "{connections} bytes for a connection");
    assert!(channels <= CHANNEL_BYTES_MAX, "{channels} bytes for a channel");
    assert!(connections > 200 && channels > 200, "{connections} and {channels} bytes: something was not counted");
}

/// What a relay holds for so many connections, and the channels between them.
fn retained_bytes(count: usize, connected: bool) -> isize {
    let directory = tests::directory::directory();
    let path = directory.path().join("bus.sock");
    let relay = relay(&path);
    let address = Address::Unix(path);
    let mut sockets: Vec<UnixStream> = Vec::with_capacity(BEFORE + count);
    sockets.extend((0..BEFORE).map(|index| plugin(&address, &format!("before {index}")).into_unix_socket()));
    let region = Region::new(ALLOCATOR);
    let mut peers: Vec<Peer> = (0..count).map(|index| plugin(&address, &format!("idle {index}"))).collect();
    if connected {
        connect_all(&mut peers);
    }
    sockets.extend(peers.into_iter().map(Peer::into_unix_socket));
    let change = region.change();
    drop(sockets);
    relay.stopper().stop();
    relay.join().expect("the relay stops in good order");
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

/// Opens a channel from each to each other, with much credit both ways.
fn connect_all(peers: &mut [Peer]) {
    for from in 0..peers.len() {
        for to in (0..peers.len()).filter(|to| *to != from) {
            let [a, b] = peers.get_disjoint_mut([from, to]).expect("they are two");
            let id = 1 + to as u64;
            a.dial_with(id, b.name(), CREDIT, 0);
            let at_b = answer(b, &entry(a.name(), 1));
            a.expect(Kind::InSink, id, &What::Message(Vec::new()));
            a.send_now(&out_stream(id).credit(CREDIT));
            b.send_now(&in_stream(at_b).credit(CREDIT));
        }
    }
    // All that was said has been heard.
    for _ in 0..2 {
        peers.iter_mut().for_each(Peer::fence);
    }
}

fn relay(path: &Path) -> Relay {
    let flags = Overrides { unix: vec![path.display().to_string()], shards: Some(1), ..Overrides::default() };
    let text = format!("{PATIENT}[credit]\nmemory_bytes = \"1 GiB\"\n");
    let config = Config::parse("test", &text, &flags, &Environment::of_process()).expect("it is valid");
    let listener = Listener::unix(path, 0o600).expect("nobody listens there");
    Relay::start(config, vec![listener]).expect("there is io_uring")
}
