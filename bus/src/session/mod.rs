//! The session, the protocol state of one plugin's connection: its link, its name, what it watches and its legs.
//!
//! The shard feeds input ([`Session::next`]), channel messages ([`Session::handle_channel_msg`]) and time, and lets the
//! session write ([`Session::write_control`], [`Session::write_replies`]). Whatever concerns somebody else is put into the
//! [`Context`] and delivered before the next input; nothing is called back.
//!
//! `requests` handles what the plugin says to the relay itself, `registration` its name, `heartbeat` its silence, `answers`
//! its queries, `stats_queries` its questions about the relay, `forwarding` what it says to other plugins, `bodies` payload
//! of it that does not pass through our memory, `channel_msgs` what other plugins say to it, `offers` how it is asked for a
//! channel, and `offer_queue` what waits for that, `endings` the ends that wait for credit, `writing` what goes out,
//! `flows` what its messages wait for, `pending` all that is under way and soon over, `rate_limiter` who pays for what has
//! to be done, `overhead` what is kept, `leaving` why it is over.

mod answers;
#[cfg(any(test, feature = "testing"))]
mod audit;
mod bodies;
mod channel_msgs;
mod endings;
mod flows;
mod forwarding;
mod heartbeat;
mod leaving;
mod offer_queue;
mod offers;
mod overhead;
mod pending;
mod rate_limiter;
mod registration;
mod requests;
mod stats_queries;
#[cfg(test)]
mod tests;
mod writing;

#[cfg(any(test, feature = "testing"))]
pub use audit::Audit;
pub use bodies::{Body, Parts};
pub use heartbeat::Hearing;
pub use leaving::{Leaving, Refused};
pub use rate_limiter::{RateLimits, Verdict};

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bpmux::{DuplexKeys, Event, HalfKey, Limits, Link, Opened, Run, varint};

use super::address::{ConnId, LegAddr, LegId, LegRef};
use super::cap::{Budget, Pace, Rules};
use super::directory::SharedDirectory;
use super::leg::{Leg, Legs};
use super::msg::{ChannelMsg, Effect, Held, Side};
use super::name::Name;
use super::reply::Reply;
use super::share::UserId;
use super::watch::Watch;
use flows::Reading;
use heartbeat::{Due, Heartbeat};
use limits::WORK_OPEN_UNITS;
use pending::Pending;
use rate_limiter::RateLimiter;

/// What a session needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the plugin that is asked learns who asks.
    pub anonymous: bool,
    /// A plugin that has not registered by then is ended.
    pub registration_timeout: Duration,
    /// A plugin that has said nothing for this long is pinged.
    pub heartbeat_interval: Duration,
    /// A plugin that has said nothing for this long is ended.
    pub heartbeat_timeout: Duration,
    /// How long an end waits for the credit for its payload.
    pub end_credit_timeout: Duration,
    /// How long a connect waits for top-level credit of the plugin it goes to.
    pub offer_timeout: Duration,
    /// Connects that wait for one plugin's top-level credit.
    pub offers_max: usize,
    /// How much may be in flight on each half.
    pub caps: Rules,
    /// When a cap shrinks, for a reader on a unix socket.
    pub pace_unix: Pace,
    /// The same for one on TCP.
    pub pace_tcp: Pace,
    /// How much unpaid work a plugin may make.
    pub rate_limits: RateLimits,
    /// Top-level credit that a plugin holds when it has spent none.
    pub top_level_credit_bytes: u64,
    /// How many shards there are.
    pub shards: u16,
    /// What a plugin may make the relay remember.
    pub limits: Limits,
}

/// Everything around a session while it handles something.
pub struct Context<'a> {
    /// The time of this tick.
    pub now: Instant,
    /// The configuration.
    pub settings: &'a Settings,
    /// Who is there.
    pub directory: &'a SharedDirectory,
    /// What the shard may promise.
    pub budget: &'a mut Budget,
    /// What others are to be told.
    pub effects: &'a mut Vec<Effect>,
    /// What is accounted for until that which was just written has left.
    pub carried: &'a mut Vec<Held>,
    /// Legs of this connection whose payload is not wanted any more.
    pub dropped: &'a mut Vec<LegId>,
    /// The connections of the shard that have a watch.
    pub watchers: &'a mut BTreeSet<ConnId>,
    /// How many legs there are in the shard.
    pub legs: &'a mut u64,
}

/// What a half of the plugin's is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing any more.
    #[default]
    None,
    /// Its opening payload is on its way, on this half: the same, or the other one of a duplex.
    Opening(HalfKey),
    /// A query for whose answer there is no credit yet.
    Query,
    /// A query that is being answered, or waits for its turn.
    Answering,
    /// A question about the relay.
    StatsQuery,
    /// The watch.
    Watch,
    /// The inlet of a leg.
    Inlet(LegId),
    /// The outlet of a leg.
    Outlet(LegId),
    /// Of a duplex by which the plugin is being asked: parts of the opening payload are still to be sent.
    Offered(LegId),
    /// An end of ours waits for credit.
    Ending,
}

/// An opening payload of which not all has come.
#[derive(Debug)]
struct Opening {
    opened: Opened,
    payload: Vec<u8>,
    /// For a duplex: empty messages that came already, and whether the half they came on was closed.
    empties: u32,
    closed: bool,
}

/// Payload for another plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The leg it comes from.
    pub from: LegAddr,
    /// The connection and the leg it goes to.
    pub to: (ConnId, LegRef),
    /// What it is.
    pub payload: Payload,
}

/// What payload for another plugin consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Whole messages with their heads. The ids are the receiver's, unless `id_len` says how wide the ones to be
    /// replaced are.
    Run {
        /// Their number and size.
        run: Run,
        /// Width of the ids that are still to be replaced.
        id_len: Option<u8>,
    },
    /// A piece of a message, without a head.
    Piece {
        /// Bytes of the whole message.
        total: u64,
        /// Bytes of the piece.
        len: u64,
    },
}

impl Payload {
    /// Bytes that were paid for with credit.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        match self {
            Self::Run { run, .. } => run.payload_bytes,
            Self::Piece { len, .. } => *len,
        }
    }
}

/// How far [`Session::next`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Bytes of the input that are done with.
    pub used: usize,
    /// Payload to be relayed: the last bytes of those used.
    pub forward: Option<Forward>,
    /// Whether nothing more happens without more input. Else something may, even with all of it used: a flag takes
    /// effect without a byte of its own.
    pub done: bool,
}

/// Where payload goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The leg.
    pub id: LegId,
    /// The half to write.
    pub half: HalfKey,
    /// Whether something else must go out before it.
    pub behind: bool,
}

/// One plugin.
#[derive(Debug)]
pub struct Session {
    link: Link<Role>,
    me: ConnId,
    name: Option<Name>,
    version: u16,
    /// Who pays for what it makes the relay keep.
    user: UserId,
    /// Whether it is connected by TCP.
    tcp: bool,
    /// Whether it may ask about the relay.
    stats_allowed: bool,
    /// What is under way.
    pending: Option<Box<Pending>>,
    watch: Option<Box<Watch>>,
    legs: Legs,
    /// Channels that this plugin began, by whom they go to.
    #[expect(clippy::box_collection, reason = "many plugins begin none")]
    targets: Option<Box<HashMap<ConnId, LegId>>>,
    /// Legs whose credit is to be looked at.
    dirty: Vec<LegId>,
    limiter: RateLimiter,
    heartbeat: Heartbeat,
    reading: Reading,
}

impl Session {
    /// A plugin that has just connected: "the server grants top-level credit at once".
    #[must_use]
    pub fn new(me: ConnId, user: UserId, tcp: bool, now: Instant, settings: &Settings) -> Self {
        let mut link = Link::new(settings.limits);
        link.grant(HalfKey::TOP_READER, settings.top_level_credit_bytes);
        Self {
            link,
            me,
            name: None,
            version: 0,
            user,
            tcp,
            stats_allowed: false,
            pending: Some(Box::new(Pending { unregistered_since: Some(now), ..Pending::default() })),
            watch: None,
            legs: Legs::default(),
            targets: None,
            dirty: Vec::new(),
            limiter: RateLimiter::new(now, &settings.rate_limits),
            heartbeat: Heartbeat::HeardAt(now),
            reading: Reading::new(now),
        }
    }

    /// There is no place for it: it is ended as soon as it has said something, which may be the credit to hear why.
    pub fn turn_away(&mut self, why: Refused) {
        self.pending().refused = Some(why);
    }

    /// The plugin's name, once it is registered; empty for a client.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The plugin has said something, whatever it is.
    #[inline]
    pub fn handle_heard(&mut self, now: Instant) {
        self.heartbeat = Heartbeat::HeardAt(now);
    }

    /// The way of many small messages: takes whole messages of one channel off the front of `input`.
    #[inline]
    pub fn next_run(&mut self, input: &mut [u8]) -> Option<(usize, Forward)> {
        let (half, Role::Inlet(id)) = self.link.run_at(input)? else { return None };
        let leg = self.legs.get_mut(id)?;
        // Only when both have agreed, and while the other one still listens.
        let rewrite = leg.rewrite.filter(|_| leg.inlet.is_open())?;
        let patch = leg.same_width.then_some(&rewrite);
        let run = self.link.take_run(half, input, patch);
        if run.bytes == 0 {
            return None;
        }
        leg.inlet.waits.count(run.messages, run.payload_bytes);
        self.limiter.charge_run(run.messages, run.payload_bytes);
        let id_len = if leg.same_width { None } else { self.link.id(half).map(|id| varint::len(id) as u8) };
        let from = LegAddr { conn: self.me, leg: id };
        let forward = Forward { from, to: (leg.far_conn, leg.far(from)), payload: Payload::Run { run, id_len } };
        mark_dirty(leg, id, &mut self.dirty);
        Some((run.bytes, forward))
    }

    /// Whether the plugin has kept the relay busy for as long as it may at a time. What is left of the input must wait.
    #[must_use]
    #[inline]
    pub fn is_turn_over(&self) -> bool {
        self.limiter.is_turn_over()
    }

    /// The turn is over, one way or another: whether the plugin may be read on.
    pub fn settle_turn(&mut self, cx: &Context<'_>) -> Verdict {
        self.limiter.end_turn(cx.now, &cx.settings.rate_limits)
    }

    /// Reads on, until there is payload to be relayed, all of `input` is used, or the turn is over.
    ///
    /// # Errors
    /// The plugin has left or must be ended; see [`Session::leave`].
    pub fn next(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Next, Leaving> {
        let mut used = 0;
        loop {
            let before = (self.link.fields_read(), self.link.unheard_bytes());
            let step = self.link.next(&input[used..])?;
            self.limiter.charge(self.link.fields_read() - before.0);
            // What was on its way when the other plugin had enough of it: that one had given credit for it.
            self.limiter.refund_bytes(self.link.unheard_bytes() - before.1);
            used += step.used;
            let Some(event) = step.event else {
                self.top_up(cx);
                let refused = self.pending.as_ref().and_then(|pending| pending.refused);
                return refused.map_or(Ok(Next { used, forward: None, done: true }), |why| Err(Leaving::Refused(why)));
            };
            let forward = self.handle_event(event, &input[..used], cx)?;
            if forward.is_some() || self.limiter.is_turn_over() {
                return Ok(Next { used, forward, done: false });
            }
        }
    }

    /// "Keeps it topped up": by now all that was sent on the top level has been taken note of.
    fn top_up(&mut self, cx: &Context<'_>) {
        let full = cx.settings.top_level_credit_bytes;
        let left = self.link.may_receive(HalfKey::TOP_READER);
        if left <= full / 2 {
            self.link.grant(HalfKey::TOP_READER, full - left);
        }
    }

    fn handle_event(
        &mut self,
        event: Event<Role>,
        seen: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Option<Forward>, Leaving> {
        match event {
            Event::Opened(opened) => {
                self.limiter.charge(WORK_OPEN_UNITS);
                self.handle_opened(opened)?;
            }
            Event::Piece(half, role, piece) => {
                let bytes = &seen[seen.len() - piece.len..];
                match role {
                    // Another plugin has given credit for it, be it passed on or dropped because that one is gone.
                    Role::Inlet(_) | Role::Outlet(_) => self.limiter.refund_bytes(piece.len as u64),
                    _ => self.limiter.charge_own(piece.len as u64),
                }
                match role {
                    Role::Inlet(leg) => return Ok(self.handle_inlet_piece(leg, piece, bytes, cx)),
                    Role::Outlet(leg) => self.handle_outlet_piece(leg, piece, bytes, cx),
                    _ => self.handle_piece(half, role, piece, bytes, cx)?,
                }
            }
            Event::Credit(half, role, amount) => match role {
                Role::Inlet(leg) => self.handle_inlet_credit(leg, amount, cx),
                Role::Outlet(leg) => self.handle_outlet_credit(leg, amount, cx),
                Role::Ending => self.retry_ending(half, cx),
                Role::Query => self.query_ready(half),
                Role::StatsQuery => self.request_stats(cx),
                _ => {}
            },
            Event::Ping(half, role) => match role {
                Role::Inlet(leg) => self.send(leg, ChannelMsg::Ping(Side::Outlet), cx),
                Role::Outlet(leg) => self.send(leg, ChannelMsg::Ping(Side::Inlet), cx),
                _ => self.link.pong(half),
            },
            Event::Pong(_, role) => match role {
                Role::Inlet(leg) => self.send(leg, ChannelMsg::Pong(Side::Outlet), cx),
                Role::Outlet(leg) => self.send(leg, ChannelMsg::Pong(Side::Inlet), cx),
                _ => {}
            },
            Event::Missed(_, role) => {
                if let Role::Inlet(leg) = role {
                    self.handle_inlet_missed(leg, cx);
                }
            }
            Event::Over(_, role, over) => match role {
                Role::Inlet(leg) => self.inlet_known_over(leg, over, cx),
                Role::Outlet(leg) => self.outlet_known_over(leg, over, cx),
                _ => {}
            },
        }
        Ok(None)
    }

    /// Sends a channel message to the other leg.
    fn send(&mut self, id: LegId, msg: ChannelMsg, cx: &mut Context<'_>) {
        if let Some(leg) = self.legs.get_mut(id) {
            let me = LegAddr { conn: self.me, leg: id };
            cx.effects.push(Effect::Leg(leg.far_conn, leg.far(me), msg));
        }
    }

    /// When [`Session::handle_timeout`] is to be called, at the latest.
    #[must_use]
    pub fn deadline(&self, settings: &Settings) -> Instant {
        let own = match self.unregistered_since() {
            Some(since) => since + settings.registration_timeout,
            None => self.heartbeat.deadline(settings),
        };
        let pending = self.pending.as_ref().and_then(|pending| pending.deadline(settings.offer_timeout));
        pending.map_or(own, |at| at.min(own))
    }

    /// Whether something is to come of the plugin by then, rather than to be done for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.heartbeat.is_pinged() || self.pending.as_ref().is_some_and(|pending| pending.awaits_something())
    }

    /// Time has passed.
    ///
    /// # Errors
    /// The plugin is to be ended.
    pub fn handle_timeout(&mut self, hearing: Hearing, cx: &mut Context<'_>) -> Result<(), Leaving> {
        let now = cx.now;
        if let Some(since) = self.pending.as_mut().and_then(|pending| pending.unregistered_since.as_mut()) {
            if hearing == Hearing::HeldUp {
                *since = now;
            } else if now.saturating_duration_since(*since) >= cx.settings.registration_timeout {
                return Err(Leaving::RegistrationTimeout);
            }
        } else {
            let due = match hearing {
                Hearing::Open => self.heartbeat.due(now, cx.settings),
                Hearing::Slowed | Hearing::HeldUp => self.heartbeat.unheard(now, cx.settings),
            };
            match due {
                Due::Nothing => {}
                Due::Ping => self.link.ping(HalfKey::TOP_READER),
                Due::End => return Err(Leaving::Silent),
            }
        }
        if self.pending.is_some() {
            self.handle_contest_timeout(cx);
            self.handle_endings_timeout(cx);
            self.handle_offers_timeout(cx);
            self.handle_rest_timeout(cx);
        }
        Ok(())
    }

    /// The plugin is gone or is to be ended: gives its name back and tells everyone concerned. With credit for it, the
    /// plugin is told why; the caller flushes what is owed and closes the socket.
    pub fn leave(&mut self, why: &Leaving, cx: &mut Context<'_>) {
        self.unregister(cx);
        for id in self.legs.ids() {
            self.send(id, ChannelMsg::Gone, cx);
            self.discard(id, cx);
        }
        if let Some(mut pending) = self.pending.take() {
            pending.endings.abandon(cx.effects);
        }
        self.watch_no_more(cx);
        if why.is_our_will() {
            self.link.farewell(why.to_string().as_bytes());
        } else {
            self.link.owe_nothing();
        }
    }

    /// Frees a leg on which nothing more happens.
    fn free_if_over(&mut self, id: LegId, cx: &mut Context<'_>) {
        if self.legs.get_mut(id).is_some_and(|leg| leg.is_over()) {
            self.discard(id, cx);
        }
    }

    /// Takes a leg out, whatever its state. Promises made for bytes that are elsewhere stay until those are released.
    fn discard(&mut self, id: LegId, cx: &mut Context<'_>) {
        let Some(mut leg) = self.legs.remove(id) else { return };
        *cx.legs -= 1;
        let setup = std::mem::take(leg.setup());
        if let Some(DuplexKeys { writer, reader }) = setup.asking {
            // "Gives that message up": the plugin will not learn what it would have been asked.
            self.link.end(writer, &[]);
            self.link.end(reader, &[]);
        }
        if !leg.outlet.is_over() {
            cx.budget.close_outlet(leg.inlet.account.user(), 0);
        }
        if !leg.inlet.is_over() {
            let unspent = leg.inlet.half.map_or(0, |half| self.link.may_come(half));
            cx.budget.close(&mut leg.inlet.account, unspent);
        }
        cx.budget.released_late(setup.close_payload.len() as u64);
        setup.ends().for_each(|charged| charged.held.release(cx.effects));
        if leg.outlet.backlogged {
            cx.dropped.push(id);
        }
        if let Some(targets) = self.targets.as_mut().filter(|targets| targets.get(&leg.far_conn) == Some(&id)) {
            targets.remove(&leg.far_conn);
        }
    }
}

/// Puts a leg into the list of those whose credit is to be looked at.
#[inline]
fn mark_dirty(leg: &mut Leg, id: LegId, dirty: &mut Vec<LegId>) {
    if !leg.dirty {
        leg.dirty = true;
        dirty.push(id);
    }
}
