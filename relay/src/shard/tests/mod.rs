//! The relay without a kernel: any number of shards and plugins in one thread, moved by chance.
//!
//! `SEED=n` runs one life, `SEEDS=n` so many; `TRACE=name` shows what that plugin says and hears.

mod bounds;
mod cutter;
mod flow;
mod kernel;
#[cfg(loom)]
mod loom;
mod memory;
mod plugin;
mod rng;
mod world;

use std::fs::File;
use std::time::Duration;

use bus::directory;
use bus::session::Audit;
use bus::share::User;
use engine::driver::Token;
use engine::testing::{CountingAllocator, counting};

use super::inbox::NewConn;
use super::shard::Shard;
use kernel::Kernel;
use plugin::Plugin;
use world::World;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Any time that is longer than everything a relay waits for but heartbeats.
const LONG: Duration = Duration::from_millis(1_500);

/// A plugin of a user connects to a shard: the token of its socket.
fn connect(shard: &mut Shard<Kernel>, user: User) -> Token {
    let socket = File::open("/dev/null").expect("there is always nothing").into();
    let shared = &shard.core.shared;
    let place = shared.admission.admit(user, &shared.config.limits).expect("there is room");
    let new_conn = NewConn { socket, place, refused: None, tcp: false };
    counting(true, || shard.handle_new_conn(new_conn));
    shard.driver.last_token()
}

/// A life of a relay: plugins come, do what they like and leave; what remains in the end is nothing.
fn live(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..2 + world.rng.below(5) {
        world.join();
    }
    for _ in 0..world.rng.pick(&[300, 3000, 20_000]) {
        world.step();
    }
    if world.rng.once_in(4) {
        return check_stop(&mut world);
    }
    check_rest(&mut world);
    check_ends(&mut world);
    check_nothing_is_left(&mut world);
}

/// When everybody reads and gives credit, everything arrives.
fn check_rest(world: &mut World) {
    world.cooperate();
    world.living().for_each(|plugin| plugin.check_done(&world.flows));
    for shard in &mut world.shards {
        let audits = shard.conns.iter_mut().flatten().map(|conn| (conn.session.audit(), conn.pauses));
        let audits: Vec<_> = audits.collect();
        assert!(audits.iter().all(|(audit, pauses)| audit.held_bytes == 0 && *pauses == 0), "{audits:?}");
        let legs: usize = audits.iter().map(|(audit, _)| audit.legs).sum();
        assert_eq!(shard.core.legs, legs as u64, "legs that nobody has");
        let watching = shard.conns.iter().flatten().filter(|conn| conn.session.is_watching());
        let watching: Vec<_> = watching.map(|conn| conn.token.0).collect();
        let mut listed: Vec<_> = shard.core.watchers.iter().map(|conn| conn.token).collect();
        listed.sort_by_key(|conn| Token(*conn).slot());
        assert_eq!(listed, watching, "others are told than those who watch");
        let charged: u64 = audits.iter().map(|(audit, _)| audit.charged_bytes).sum();
        assert_eq!(shard.core.budget.used_bytes(), charged, "promises that nobody holds");
    }
    for plugin in world.living() {
        let Some(watched) = plugin.names_watched() else { continue };
        let mut names: Vec<_> = world.living().map(|other| other.name.clone()).collect();
        names.retain(|name| !name.is_empty() && *name != plugin.name);
        names.sort();
        assert_eq!(watched, names, "the watch tells something else");
    }
}

/// When everybody has ended everything, nothing is held for anybody.
fn check_ends(world: &mut World) {
    for plugin in world.plugins.iter_mut().filter(|plugin| plugin.is_there()) {
        plugin.end_all(&world.flows);
    }
    world.settle();
    world.pass(LONG);
    world.cooperate();
    for shard in &mut world.shards {
        for conn in shard.conns.iter_mut().flatten() {
            assert_eq!(conn.session.audit(), Audit::default(), "{}", conn.peer);
        }
        assert_eq!(shard.core.budget.used_bytes(), 0, "promises that nobody holds");
    }
}

fn check_nothing_is_left(world: &mut World) {
    for plugin in 0..world.plugins.len() {
        if world.plugins[plugin].is_there() && world.rng.once_in(2) {
            world.plugins[plugin].leave(&mut world.flows);
        } else {
            world.hang_up(plugin);
        }
    }
    world.settle();
    world.pass(LONG);
    world.settle();
    for shard in &world.shards {
        assert!(shard.served == 0 && shard.conns.iter().all(Option::is_none), "a conn is left");
        assert_eq!(shard.core.budget.used_bytes(), 0, "promises that nobody holds");
        assert!(shard.core.watchers.is_empty() && shard.core.legs == 0, "a watch or a leg is left");
    }
    assert!(directory::lock(&world.shared.directory).is_empty());
}

/// Those that were sent before the answer go out in as many sends as they need, and nothing overtakes them.
#[test]
fn empty_messages_stay_ahead_of_what_follows() {
    let mut world = World::new(0);
    // More comes at once than any receive buffer holds.
    world.memory_is_checked = false;
    for shard in &mut world.shards {
        shard.core.config.engine.outbox_bytes = 256 << 10;
        shard.core.settings.rate_limits.burst_units = 1 << 40;
    }
    while world.living().filter(|plugin| !plugin.name.is_empty()).count() < 2 {
        world.join();
        world.settle();
    }
    world.cooperate();
    let named = |plugin: &Plugin| !plugin.name.is_empty();
    let asked = world.plugins.iter().position(named).expect("there are two");
    let asking = world.plugins.iter().rposition(named).expect("there are two");
    let name = world.plugins[asked].name.clone();
    world.plugins[asking].connect_and_knock(&name, 400_000, &mut world.flows);
    // The plugin that is asked accepts, and gives credit, when it has got the first of four sends.
    world.cooperate_by_sends(asked);
    world.plugins[asking].write_latest(&mut world.flows);
    world.cooperate();
    world.living().for_each(|plugin| plugin.check_done(&world.flows));
    assert_eq!(world.flows.iter().filter(|flow| flow.arrived()).count(), 1);
}

/// A relay that is told to stop does, and sooner than it must when everybody reads.
fn check_stop(world: &mut World) {
    world.stop();
    for _ in 0..world.rng.pick(&[0, 100, 1000]) {
        world.step();
    }
    world.settle();
    world.pass(LONG);
    world.settle();
    assert!(world.shards.iter().all(Shard::is_stopped), "it does not stop");
    assert!(directory::lock(&world.shared.directory).is_empty());
}

#[test]
fn any_life_ends_with_nothing_left() {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let (first, count) = (number("SEED"), number("SEEDS").unwrap_or(300));
    for seed in first.map_or(0..count, |seed| seed..seed + 1) {
        if let Err(panic) = std::panic::catch_unwind(|| live(seed)) {
            eprintln!("SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
