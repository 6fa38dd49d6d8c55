//! What connections are said to cost, beside what the allocator has given for them: for each kind of load that a plugin can
//! make without paying for it by payload, and at each turn of any life (`world`).

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use bpmux::chunk::{put_control, put_end, put_partial, put_payload_head};
use bpmux::{Flags, Kind};
use bus::msg::Effect;
use bus::share::User;
use engine::driver::Token;
use engine::testing::{counting, live_bytes};

use super::super::acceptor::Acceptor;
use super::super::core::{Core, Shared};
use super::super::inbox::{NewConn, ShardMsg};
use super::super::leftover::Leftover;
use super::super::overhead::CONNECTION_BYTES;
use super::super::shard::Shard;
use super::kernel::Kernel;

/// What a shard allocates beside all connections: queues to others, lists of those to be looked at.
pub(super) const SHARD_BYTES: usize = 32 << 10;

/// Holds a sum against the allocator: neither is less counted than there is, nor several times as much.
pub(super) fn check(shards: &[Shard<Kernel>], what: &str) {
    let conns = || shards.iter().flat_map(|shard| shard.conns.iter().flatten());
    let overhead: usize = conns().map(|conn| conn.overhead_bytes()).sum();
    let held: u64 = conns().map(|conn| conn.session.audit().held_bytes).sum();
    let pool: usize = shards.iter().map(|shard| shard.core.pool.memory_bytes()).sum();
    let queues: usize = shards.iter().map(queue_bytes).sum();
    let (live, counted) = (live_bytes() as usize, overhead + held as usize + pool + queues);
    assert!(live <= counted + shards.len() * SHARD_BYTES, "{what}: {live} bytes are there, {counted} were counted");
    // What has not been read is in receive buffers, which are not the connection's own, unless they are short.
    let unread: usize = conns().filter_map(|conn| conn.leftover.as_ref()).map(Leftover::bytes).sum();
    let slack = conns().count() * 2 * CONNECTION_BYTES + unread;
    assert!(counted <= 2 * live + slack + queues, "{what}: {counted} bytes were counted, {live} are there");
}

/// The queues within a shard, which are as long as what one turn has once caused.
fn queue_bytes(shard: &Shard<Kernel>) -> usize {
    let Core { local, effects, .. } = &shard.core;
    local.capacity() * size_of::<ShardMsg>() + effects.sent.capacity() * size_of::<Effect>()
}

/// A shard whose plugins say what a test wants, and take nothing.
struct Load {
    shard: Shard<Kernel>,
    tokens: Vec<Token>,
}

impl Load {
    fn new() -> Self {
        let mut config = super::config();
        config.shards.count = 1;
        let now = Instant::now();
        let mut core = Core::new(0, Arc::new(Shared::new(config)), now);
        core.settings.rate_limits.burst_units = 1 << 40;
        Self { shard: Shard::new(Kernel::new(now), core, Acceptor::default()), tokens: Vec::new() }
    }

    /// Plugins with these names, which give the relay this much top-level credit.
    fn join(&mut self, names: impl IntoIterator<Item = String>, credit: u64) {
        for name in names {
            let socket = File::open("/dev/null").expect("there is always nothing").into();
            let shared = &self.shard.core.shared;
            let place = shared.admission.admit(User::Uid(0), &shared.config.limits).expect("there is room");
            let new_conn = NewConn { socket, place, refused: None, tcp: false };
            counting(true, || self.shard.handle_new_conn(new_conn));
            self.tokens.push(self.shard.driver.last_token());
            let entry = [&[name.len() as u8], name.as_bytes(), &[0, 1]].concat();
            let last = self.tokens.len() - 1;
            self.say(last, &[chunk(Kind::InSink, 0, &entry), give(Kind::InStream, 0, credit)].concat());
        }
    }

    fn say(&mut self, plugin: usize, bytes: &[u8]) {
        let token = self.tokens[plugin];
        self.shard.driver.sockets.get_mut(&token).expect("it was adopted").inbound.extend(bytes);
        while self.shard.driver.finish_receive(token, usize::MAX) {
            counting(true, || self.shard.work(None));
        }
        counting(true, || self.shard.work(None));
    }

    /// The plugin takes what it is sent.
    fn take(&mut self, plugin: usize) {
        while self.shard.driver.finish_send(self.tokens[plugin]) {
            counting(true, || self.shard.work(None));
        }
    }

    fn overhead_bytes(&self) -> usize {
        self.shard.conns.iter().flatten().map(|conn| conn.overhead_bytes()).sum()
    }
}

fn chunk(kind: Kind, id: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_payload_head(kind, Flags::NONE, id, payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

fn give(kind: Kind, id: u64, amount: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_control(kind, false, amount, id, &mut out);
    out
}

fn end(kind: Kind, id: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_end(kind, id, &[], &mut out);
    out
}

fn part(total: u64, chunk: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_partial(total, &mut out);
    out.extend_from_slice(chunk);
    out
}

fn each(ids: impl Iterator<Item = u64>, say: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
    ids.flat_map(say).collect()
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|index| format!("plugin with a name of some length {index}"))
}

/// So many of each.
const COUNT: u64 = 600;

/// A kind of load: what plugin 0 says beside one that has the name `b`, and what others do then.
struct Kindred {
    name: &'static str,
    said: fn() -> Vec<u8>,
    then: fn(&mut Load),
}

const KINDS: [Kindred; 7] = [
    Kindred {
        name: "openings that are not whole",
        said: || each(1..31, |id| part(200, &chunk(Kind::Duplex, id, &[0; 150]))),
        then: |_| {},
    },
    Kindred {
        name: "queries that wait for their turn",
        said: || each(1..COUNT, |id| [chunk(Kind::OutRequest, id, b""), give(Kind::OutRequest, id, 1)].concat()),
        then: |_| {},
    },
    Kindred {
        name: "ends that wait for credit",
        said: || each(1..COUNT, |id| chunk(Kind::Duplex, id, b"\0\x06nobody")),
        then: |_| {},
    },
    Kindred {
        name: "changes to be told",
        said: || [chunk(Kind::OutStream, 1, b""), give(Kind::OutStream, 1, 1)].concat(),
        then: |load| load.join(names(COUNT as usize), 0),
    },
    Kindred {
        name: "channels that are asked for",
        said: Vec::new,
        then: |load| {
            load.join(names(100), 0);
            (2..102).for_each(|plugin| load.say(plugin, &chunk(Kind::Duplex, 1, b"\0\x01b")));
        },
    },
    Kindred {
        name: "messages without payload, behind a send",
        said: || chunk(Kind::Duplex, 1, b"\0\x01b"),
        then: |load| {
            load.take(1);
            load.say(1, &chunk(Kind::InSink, 1, b""));
            (0..30).for_each(|_| load.say(0, &chunk(Kind::OutSink, 1, b"").repeat(500)));
        },
    },
    Kindred {
        name: "halves that begin and end",
        said: || each(1..COUNT, |id| [chunk(Kind::Duplex, id, b"\0\x01b"), end(Kind::OutSink, id)].concat()),
        then: |_| {},
    },
];

#[test]
fn each_kind_of_load_is_counted_as_the_allocator_counts_it() {
    for Kindred { name, said, then } in KINDS {
        let mut load = Load::new();
        load.join(["a".to_owned(), "b".to_owned()], 1 << 20);
        let before = (load.overhead_bytes(), live_bytes());
        load.say(0, &said());
        then(&mut load);
        let (counted, live) = (load.overhead_bytes() - before.0, (live_bytes() - before.1) as usize);
        assert!(live > 1_000, "{name}: {live} bytes are no load");
        assert!(live <= counted + counted / 8 + 2_048, "{name}: {live} bytes are there, {counted} were counted");
        check(std::slice::from_ref(&load.shard), name);
    }
}
