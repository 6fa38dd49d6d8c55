//! One thread of the generator: a ring, and the plugins that are dealt to it. It connects them, lets them talk, and sees
//! them off.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::batch::Batch;
use engine::driver::{Completion, Driver, Received, Token};
use engine::ring::Ring;
use slab::Slab;

use super::cycles::Cycles;
use super::ring;
use super::shared::Shared;
use crate::address::{self, Address};
use crate::error::Error;
use crate::traffic::Time;
use crate::traffic::end::State;
use crate::traffic::flow::{Flow, Measured, Moment};
use crate::traffic::plugin::{Plugin, Stage};
use crate::traffic::presence::Watching;
use crate::traffic::schedule::Schedule;
use crate::traffic::topology::{Role, Topology};
use crate::traffic::world::World;

/// Connections begun at once, so that those that are there get their turn.
const CONNECTS_AT_ONCE: usize = 64;

/// The longest sleep: how soon a thread hears of what the others say.
const SLEEP_MAX: Duration = Duration::from_millis(5);

/// With less time than this until the next message is due a thread does not sleep: waking takes some of it.
const SPIN_NS: Time = 1_000_000;

/// How often it is looked who can leave.
const SWEEP_NS: Time = 1_000_000;

/// How often those who do not read say that they are alive.
const DEAF_PING_NS: Time = 5_000_000_000;

/// Where the sockets of plugins come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A relay.
    Bus(Address),
    /// Sockets by the numbers of plugins that are connected to each other without a relay.
    Direct(VecDeque<(u32, OwnedFd)>),
}

/// The sources of a flow with a schedule.
#[derive(Default)]
struct Sources {
    /// Plugin and end, by channel, where they are this thread's.
    of_channel: Vec<Option<(u32, u32)>>,
    /// Messages of the flow that were due when that was looked at last.
    told: u64,
}

/// A thread's part of a step.
pub(crate) struct Worker {
    ring: Ring,
    shared: Arc<Shared>,
    source: Source,
    /// Whether it never sleeps.
    spins: bool,
    to_connect: VecDeque<u32>,
    plugins: Slab<Plugin>,
    /// The plugin of each socket, by its slot.
    by_slot: Vec<u32>,
    /// Plugins that may have something to send.
    dirty: Vec<u32>,
    /// Sends that are free.
    #[expect(clippy::vec_box, reason = "the boxes themselves are used again")]
    spare: Vec<Box<Batch>>,
    world: World,
    cycles: Cycles,
    /// Of each flow.
    sources: Vec<Sources>,
    arrived_told: u64,
    has_opened: bool,
    has_begun: bool,
    has_stopped: bool,
    next_sweep: Time,
    next_ping: Time,
}

impl Worker {
    /// Thread `index` of a step.
    pub(crate) fn new(
        index: usize,
        shared: Arc<Shared>,
        topology: Arc<Topology>,
        source: Source,
        spins: bool,
    ) -> Result<Self, Error> {
        let mine = |&number: &u32| topology.plugins[number as usize].worker == index;
        let numbers = (0..topology.plugins.len() as u32).filter(mine);
        let (cycling, to_connect): (Vec<u32>, Vec<u32>) =
            numbers.partition(|&number| topology.plugins[number as usize].role.cycles());
        Ok(Self {
            ring: ring::build((cycling.len() + to_connect.len()) as u32)?,
            source,
            spins,
            to_connect: to_connect.into(),
            plugins: Slab::new(),
            by_slot: Vec::new(),
            dirty: Vec::new(),
            spare: Vec::new(),
            cycles: Cycles::new(cycling, topology.first_cycling()),
            world: World::new(topology, shared.moment()),
            sources: Vec::new(),
            arrived_told: 0,
            has_opened: false,
            has_begun: false,
            has_stopped: false,
            next_sweep: 0,
            next_ping: DEAF_PING_NS,
            shared,
        })
    }

    /// Does its part; returns what it has measured of each flow.
    pub(crate) fn run(mut self) -> Vec<Measured> {
        if let Err(source) = self.work() {
            self.shared.fail(Error::Ring { source });
        }
        self.give_account();
        self.world.flows.into_iter().map(|flow| flow.measured).collect()
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            self.connect_some();
            let sleep = self.how_long_to_sleep();
            self.ring.wait(sleep.is_some(), sleep.map(|time| self.ring.now() + time))?;
            self.world.moment = self.shared.moment();
            while let Some(completion) = self.ring.next() {
                self.complete(completion);
            }
            self.advance();
            self.flush();
            self.tell();
            if self.shared.is_aborted() || (self.has_stopped && self.plugins.is_empty() && self.cycles.is_over()) {
                return Ok(());
            }
        }
    }

    // Beginning and end.

    fn connect_some(&mut self) {
        for _ in 0..CONNECTS_AT_ONCE {
            if self.world.moment.stops() {
                self.to_connect.clear();
            }
            let Some(number) = self.to_connect.pop_front() else { return };
            self.connect(number, 0, self.world.moment.now);
        }
    }

    /// Connects a plugin, for the `visit`th time if it comes and goes.
    fn connect(&mut self, number: u32, visit: u64, begun: Time) {
        let name = self.world.topology.name(number);
        let socket = match &mut self.source {
            Source::Bus(address) => {
                address::connect(address).map_err(|source| Error::Unreachable { address: address.clone(), source })
            }
            Source::Direct(sockets) => {
                let index = sockets.iter().position(|&(of, _)| of == number).expect("each has a socket");
                Ok(sockets.swap_remove_back(index).expect("it was found").1)
            }
        };
        let token = match socket {
            Ok(socket) => self.ring.adopt(socket),
            Err(error) => return self.shared.fail(error),
        };
        let spec = &self.world.topology.plugins[number as usize];
        let mut plugin = Plugin::new(number, token, name, spec.opens.clone(), spec.expects);
        plugin.begun = begun;
        match spec.role {
            Role::Churner => plugin.hasty = true,
            Role::Comer => plugin.version = visit as u16,
            Role::Watcher => plugin.watching = Some(Watching::new(0, self.world.topology.arrivals.len())),
            Role::Steady | Role::Deaf => {}
        }
        if matches!(self.source, Source::Direct(_)) {
            plugin = plugin.directly();
            self.shared.registered.fetch_add(1, Ordering::Relaxed);
        }
        let index = self.plugins.insert(plugin) as u32;
        let slot = token.slot();
        if self.by_slot.len() <= slot {
            self.by_slot.resize(slot + 1, 0);
        }
        self.by_slot[slot] = index;
        self.receive(index);
        self.touch(index);
    }

    /// Notices what the time and the other threads bring.
    fn advance(&mut self) {
        self.world.moment = self.shared.moment();
        if self.world.moment.opens && !self.has_opened {
            self.has_opened = true;
            self.touch_all();
        }
        if self.world.moment.begun && !self.has_begun {
            self.begin();
        }
        if self.world.moment.stops() && !self.has_stopped {
            self.has_stopped = true;
            self.queue_all();
            self.cycles.stop();
            self.hear_again();
        }
        if self.has_begun {
            self.queue_due();
        }
        if self.has_begun && !self.has_stopped {
            self.begin_cycles();
        }
        let over = self.cycles.take_ended();
        if over > 0 {
            self.shared.cycling.fetch_sub(over, Ordering::AcqRel);
        }
        if self.has_stopped && self.world.moment.now >= self.next_sweep {
            self.next_sweep = self.world.moment.now + SWEEP_NS;
            self.see_off();
        }
        if self.has_begun && self.world.moment.now >= self.next_ping {
            self.next_ping = self.world.moment.now + DEAF_PING_NS;
            self.ping_of_the_deaf();
        }
    }

    fn begin(&mut self) {
        let Some((start, window)) = self.shared.beginning() else { return };
        self.has_begun = true;
        for flow in &mut self.world.flows {
            flow.measured.recorder.open(window);
            flow.schedule = flow.spec.rate.map(|rate| Schedule::new(start, rate, flow.spec.channels));
        }
        for (_, plugin) in &mut self.plugins {
            plugin.deaf = self.world.role(plugin.number) == Role::Deaf;
        }
        self.find_sources();
        self.queue_all();
    }

    fn queue_all(&mut self) {
        for (_, plugin) in &mut self.plugins {
            plugin.queue_all(&mut self.world.ends);
        }
        self.touch_all();
    }

    /// Those who did not read do so again.
    fn hear_again(&mut self) {
        for index in self.all() {
            self.plugins[index as usize].deaf = false;
            self.receive(index);
        }
    }

    fn ping_of_the_deaf(&mut self) {
        for (_, plugin) in &mut self.plugins {
            if plugin.deaf {
                plugin.ping();
            }
        }
        self.touch_all();
    }

    /// Finds the sources of flows with a schedule.
    fn find_sources(&mut self) {
        let none = |flow: &Flow| {
            let channels = if flow.schedule.is_some() { flow.spec.channels } else { 0 };
            Sources { of_channel: vec![None; channels as usize], told: 0 }
        };
        self.sources = self.world.flows.iter().map(none).collect();
        for (index, plugin) in &self.plugins {
            for &number in &plugin.ends {
                let end = &self.world.ends[number as usize];
                let sources = &mut self.sources[usize::from(end.flow)].of_channel;
                if end.is_source && !sources.is_empty() {
                    sources[end.channel as usize] = Some((index as u32, number));
                }
            }
        }
    }

    /// Gives those sources their turn of which a message has become due.
    fn queue_due(&mut self) {
        let Moment { now, give_up, .. } = self.world.moment;
        if now >= give_up {
            return;
        }
        let mut queued = Vec::new();
        for (flow, sources) in self.world.flows.iter().zip(&mut self.sources) {
            let channels = sources.of_channel.len() as u64;
            let Some(schedule) = flow.schedule.filter(|_| channels > 0) else { continue };
            let due = schedule.due_of_all(now);
            let news = (due - sources.told).min(channels);
            let source = |message| sources.of_channel[(message % channels) as usize];
            queued.extend((due - news..due).filter_map(source));
            sources.told = due;
        }
        for (index, end) in queued {
            if let Some(plugin) = self.plugins.get_mut(index as usize) {
                plugin.queue(end, &mut self.world.ends);
                self.touch(index);
            }
        }
    }

    /// Lets those leave who have nothing more to do.
    fn see_off(&mut self) {
        let nobody_cycles = self.shared.cycling.load(Ordering::Acquire) == 0;
        let mut leaving = Vec::new();
        for (index, plugin) in &mut self.plugins {
            let has_seen_all = plugin.watching.as_ref().is_none_or(Watching::sees_nobody);
            if plugin.channels_left == 0 && nobody_cycles && has_seen_all && !plugin.leaves {
                plugin.leaves = true;
                leaving.push(index as u32);
            }
        }
        leaving.into_iter().for_each(|index| self.touch(index));
    }

    fn begin_cycles(&mut self) {
        let flow = self.world.flows.first().and_then(|flow| flow.schedule);
        while let Some(cycle) = self.cycles.next(self.world.moment.now, flow) {
            self.connect(cycle.number, cycle.visit, cycle.begun);
        }
    }

    // What the engine brings.

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Received { token, received } => {
                let Some(index) = self.plugin(token) else { return };
                self.plugins[index as usize].receiving = false;
                match received {
                    Received::Data(mut lease) => {
                        self.world.moment.now = self.shared.now();
                        self.read(index, &mut lease);
                    }
                    // Buffers are back by now: none outlives its completion.
                    Received::NoBuffers => self.receive(index),
                    Received::Ready => unreachable!("nothing but bytes is waited for"),
                    Received::Eof => self.ended(index, None),
                    Received::Failed(error) => self.ended(index, Some(error)),
                }
            }
            Completion::Sent { token, mut batch, result } => {
                batch.clear(|block| self.world.copies.give_back(block));
                self.spare.push(batch);
                // Why a send has failed is said by what is received.
                if let (Some(index), Ok(())) = (self.plugin(token), result) {
                    let plugin = &mut self.plugins[index as usize];
                    plugin.sending = false;
                    if plugin.stage == Stage::Leaving && matches!(self.source, Source::Direct(_)) {
                        // No relay sees it off.
                        self.gone(index);
                    } else {
                        self.touch(index);
                    }
                }
            }
            Completion::Closed { .. } => {}
            Completion::Accepted { .. } | Completion::AcceptFailed { .. } | Completion::HungUp { .. } => {
                unreachable!("there is no listener, and nobody asks who has hung up")
            }
        }
    }

    /// Asks for the next bytes of a plugin, unless that has been done.
    fn receive(&mut self, index: u32) {
        let plugin = &mut self.plugins[index as usize];
        if !mem::replace(&mut plugin.receiving, true) {
            self.ring.receive(plugin.token);
        }
    }

    fn read(&mut self, index: u32, bytes: &mut [u8]) {
        let plugin = &mut self.plugins[index as usize];
        let (stage, opened_before) = (plugin.stage, self.world.opened);
        let result = plugin.read(bytes, &mut self.world);
        let has_registered = stage == Stage::Registering && plugin.stage == Stage::Ready;
        if !plugin.deaf {
            self.receive(index);
        }
        if has_registered {
            self.registered(index);
        }
        if self.world.opened > opened_before {
            self.note_opened(index);
        }
        match result {
            Ok(()) => self.touch(index),
            Err(error) => self.fail(index, error),
        }
    }

    fn registered(&mut self, index: u32) {
        let plugin = &mut self.plugins[index as usize];
        if self.world.role(plugin.number) == Role::Comer {
            plugin.leaves = true;
        } else {
            self.shared.registered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records how long it took a plugin that comes and goes until its channel was open.
    fn note_opened(&mut self, index: u32) {
        let plugin = &self.plugins[index as usize];
        if self.world.role(plugin.number) == Role::Churner {
            let now = self.world.moment.now;
            let recorder = &mut self.world.flows[Cycles::OPENINGS].measured.recorder;
            recorder.count(now, 1, 0);
            recorder.record(now, std::iter::once(plugin.begun));
        }
    }

    /// A connection is over: in order, or not.
    fn ended(&mut self, index: u32, error: Option<io::Error>) {
        let plugin = &self.plugins[index as usize];
        if plugin.stage == Stage::Leaving {
            return self.gone(index);
        }
        let error = match error {
            Some(source) if source.kind() != io::ErrorKind::ConnectionReset => {
                Error::Socket { plugin: plugin.name.clone(), source }
            }
            // Without a relay the other end just goes.
            _ if matches!(self.source, Source::Direct(_)) && plugin.channels_left == 0 => return self.gone(index),
            _ => plugin.disconnected(),
        };
        self.fail(index, error);
    }

    fn fail(&mut self, index: u32, error: Error) {
        self.shared.fail(error);
        let plugin = &self.plugins[index as usize];
        if self.world.role(plugin.number).cycles() {
            self.cycles.gone(plugin.number);
        }
        self.remove(index);
    }

    /// A plugin has left in order.
    fn gone(&mut self, index: u32) {
        let plugin = &self.plugins[index as usize];
        let (number, begun, role) = (plugin.number, plugin.begun, self.world.role(plugin.number));
        self.remove(index);
        if role.cycles() {
            let now = self.world.moment.now;
            let measured = &mut self.world.flows[Cycles::flow(role)].measured;
            measured.arrived += 1;
            measured.recorder.count(now, 1, 0);
            measured.recorder.record(now, std::iter::once(begun));
            self.cycles.gone(number);
        }
    }

    fn remove(&mut self, index: u32) {
        let plugin = self.plugins.remove(index as usize);
        self.ring.close(plugin.token);
        for &end in &plugin.ends {
            let mut end = self.world.ends.remove(end as usize);
            if end.state != State::Done {
                end.give_account(&mut self.world.flows[usize::from(end.flow)]);
            }
        }
        if let Some(watching) = &plugin.watching {
            watching.give_account(&mut self.world);
        }
    }

    /// Adds to the verdict what those know who are still there.
    fn give_account(&mut self) {
        self.all().into_iter().for_each(|index| self.remove(index));
    }

    // Sending.

    /// Lets all plugins send that may have something to say.
    fn flush(&mut self) {
        for index in mem::take(&mut self.dirty) {
            let Some(plugin) = self.plugins.get_mut(index as usize) else { continue };
            plugin.dirty = false;
            if plugin.sending {
                continue;
            }
            self.send(index);
        }
    }

    fn send(&mut self, index: u32) {
        let mut batch = self.spare.pop().unwrap_or_default();
        let plugin = &mut self.plugins[index as usize];
        let stage = plugin.stage;
        plugin.fill(&mut batch, &mut self.world);
        if stage == Stage::Nameless && plugin.stage != Stage::Nameless {
            self.world.topology.arrivals.note(plugin.number, self.cycles.visit(plugin.number), self.world.moment.now);
        }
        let is_churner = self.world.role(plugin.number) == Role::Churner;
        plugin.leaves |= is_churner && plugin.channels_left == 0;
        let more = plugin.has_more() || (is_churner && plugin.leaves && plugin.stage == Stage::Ready);
        if batch.is_empty() {
            self.spare.push(batch);
        } else {
            plugin.sending = true;
            let token = plugin.token;
            self.ring.send(token, batch);
        }
        if more {
            self.touch(index);
        }
    }

    /// Notes that a plugin may have something to send.
    fn touch(&mut self, index: u32) {
        if let Some(plugin) = self.plugins.get_mut(index as usize)
            && !mem::replace(&mut plugin.dirty, true)
        {
            self.dirty.push(index);
        }
    }

    fn touch_all(&mut self) {
        self.all().into_iter().for_each(|index| self.touch(index));
    }

    fn all(&self) -> Vec<u32> {
        self.plugins.iter().map(|(index, _)| index as u32).collect()
    }

    fn plugin(&self, token: Token) -> Option<u32> {
        let index = *self.by_slot.get(token.slot())?;
        self.plugins.get(index as usize).filter(|plugin| plugin.token == token).map(|_| index)
    }

    // Time.

    /// How long nothing is to be done but what the ring brings, if at all.
    fn how_long_to_sleep(&self) -> Option<Duration> {
        let is_waiting = |index: &u32| self.plugins.get(*index as usize).is_some_and(|plugin| !plugin.sending);
        if self.spins && self.has_begun && !self.has_stopped
            || self.dirty.iter().any(is_waiting)
            || !self.to_connect.is_empty()
        {
            return None;
        }
        let next_due = self.world.flows.iter().filter_map(|flow| {
            let schedule = flow.schedule?;
            Some(schedule.next_of_all(self.world.moment.now))
        });
        match next_due.min() {
            Some(_) if self.has_stopped => Some(SLEEP_MAX),
            Some(due) if due < self.world.moment.now + SPIN_NS => None,
            Some(due) => Some(SLEEP_MAX.min(Duration::from_nanos(due - self.world.moment.now - SPIN_NS / 2))),
            None => Some(SLEEP_MAX),
        }
    }

    /// Tells the others what has happened here.
    fn tell(&mut self) {
        if self.world.opened > 0 {
            self.shared.opened.fetch_add(mem::take(&mut self.world.opened), Ordering::Relaxed);
        }
        let arrived = self.world.flows.iter().map(|flow| flow.measured.arrived).sum();
        if arrived > self.arrived_told {
            self.shared.arrived.fetch_add(arrived - self.arrived_told, Ordering::Relaxed);
            self.arrived_told = arrived;
        }
    }
}
