//! A shard, an event loop: one thread, one driver, its connections, and the tick in which everything happens.
//!
//! A tick takes what the kernel and the other shards have brought, lets the sessions handle it, and then writes: one
//! batch for each connection that has something to say. Nothing waits within it. Messages of other shards are taken before what
//! the sockets brought, so that what another shard has told somebody is known here before that somebody's next word.

use std::io;
use std::time::{Duration, Instant};

use bus::address::{ConnId, LegAddr, LegRef};
use bus::directory;
use bus::msg::{ChannelMsg, Effect, Offer};
use bus::session::{Hearing, Leaving};
use engine::driver::{Completion, Driver, Token};

use super::acceptor::Acceptor;
use super::clock::RunningClock;
use super::conn::Conn;
use super::core::Core;
use super::inbox::ShardMsg;
use super::life::{FAREWELL_TIMEOUT, Life};
use super::ranks::Ranks;
use super::spin::Spin;
use super::stop::Stop;
use super::timer::Timers;

/// A shard with its driver.
#[derive(Debug)]
pub(super) struct Shard<D> {
    pub(super) driver: D,
    pub(super) core: Core,
    pub(super) acceptor: Acceptor,
    /// By the slot of the token.
    pub(super) conns: Vec<Option<Box<Conn>>>,
    pub(super) served: usize,
    pub(super) clock: RunningClock,
    pub(super) timers: Timers,
    pub(super) ranks: Ranks,
    /// Connections that may have something to write.
    dirty: Vec<Token>,
    /// Connections of which something that was received is still to be read.
    pub(super) unread: Vec<Token>,
    /// Connections to be read again.
    pub(super) unarmed: Vec<Token>,
    /// Connections for whose receive there was no buffer.
    pub(super) starved: Vec<Token>,
    /// Nobody is read, since another shard does not take what has been read already.
    pub(super) congested: bool,
    pub(super) stop: Option<Stop>,
    spin: Spin,
}

impl<D: Driver> Shard<D> {
    pub(super) fn new(driver: D, core: Core, acceptor: Acceptor) -> Self {
        Self {
            spin: Spin::new(core.config.engine.spin),
            clock: RunningClock::new(core.now, &core.config.bus),
            driver,
            core,
            acceptor,
            conns: Vec::new(),
            served: 0,
            ranks: Ranks::default(),
            timers: Timers::default(),
            dirty: Vec::new(),
            unread: Vec::new(),
            unarmed: Vec::new(),
            starved: Vec::new(),
            congested: false,
            stop: None,
        }
    }

    /// Serves until the relay has stopped.
    pub(super) fn run(&mut self) -> io::Result<()> {
        self.acceptor.open(&mut self.driver);
        while !self.is_stopped() {
            self.tick()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        let idle_since = self.spin.is_on().then(|| self.driver.now());
        if let Some(limit) = self.spin.limit() {
            self.look(limit)?;
        }
        let block = self.may_sleep();
        let until = self.wake_at();
        self.driver.wait(block, until.map(|at| self.clock.to_machine(at)))?;
        // A sleep without an end may last: it is over when it is.
        self.work(block.then(|| until.unwrap_or_else(|| self.driver.now())));
        if let Some(since) = idle_since {
            self.spin.waited(self.clock.read_at().saturating_duration_since(since));
        }
        Ok(())
    }

    /// Starts what was asked for, and looks for what comes of it instead of sleeping, no longer than `limit`.
    fn look(&mut self, limit: Duration) -> io::Result<()> {
        self.driver.wait(false, None)?;
        let until = self.driver.now() + limit;
        let until = self.wake_at().map_or(until, |at| self.clock.to_machine(at).min(until));
        let mine = &self.core.shared.inboxes[usize::from(self.core.index)];
        let own = !self.core.local.is_empty() || !self.unread.is_empty();
        while !own && mine.is_empty() && !self.driver.is_ready() && self.driver.now() < until {
            std::hint::spin_loop();
        }
        Ok(())
    }

    /// Whether there is nothing to do until the driver says so. From now on whoever sends messages wakes the shard.
    pub(super) fn may_sleep(&mut self) -> bool {
        self.core.local.is_empty() && self.unread.is_empty() && self.core.sender.may_sleep(&self.core.shared.inboxes)
    }

    /// What a tick does when the wait is over. `due`: when the sleep was to end, if it was one.
    pub(super) fn work(&mut self, due: Option<Instant>) {
        let shared = self.core.shared.clone();
        let mine = &shared.inboxes[usize::from(self.core.index)];
        mine.note_awake();
        self.core.now = self.clock.advance(self.driver.now(), due);
        self.core.ticks += 1;

        // What is there now, and not what others go on putting in: the sockets want their turn, too.
        for _ in 0..mine.len() {
            let Some(msg) = mine.pop() else { break };
            self.handle_shard_msg(msg);
        }
        self.core.sender.tell_room(mine, &shared.inboxes, |shard| self.driver.wake(shard));
        self.handle_local();
        while let Some(completion) = self.driver.next() {
            self.handle_completion(completion);
            self.handle_local();
        }
        self.read_leftovers();
        self.fire_timers();
        self.acceptor.retry(self.core.now, &mut self.driver);
        self.write();
        while let Some(completion) = self.driver.next_at_once() {
            self.handle_completion(completion);
            self.handle_local();
            self.write();
        }
        self.core.sender.flush(&shared.inboxes, |shard| self.driver.wake(shard));
        // After the flush: what it has made an end of kept connections from being read, and the shard from being stopped.
        self.arm();
        self.check_stop();
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        let stop = self.stop.as_ref().filter(|stop| !stop.told).map(|stop| stop.deadline);
        [self.timers.next(), self.acceptor.retry_at(), stop].into_iter().flatten().min()
    }

    pub(super) fn conn(&mut self, token: Token) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(token.slot())?.as_deref_mut()?;
        (conn.token == token).then_some(conn)
    }

    /// A connection that is served, with the core beside it.
    pub(super) fn served(&mut self, token: Token) -> Option<(&mut Conn, &mut Core)> {
        let conn = self.conns.get_mut(token.slot())?.as_deref_mut()?;
        (conn.token == token && conn.life.is_served()).then_some((conn, &mut self.core))
    }

    /// The connection may have something to write: it is looked at before the tick is over.
    pub(super) fn mark_dirty(&mut self, token: Token) {
        let Some(conn) = self.conn(token) else { return };
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(token);
        }
    }

    // What comes in.

    fn handle_completion(&mut self, completion: Completion) {
        match completion {
            Completion::Accepted { listener, socket } => self.handle_accepted(listener, socket),
            Completion::AcceptFailed { listener, error } => {
                self.acceptor.handle_failed(listener, &error, self.core.now);
            }
            Completion::Received { token, received } => self.handle_received(token, received),
            Completion::Sent { token, batch, result } => {
                self.core.pool.give_back_batch(batch);
                self.handle_sent(token, result);
            }
            Completion::HungUp { token } => self.handle_hung_up(token),
            Completion::Closed { token } => self.handle_closed(token),
        }
    }

    fn handle_sent(&mut self, token: Token, result: io::Result<()>) {
        let Self { conns, core, .. } = self;
        let conn = conns.get_mut(token.slot()).and_then(Option::as_deref_mut);
        let Some(conn) = conn.filter(|conn| conn.token == token) else { return };
        let (waited, accounts) = conn.outbox.landed(core.ticks);
        for (from, bytes) in accounts {
            if waited {
                core.send(ShardMsg::Effect(Effect::Leg(from.conn, LegRef::At(from.leg), ChannelMsg::Waited)));
            }
            core.release(from, bytes);
        }
        match result {
            Ok(()) => {}
            // It may have said something before it went.
            Err(_) if conn.life == Life::Served => conn.becomes_read_only(core.now),
            Err(_) if conn.life.is_served() => {}
            Err(_) => return self.close(token),
        }
        self.mark_dirty(token);
    }

    pub(super) fn handle_local(&mut self) {
        while let Some(msg) = self.core.local.pop_front() {
            self.handle_shard_msg(msg);
        }
    }

    fn handle_shard_msg(&mut self, msg: ShardMsg) {
        match msg {
            ShardMsg::Payload(forward, bytes, short) => {
                let token = Token(forward.to.0.token);
                match self.served(token) {
                    Some((conn, core)) => {
                        conn.take_payload(&forward, bytes, short, core);
                        self.mark_dirty(token);
                    }
                    None => self.core.release(forward.from, forward.payload.payload_bytes()),
                }
            }
            ShardMsg::Piped(parts, pipe, hurried) => {
                let token = Token(parts.to.0.token);
                match self.served(token) {
                    Some((conn, core)) => {
                        conn.take_pipe(&parts, pipe, hurried, core);
                        self.mark_dirty(token);
                    }
                    None => self.core.release(parts.from, parts.payload_bytes),
                }
            }
            ShardMsg::Effect(Effect::Leg(to, leg, msg)) => self.handle_channel_msg(to, leg, msg),
            ShardMsg::Effect(Effect::Released(leg, bytes)) => self.handle_released(leg, bytes),
            ShardMsg::Effect(Effect::Offer(to, offer)) => self.handle_offer(to, offer),
            ShardMsg::Effect(Effect::Contest { holder, newcomer }) => self.handle_contest(holder, newcomer),
            ShardMsg::Effect(Effect::Contested(newcomer, free)) => self.handle_contested(newcomer, free),
            ShardMsg::Effect(Effect::Changed(_)) => self.handle_directory_changed(),
            ShardMsg::Effect(Effect::StatsRequest(_, request)) => self.handle_stats_request(&request),
            ShardMsg::Effect(Effect::StatsReply(to, reply)) => self.handle_stats_reply(to, reply),
            ShardMsg::Pause(leg, pause) => self.handle_pause(leg, pause),
            ShardMsg::NewConn(new_conn) => self.handle_new_conn(new_conn),
            ShardMsg::LookUp => {}
        }
    }

    fn handle_channel_msg(&mut self, to: ConnId, leg: LegRef, msg: ChannelMsg) {
        let token = Token(to.token);
        match self.served(token) {
            Some((conn, core)) => {
                conn.with_session(core, |session, cx| session.handle_channel_msg(leg, msg, cx));
                self.mark_dirty(token);
            }
            None => {
                if let Some(effect) = msg.undeliverable() {
                    self.core.send(ShardMsg::Effect(effect));
                }
            }
        }
    }

    fn handle_released(&mut self, leg: LegAddr, bytes: u64) {
        let token = Token(leg.conn.token);
        match self.served(token) {
            Some((conn, core)) => {
                conn.with_session(core, |session, cx| session.handle_released(leg.leg, bytes, cx));
                self.mark_dirty(token);
            }
            None => self.core.budget.released_late(bytes),
        }
    }

    fn handle_offer(&mut self, to: ConnId, offer: Offer) {
        let token = Token(to.token);
        match self.served(token) {
            Some((conn, core)) => {
                conn.with_session(core, |session, cx| session.handle_offer(offer, cx));
                self.mark_dirty(token);
            }
            None => self.core.send(ShardMsg::Effect(offer.refused_by_nobody())),
        }
    }

    /// Tells the watchers of this shard, or stops taking changes when there are none left.
    fn handle_directory_changed(&mut self) {
        let (index, shared) = (self.core.index, self.core.shared.clone());
        if self.core.watchers.is_empty() {
            return directory::lock(&shared.directory).unwatch(index);
        }
        let watchers: Vec<_> = self.core.watchers.iter().map(|conn| Token(conn.token)).collect();
        loop {
            // None are left when an earlier word of it has brought these as well.
            let changes = directory::lock(&shared.directory).take_changes(index);
            if changes.is_empty() {
                return;
            }
            for &token in &watchers {
                let Some((conn, _)) = self.served(token) else { continue };
                conn.session.handle_changes(&changes);
                self.mark_dirty(token);
            }
        }
    }

    fn handle_pause(&mut self, leg: LegAddr, pause: bool) {
        let (token, now) = (Token(leg.conn.token), self.core.now);
        let Some(conn) = self.conn(token) else { return };
        conn.session.handle_clogged(leg.leg, pause);
        if pause {
            conn.pauses += 1;
        } else if conn.unpause(now) && !conn.armed {
            self.unarmed.push(token);
        }
        self.mark_dirty(token);
    }

    // What goes out.

    /// Lets every connection that may have something to say say it, until nobody has.
    pub(super) fn write(&mut self) {
        while let Some(token) = self.dirty.pop() {
            self.flush(token);
            self.weigh(token);
            self.handle_local();
        }
    }

    fn flush(&mut self, token: Token) {
        let Self { conns, core, driver, .. } = self;
        let Some(conn) = conns.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        if conn.token != token {
            return;
        }
        conn.dirty = false;
        if !matches!(conn.life, Life::Lingering(_) | Life::Closing) && !conn.outbox.is_flying() {
            conn.fill(core);
            if let Some(batch) = conn.outbox.take_off(core.ticks, &mut core.pool) {
                if matches!(conn.life, Life::ReadOnly(_)) {
                    core.pool.give_back_batch(batch);
                    return self.handle_sent(token, Ok(()));
                }
                driver.send(token, batch);
            }
        }
        if let Life::Flushing(until) = conn.life
            && conn.outbox.is_empty()
        {
            self.linger(token, until);
        }
        self.set_timer(token);
    }

    /// Sees to it that the connection is looked at when something is due there.
    fn set_timer(&mut self, token: Token) {
        let Self { conns, core, timers, clock, .. } = self;
        let Some(conn) = conns.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        let due = match conn.life {
            Life::Served | Life::ReadOnly(_) => {
                let due = conn.session.deadline(&core.settings);
                // Whoever is waited for is looked at now and then, so that a suspension is noticed.
                let look = conn.session.is_awaited().then(|| core.now + clock.look_interval());
                [conn.slowed_until, conn.given_up_at(&core.settings), look]
                    .into_iter()
                    .flatten()
                    .fold(due, Instant::min)
            }
            Life::Flushing(until) => until,
            Life::Lingering(until) => until.min(core.now + FAREWELL_TIMEOUT),
            Life::Closing => return,
        };
        if conn.timer_at.is_none_or(|at| due < at) {
            timers.set(due, conn.timer_at.replace(due), token);
        }
    }

    fn fire_timers(&mut self) {
        while let Some((_, token)) = self.timers.pop(self.core.now) {
            let Some(conn) = self.conn(token) else { continue };
            conn.timer_at = None;
            match conn.life {
                Life::Flushing(_) => self.close(token),
                Life::Lingering(until) => self.handle_lingered(token, until),
                Life::Closing => {}
                Life::Served | Life::ReadOnly(_) => self.handle_timeout(token),
            }
            self.handle_local();
        }
    }

    /// Something may be due at a connection.
    fn handle_timeout(&mut self, token: Token) {
        let Self { conns, core, unarmed, congested, .. } = self;
        let Some(conn) = conns.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        if conn.slowed_until.take_if(|until| *until <= core.now).is_some() {
            unarmed.push(token);
        }
        let hearing = match () {
            () if conn.armed => Hearing::Open,
            () if conn.held_up || *congested => Hearing::HeldUp,
            () => Hearing::Slowed,
        };
        let alive = if conn.given_up_at(&core.settings).is_some_and(|at| at <= core.now) {
            Err(Leaving::Eof)
        } else {
            conn.with_session(core, |session, cx| session.handle_timeout(hearing, cx))
        };
        match alive {
            Ok(()) => self.mark_dirty(token),
            Err(why) => self.leave(token, &why),
        }
    }
}
