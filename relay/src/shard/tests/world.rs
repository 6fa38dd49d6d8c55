//! A relay of several shards and its plugins in one thread. Who moves next, and how many bytes at a time, is a matter of
//! chance, but the same for the same seed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::Config;
use bus::share::User;
use engine::driver::Driver;
use engine::testing::counting;

use super::super::acceptor::Acceptor;
use super::super::core::{Core, Shared};
use super::super::inbox::Inbox;
use super::super::shard::Shard;
use super::flow::Flow;
use super::kernel::{Kernel, RECEIVE_BUFFERS};
use super::memory;
use super::plugin::Plugin;
use super::rng::Rng;

/// How long an end waits for credit, and a connect for top-level credit.
const PATIENCE: Duration = Duration::from_millis(200);

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) shared: Arc<Shared>,
    pub(super) shards: Vec<Shard<Kernel>>,
    asleep: Vec<bool>,
    woken: Vec<bool>,
    pub(super) plugins: Vec<Plugin>,
    pub(super) flows: Vec<Flow>,
    joined: usize,
    now: Instant,
    /// Whether what connections are said to cost is compared with the allocator at each turn.
    pub(super) memory_is_checked: bool,
}

/// A small relay, so that everything runs short.
fn config(shards: usize, rng: &mut Rng) -> Config {
    let mut config = Config::of_test("");
    config.shards.count = shards;
    config.credit.cap_min_bytes = rng.pick(&[32, 512]);
    config.credit.cap_initial_bytes = rng.pick(&[512, 1500]);
    config.credit.cap_max_bytes = rng.pick(&[1500, 4000]);
    config.credit.memory_bytes = rng.pick(&[16 << 10, 64 << 10]);
    config.engine.outbox_bytes = rng.pick(&[500, 4000]);
    config.engine.receive_buffers = RECEIVE_BUFFERS as u16;
    config.engine.splice = !rng.once_in(4);
    config.engine.splice_min_bytes = rng.pick(&[1, 60, 1000]);
    config.engine.pipe_bytes = 64 << 10;
    config.engine.pipes_max = rng.pick(&[1, 2, 4, 16]);
    config.limits.offers_per_plugin_max = rng.pick(&[2, 100]);
    config.limits.offer_timeout = PATIENCE;
    config.limits.openings_partial_max = 1_000;
    config.bus.end_credit_timeout = PATIENCE;
    config.limits.work_units_per_s = 100_000;
    config.limits.work_burst_units = rng.pick(&[10, 1_000, 1_000_000]);
    config
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let count = 1 + rng.below(3);
        let mut shared = Shared::new(config(count, &mut rng));
        // Small ones run over.
        let msgs_max = rng.pick(&[4, 64]);
        shared.inboxes = (0..count).map(|_| Inbox::new(count, msgs_max)).collect();
        let shared = Arc::new(shared);
        let now = Instant::now();
        let shard =
            |index| Shard::new(Kernel::new(now), Core::new(index as u16, shared.clone(), now), Acceptor::default());
        Self {
            rng,
            shards: (0..count).map(shard).collect(),
            asleep: vec![false; count],
            woken: vec![false; count],
            plugins: Vec::new(),
            flows: Vec::new(),
            joined: 0,
            now,
            memory_is_checked: true,
            shared,
        }
    }

    /// A plugin connects; a few of them are clients.
    pub(super) fn join(&mut self) {
        let shard = self.rng.below(self.shards.len());
        let token = super::connect(&mut self.shards[shard], User::Uid(self.rng.below(3) as u32));
        self.woken[shard] = true;
        self.joined += 1;
        let name = if self.rng.once_in(6) { Vec::new() } else { format!("p{}", self.joined).into_bytes() };
        let rng = Rng(self.rng.next());
        self.plugins.push(Plugin::new(shard, token, name, rng));
    }

    fn kernel(&mut self, plugin: usize) -> (&mut Kernel, &mut Plugin) {
        let plugin = &mut self.plugins[plugin];
        (&mut self.shards[plugin.shard].driver, plugin)
    }

    /// The plugin puts at most `len` bytes into its socket.
    fn put(&mut self, plugin: usize, len: usize) -> bool {
        let chunks_max = if len == usize::MAX { len } else { self.rng.pick(&[1, 3, 30]) };
        let (kernel, plugin) = self.kernel(plugin);
        plugin.speak(chunks_max);
        let len = len.min(plugin.out.len());
        let socket = kernel.sockets.get_mut(&plugin.token).expect("it was adopted");
        trace(&plugin.name, "->", &plugin.out[..len]);
        socket.inbound.extend(plugin.out.drain(..len));
        len > 0
    }

    /// The plugin takes at most `len` bytes out of its socket, and tells what it is told.
    fn take(&mut self, plugin: usize, len: usize) -> bool {
        let plugin = &mut self.plugins[plugin];
        let kernel = &mut self.shards[plugin.shard].driver;
        let socket = kernel.sockets.get_mut(&plugin.token).expect("it was adopted");
        let len = len.min(socket.outbound.len());
        let bytes: Vec<u8> = socket.outbound.drain(..len).collect();
        trace(&plugin.name, "<-", &bytes);
        if !plugin.over {
            plugin.read(&bytes, &mut self.flows);
        }
        let ended = (socket.closed || socket.finished) && socket.outbound.is_empty() && !plugin.over;
        let innocent = !plugin.leaving && !self.shared.stopping.load(Ordering::SeqCst);
        assert!(!(ended && innocent), "{} was ended: {}", plugin.label(), plugin.reason.escape_ascii());
        plugin.over |= ended;
        if ended {
            kernel.hang_up(plugin.token);
        }
        len > 0 || ended
    }

    /// The relay is told to stop.
    pub(super) fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.woken.fill(true);
    }

    /// One turn of a shard, unless it sleeps or has come to its end.
    pub(super) fn turn(&mut self, index: usize) -> bool {
        let shard = &mut self.shards[index];
        if shard.is_stopped() {
            return false;
        }
        shard.driver.now = self.now;
        if !self.asleep[index] {
            self.asleep[index] = shard.may_sleep();
        }
        let wake_at = shard.wake_at().filter(|_| self.asleep[index]);
        let due = shard.wake_at().is_some_and(|at| shard.clock.to_machine(at) <= self.now);
        let called = std::mem::take(&mut self.woken[index]);
        if self.asleep[index] && !called && !due && !shard.driver.has_completions() {
            return false;
        }
        self.asleep[index] = false;
        shard.driver.wait(false, None).expect("this kernel never fails");
        counting(true, || shard.work(wake_at));
        for woken in std::mem::take(&mut shard.driver.wakes) {
            self.woken[woken] = true;
        }
        let budget = &shard.core.budget;
        let (used, most) = (budget.used_bytes(), self.shared.config.credit.memory_bytes);
        let charged = shard.conns.iter_mut().flatten().map(|conn| conn.session.audit().charged_bytes).sum();
        assert!((charged..=most).contains(&used), "{used} are promised, at least {charged} and at most {most} should");
        if self.memory_is_checked {
            memory::check(&self.shards, "a life");
        }
        true
    }

    /// Something happens.
    pub(super) fn step(&mut self) {
        let shard = self.rng.below(self.shards.len());
        let plugin = self.rng.below(self.plugins.len());
        let len = self.rng.pick(&[1, 7, 100, 3000, 60_000]);
        match self.rng.below(21) {
            0..=4 => drop(self.turn(shard)),
            5..=9 if self.plugins[plugin].is_there() => {
                let names: Vec<Vec<u8>> = self.plugins.iter().map(|plugin| plugin.name.clone()).collect();
                self.plugins[plugin].act(&names, &mut self.flows, &mut self.rng);
            }
            10..=12 => drop(self.put(plugin, len)),
            13..=15 => drop(self.take(plugin, len)),
            16..=17 => {
                let (kernel, plugin) = self.kernel(plugin);
                kernel.finish_receive(plugin.token, len);
            }
            18..=19 if !self.plugins[plugin].stalled => {
                let (kernel, plugin) = self.kernel(plugin);
                kernel.finish_send(plugin.token);
            }
            _ => self.rare(shard, plugin),
        }
    }

    /// Something that does not happen often.
    fn rare(&mut self, shard: usize, plugin: usize) {
        match self.rng.below(100) {
            0..=5 => self.plugins[plugin].stalled ^= true,
            6..=9 => self.now += Duration::from_millis(self.rng.below(40) as u64),
            10..=13 => {
                let buffers = self.rng.pick(&[0, 1, 100]);
                self.set_buffers(shard, buffers);
            }
            14..=20 => {
                for shard in 0..self.shards.len() {
                    self.turn(shard);
                }
            }
            21 if self.rng.once_in(3) => self.hang_up(plugin),
            22 if self.rng.once_in(3) && self.plugins[plugin].is_there() => self.plugins[plugin].leave(&mut self.flows),
            23 if self.rng.once_in(5) && self.plugins[plugin].is_there() => {
                // An answer to nothing.
                self.plugins[plugin].out.extend_from_slice(&[0x20, 0xf7]);
                self.plugins[plugin].leaving = true;
            }
            24..=26 if self.living().count() < 6 && !self.shared.stopping.load(Ordering::SeqCst) => self.join(),
            _ => {}
        }
    }

    /// The plugin's process dies.
    pub(super) fn hang_up(&mut self, plugin: usize) {
        self.plugins[plugin].die(&mut self.flows);
        let (kernel, plugin) = self.kernel(plugin);
        kernel.hang_up(plugin.token);
    }

    /// Receive buffers come back or are taken; a driver without any wakes when there is one.
    fn set_buffers(&mut self, shard: usize, buffers: usize) {
        let before = std::mem::replace(&mut self.shards[shard].driver.buffers, buffers);
        self.woken[shard] |= before == 0;
    }

    /// Time passes.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets everything move until nothing does; returns whether anything did.
    pub(super) fn settle(&mut self) -> bool {
        for round in 0..100_000 {
            let mut moved = false;
            for shard in 0..self.shards.len() {
                self.set_buffers(shard, 100);
                moved |= self.turn(shard);
            }
            for plugin in 0..self.plugins.len() {
                self.plugins[plugin].stalled = false;
                moved |= self.put(plugin, usize::MAX) | self.take(plugin, usize::MAX);
                let (kernel, plugin) = self.kernel(plugin);
                moved |= kernel.finish_receive(plugin.token, 60_000) | kernel.finish_send(plugin.token);
            }
            if !moved {
                let stuck = self.shards.iter().any(|shard| shard.core.sender.is_congested() && shard.stop.is_none());
                assert!(!stuck, "a shard sleeps that has messages for another one");
                return round > 0;
            }
        }
        panic!("it never comes to rest");
    }

    /// All plugins do what they can to bring everything to an end, as long as that makes a difference.
    pub(super) fn cooperate(&mut self) {
        // Bytes that trickle through the floor of a half are slow, but always some more.
        self.settle();
        loop {
            for plugin in self.plugins.iter_mut().filter(|plugin| plugin.is_there()) {
                plugin.cooperate(&mut self.flows);
            }
            if !self.settle() && !self.let_slowed_go_on() {
                return;
            }
        }
    }

    /// Lets time pass for those who have to wait because they said or asked too much. Returns whether there are any.
    fn let_slowed_go_on(&mut self) -> bool {
        let slowed = |shard: &Shard<Kernel>| {
            // Those whose connections are ending stay slowed, and nothing waits for it.
            let served = shard.conns.iter().flatten().filter(|conn| conn.life.is_served());
            let until = served.filter_map(|conn| conn.slowed_until.max(conn.session.answers_rest_until())).max()?;
            Some(shard.clock.to_machine(until))
        };
        let until = self.shards.iter().filter_map(slowed).max();
        self.now = until.map_or(self.now, |until| self.now.max(until));
        until.is_some()
    }

    /// Everything moves but the sends to this plugin, of which only one ends. All cooperate.
    pub(super) fn cooperate_by_sends(&mut self, plugin: usize) {
        let mut ended = false;
        for _ in 0..100 {
            for shard in 0..self.shards.len() {
                self.turn(shard);
            }
            for other in 0..self.plugins.len() {
                let flows = &mut self.flows;
                self.plugins[other].cooperate(flows);
                self.put(other, usize::MAX);
                self.take(other, usize::MAX);
                let (kernel, of) = self.kernel(other);
                kernel.finish_receive(of.token, usize::MAX);
                if other != plugin || !ended {
                    let sent = kernel.finish_send(of.token);
                    ended |= sent && other == plugin;
                }
            }
        }
    }

    pub(super) fn living(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().filter(|plugin| plugin.is_there())
    }
}

/// Shows bytes between the relay and the plugin that the environment asks for.
fn trace(name: &[u8], what: &str, bytes: &[u8]) {
    if !bytes.is_empty() && std::env::var("TRACE").is_ok_and(|traced| traced.as_bytes() == name) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{what} {hex}");
    }
}
