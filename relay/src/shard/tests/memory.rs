//! What connections are said to cost, beside what the allocator has given for them: for each kind of load that a plugin can
//! make without paying for it by payload, and at each turn of any life (`world`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bus::msg::Effect;
use bus::share::User;
use engine::driver::Token;
use engine::testing::{counting, live_bytes};
use oracle::entry::{connect_to, entry};
use oracle::wire::{Chunk, duplex, in_sink, in_stream, join, out_request, out_sink, out_stream};

use crate::config::Config;

use super::super::acceptor::Acceptor;
use super::super::core::{Core, Shared};
use super::super::inbox::ShardMsg;
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
        let mut config = Config::of_test("");
        config.shards.count = 1;
        let now = Instant::now();
        let mut core = Core::new(0, Arc::new(Shared::new(config)), now);
        core.settings.rate_limits.burst_units = 1 << 40;
        Self { shard: Shard::new(Kernel::new(now), core, Acceptor::default()), tokens: Vec::new() }
    }

    /// Plugins with these names, which give the relay this much top-level credit.
    fn join(&mut self, names: impl IntoIterator<Item = String>, credit: u64) {
        for name in names {
            self.tokens.push(super::connect(&mut self.shard, User::Uid(0)));
            let registration = [in_sink(0).payload(entry(name.as_bytes(), 1)), in_stream(0).credit(credit)];
            self.say(self.tokens.len() - 1, &join(&registration));
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

fn each<const N: usize>(ids: Range<u64>, say: impl Fn(u64) -> [Chunk; N]) -> Vec<u8> {
    ids.flat_map(|id| join(&say(id))).collect()
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
        said: || each(1..31, |id| [duplex(id).payload([0; 150]).partial(200)]),
        then: |_| {},
    },
    Kindred {
        name: "queries that wait for their turn",
        said: || each(1..COUNT, |id| [out_request(id).payload([]), out_request(id).credit(1)]),
        then: |_| {},
    },
    Kindred {
        name: "ends that wait for credit",
        said: || each(1..COUNT, |id| [duplex(id).payload(connect_to(b"nobody"))]),
        then: |_| {},
    },
    Kindred {
        name: "changes to be told",
        said: || join(&[out_stream(1).payload([]), out_stream(1).credit(1)]),
        then: |load| load.join(names(COUNT as usize), 0),
    },
    Kindred {
        name: "channels that are asked for",
        said: Vec::new,
        then: |load| {
            load.join(names(100), 0);
            (2..102).for_each(|plugin| load.say(plugin, &duplex(1).payload(connect_to(b"b")).bytes()));
        },
    },
    Kindred {
        name: "messages without payload, behind a send",
        said: || duplex(1).payload(connect_to(b"b")).bytes(),
        then: |load| {
            load.take(1);
            load.say(1, &in_sink(1).payload([]).bytes());
            (0..30).for_each(|_| load.say(0, &out_sink(1).payload([]).bytes().repeat(500)));
        },
    },
    Kindred {
        name: "halves that begin and end",
        said: || each(1..COUNT, |id| [duplex(id).payload(connect_to(b"b")), out_sink(id).end([])]),
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
