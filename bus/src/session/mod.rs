//! The session, the protocol state of one plugin's connection: it dispatches what the plugin says by the role of the half
//! on which it is said, and asks all of its parts what is to be written, and by when.
//!
//! The shard feeds input ([`Session::next`]), channel messages ([`Session::handle_channel_msg`]) and time, and lets the
//! session write ([`Session::write_control`], [`Session::write_replies`]). Whatever concerns somebody else is left in the
//! [`Effects`](super::effects::Effects) of the context, and delivered before the next input; nothing is called back.
//!
//! Each part owns what it is about, and nobody else sees it: `registration` how the plugin gets its name, `heartbeat` its
//! silence, `requests` what it asks the relay itself, `channel` its channels to other plugins. They share the plugin
//! (`plugin`): the link to it, and the rate limiter. `leaving` says why it is over.

mod heartbeat;
mod leaving;
mod registration;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "testing"))]
pub use super::audit::Audit;
pub use super::channel::payload::{Body, Forward, Outgoing, Parts, Payload};
pub use super::context::{Context, Settings};
pub use super::rate_limiter::{RateLimits, Verdict};
pub use heartbeat::Hearing;
pub use leaving::{Leaving, Refused};

use std::time::Instant;

use bpmux::{Event, HalfKey, Opened, Piece, Rewrite, Run, What};
use limits::{WORK_ANSWER_UNITS, WORK_OPEN_UNITS, WORK_PAID_BY_BYTES};
use wire::stats::PageWriter;

use super::address::{ConnId, LegId, LegRef};
use super::channel::Channels;
use super::directory::Change;
use super::msg::{ChannelMsg, Offer, Side, StatsReply};
use super::name::Name;
use super::plugin::{Plugin, PluginContext, Role};
use super::requests::Requests;
use super::share::UserId;
use heartbeat::{Due, Heartbeat};
use registration::Registration;

/// How far [`Session::next`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Bytes of the input that are done with.
    pub used: usize,
    /// Payload to be forwarded: the last bytes of those used.
    pub forward: Option<Forward>,
    /// Whether nothing more happens without more input. Else something may, even with all of it used: a flag takes
    /// effect without a byte of its own.
    pub done: bool,
}

/// One plugin's session.
#[derive(Debug)]
pub struct Session {
    plugin: Plugin,
    channels: Channels,
    requests: Requests,
    /// None once the plugin is registered.
    registration: Option<Box<Registration>>,
    heartbeat: Heartbeat,
}

impl Session {
    /// A plugin that has just connected.
    #[must_use]
    pub fn new(me: ConnId, user: UserId, tcp: bool, now: Instant, settings: &Settings) -> Self {
        Self {
            plugin: Plugin::new(me, user, tcp, now, settings),
            channels: Channels::new(now),
            requests: Requests::default(),
            registration: Some(Box::new(Registration::new(now))),
            heartbeat: Heartbeat::HeardAt(now),
        }
    }

    /// There is no place for it: it is ended as soon as it has said something, which may be the credit to hear why.
    pub fn turn_away(&mut self, why: Refused) {
        self.registration.iter_mut().for_each(|registration| registration.refuse(why));
    }

    /// The plugin may ask about the relay.
    pub fn allow_stats(&mut self) {
        self.plugin.stats_allowed = true;
    }

    /// Its connection.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.plugin.me
    }

    /// The plugin's name, once it is registered; empty for a client.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.plugin.name.as_ref()
    }

    /// What the plugin makes the relay keep besides payload, the session itself not counted, in bytes, about.
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        let Self { plugin, channels, requests, registration, heartbeat: _ } = self;
        let registration = registration.as_ref().map_or(0, |registration| registration.memory_bytes());
        plugin.memory_bytes() + channels.memory_bytes() + requests.memory_bytes() + registration
    }

    // What the plugin says.

    /// The plugin has said something, whatever it is.
    #[inline]
    pub fn handle_heard(&mut self, now: Instant) {
        self.heartbeat = Heartbeat::HeardAt(now);
    }

    /// The way of many small messages: takes whole messages of one channel off the front of `input`.
    #[inline]
    pub fn next_run(&mut self, input: &mut [u8]) -> Option<(usize, Forward)> {
        self.channels.next_run(input, &mut self.plugin)
    }

    /// Whether the plugin has kept the relay busy for as long as it may at a time. What is left of the input must wait.
    #[must_use]
    #[inline]
    pub fn is_turn_over(&self) -> bool {
        self.plugin.limiter.is_turn_over()
    }

    /// The turn is over, one way or another: whether the plugin may be read on.
    pub fn settle_turn(&mut self, now: Instant, settings: &Settings) -> Verdict {
        self.plugin.limiter.end_turn(now, &settings.rate_limits)
    }

    /// Whether the plugin is slowed, for the first time since it had cost nothing for a while. Tells it once.
    pub fn take_newly_slowed(&mut self) -> bool {
        self.plugin.limiter.take_newly_slowed()
    }

    /// Reads on, until there is payload to be forwarded, all of `input` is used, or the turn is over.
    ///
    /// # Errors
    /// The plugin has left or must be ended; see [`Session::leave`].
    pub fn next(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Next, Leaving> {
        let mut used = 0;
        loop {
            let Plugin { link, limiter, .. } = &mut self.plugin;
            let before = (link.fields_read(), link.unheard_bytes());
            let step = link.next(&input[used..])?;
            limiter.charge(link.fields_read() - before.0);
            // What was on its way when the other plugin had enough of it: that one had given credit for it.
            limiter.refund_bytes(link.unheard_bytes() - before.1);
            used += step.used;
            let Some(event) = step.event else {
                self.plugin.top_up(cx.settings);
                let refused = self.registration.as_ref().and_then(|registration| registration.refused());
                return refused.map_or(Ok(Next { used, forward: None, done: true }), |why| Err(Leaving::Refused(why)));
            };
            let forward = self.handle_event(event, &input[..used], cx)?;
            if forward.is_some() || self.plugin.limiter.is_turn_over() {
                return Ok(Next { used, forward, done: false });
            }
        }
    }

    fn handle_event(
        &mut self,
        event: Event<Role>,
        seen: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Option<Forward>, Leaving> {
        let Self { plugin, channels, requests, .. } = self;
        let outer = cx;
        let cx = &mut PluginContext::new(plugin, outer);
        match event {
            Event::Opened(opened) => self.handle_opened(opened)?,
            Event::Piece(half, role, piece) => {
                let bytes = &seen[seen.len() - piece.len..];
                match role {
                    Role::Inlet(leg) => return Ok(channels.handle_inlet_piece(leg, piece, bytes, cx)),
                    Role::Outlet(leg) => channels.handle_outlet_piece(leg, piece, bytes, cx),
                    _ => self.handle_own_piece(half, role, piece, bytes, outer)?,
                }
            }
            Event::Credit(half, role, amount) => match role {
                Role::Inlet(leg) => channels.handle_inlet_credit(leg, amount, cx),
                Role::Outlet(leg) => channels.handle_outlet_credit(leg, amount, cx),
                Role::Ending => _ = cx.plugin.retry_end(half),
                _ => requests.handle_credit(half, role, cx),
            },
            Event::Ping(half, role) => match role {
                Role::Inlet(leg) => channels.handle_ping(leg, Side::Inlet, cx),
                Role::Outlet(leg) => channels.handle_ping(leg, Side::Outlet, cx),
                _ => cx.plugin.link.pong(half),
            },
            Event::Pong(_, role) => match role {
                Role::Inlet(leg) => channels.handle_pong(leg, Side::Inlet, cx),
                Role::Outlet(leg) => channels.handle_pong(leg, Side::Outlet, cx),
                _ => {}
            },
            Event::Missed(_, Role::Inlet(leg)) => channels.handle_missed(leg, cx),
            Event::Over(_, Role::Inlet(leg), over) => channels.handle_inlet_known_over(leg, over, cx),
            Event::Over(_, Role::Outlet(leg), over) => channels.handle_outlet_known_over(leg, over, cx),
            Event::Missed(..) | Event::Over(..) => {}
        }
        Ok(None)
    }

    /// The plugin opens something, which it may when it is registered.
    fn handle_opened(&mut self, opened: Opened) -> Result<(), Leaving> {
        self.plugin.limiter.charge(WORK_OPEN_UNITS);
        if let Some(registration) = &self.registration {
            let unregistered = Leaving::NotRegistered("something was opened before the registration");
            return Err(registration.refused().map_or(unregistered, Leaving::Refused));
        }
        self.requests.handle_opened(opened, &mut self.plugin);
        Ok(())
    }

    /// Payload on a half that is of no leg.
    fn handle_own_piece(
        &mut self,
        half: HalfKey,
        role: Role,
        piece: Piece,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), Leaving> {
        self.plugin.limiter.charge_own(piece.len as u64);
        if half == HalfKey::TOP_READER || half == HalfKey::TOP_WRITER {
            return self.handle_top_level_piece(piece, bytes, cx);
        }
        let cx = &mut PluginContext::new(&mut self.plugin, cx);
        match (role, piece.what) {
            (Role::Ending, What::End) if piece.last => _ = cx.forget_end(half),
            (Role::Offered(leg), What::Message) if piece.total == 0 => self.channels.handle_early_answer(leg),
            (Role::Offered(leg), What::End) if piece.last => self.channels.handle_early_denial(leg, cx),
            _ => {
                if let Some(duplex) = self.requests.handle_piece(half, role, piece, bytes, cx) {
                    self.channels.handle_duplex(&duplex, cx);
                }
            }
        }
        Ok(())
    }

    fn handle_top_level_piece(&mut self, piece: Piece, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), Leaving> {
        if piece.what == What::End {
            return if piece.last { Err(Leaving::Goodbye) } else { Ok(()) };
        }
        // "A top-level message is ignored", but an empty one is a disconnection.
        if piece.total == 0 {
            return Err(Leaving::Goodbye);
        }
        if let Some(registration) = &mut self.registration
            && registration.handle_piece(piece, bytes, &mut PluginContext::new(&mut self.plugin, cx))?
        {
            self.registration = None;
        }
        Ok(())
    }

    // What others say.

    /// Another plugin wants to connect to this one.
    pub fn handle_offer(&mut self, offer: Offer, cx: &mut Context<'_>) {
        self.channels.handle_offer(offer, &mut PluginContext::new(&mut self.plugin, cx));
    }

    /// The other leg of one of our channels says something.
    pub fn handle_channel_msg(&mut self, leg: LegRef, msg: ChannelMsg, cx: &mut Context<'_>) {
        self.channels.handle_msg(leg, msg, &mut PluginContext::new(&mut self.plugin, cx));
    }

    /// Others connected or left; a watcher is told.
    pub fn handle_changes(&mut self, changes: &[Change]) {
        self.requests.handle_changes(changes, &self.plugin);
    }

    /// A shard has answered a question about it.
    pub fn handle_stats_reply(&mut self, reply: StatsReply) {
        self.requests.handle_stats_reply(reply, &mut self.plugin);
    }

    /// Whether the plugin has asked for a name of which it is not known yet whether it is free.
    #[must_use]
    pub fn is_contesting(&self) -> bool {
        self.registration.as_ref().is_some_and(|registration| registration.is_contesting())
    }

    /// The shard of the holder has looked: whether the name has been given up. Afterwards the contest is over, or goes on.
    ///
    /// # Errors
    /// The name stays taken, and the plugin is to be ended.
    pub fn handle_contested(&mut self, free: bool, cx: &mut Context<'_>) -> Result<(), Leaving> {
        if let Some(registration) = &mut self.registration
            && registration.handle_contested(free, &mut PluginContext::new(&mut self.plugin, cx))?
        {
            self.registration = None;
        }
        Ok(())
    }

    /// The plugin has hung up, and another one wants its name: gives it back, though what the plugin has said is still read.
    pub fn yield_name(&mut self, cx: &mut Context<'_>) {
        registration::yield_name(&mut PluginContext::new(&mut self.plugin, cx));
    }

    // What the shard says.

    /// Payload of this plugin's has left the relay.
    pub fn handle_released(&mut self, id: LegId, bytes: u64, cx: &mut Context<'_>) {
        self.channels.handle_released(id, bytes, cx.budget);
    }

    /// A receive has ended. Until [`Session::handle_read_resumed`] the plugin is not read. `more_waits`: not all was received.
    #[inline]
    pub fn handle_read_stopped(&mut self, more_waits: bool, now: Instant) {
        self.channels.handle_read_stopped(more_waits, now);
    }

    /// A receive has begun.
    #[inline]
    pub fn handle_read_resumed(&mut self, now: Instant) {
        self.channels.handle_read_resumed(now);
    }

    /// Messages without payload pile up at the plugin that this leg writes to, so that this plugin is not read; or no
    /// longer do.
    pub fn handle_clogged(&mut self, id: LegId, clogged: bool) {
        self.channels.handle_clogged(id, clogged);
    }

    /// Where payload for this leg is to be written; nowhere when nobody wants it.
    #[inline]
    pub fn outgoing(&mut self, leg: LegRef) -> Option<Outgoing> {
        self.channels.outgoing(leg)
    }

    /// The shard holds payload for this leg now, or no longer does.
    pub fn set_backlogged(&mut self, id: LegId, backlogged: bool) {
        self.channels.set_backlogged(id, backlogged);
    }

    /// Writes the head of a piece that goes out on `half`.
    #[inline]
    pub fn put_piece(&mut self, half: HalfKey, total: u64, len: u64, out: &mut Vec<u8>) {
        self.plugin.link.put_part(half, total, len, out);
        self.plugin.limiter.refund(if len > 0 { WORK_ANSWER_UNITS } else { 0 });
    }

    /// Accounts for parts that go out on `half` with heads of their own.
    #[inline]
    pub fn put_parts(&mut self, half: HalfKey, parts: &Parts) {
        self.plugin.link.spend_on_parts(half, parts.payload_bytes, parts.left);
        self.plugin.limiter.refund(WORK_ANSWER_UNITS * (1 + parts.payload_bytes / WORK_PAID_BY_BYTES));
    }

    /// Accounts for a run that goes out on `half`; returns what its ids are to be replaced by.
    #[inline]
    pub fn put_run(&mut self, half: HalfKey, run: &Run) -> Rewrite {
        self.plugin.link.spend_on_run(half, run.payload_bytes);
        self.plugin.limiter.refund(WORK_ANSWER_UNITS * run.messages.min(run.payload_bytes));
        Rewrite::to(self.plugin.link.id(half).unwrap_or_default())
    }

    /// The body under way, if there is one that is to be forwarded.
    #[must_use]
    pub fn body(&self) -> Option<Body> {
        self.channels.body(&self.plugin)
    }

    /// The next `len` bytes of a body go another way. They are counted, with the `known` ones right before them that have
    /// been counted and not been passed on, and `out` gets the head for all of them.
    pub fn take_body(&mut self, body: &Body, known: u64, len: usize, out: &mut Vec<u8>) -> Parts {
        self.channels.take_body(body, known, len, out, &mut self.plugin)
    }

    /// Bytes of payload, whatever it is for, that a chunk of the plugin has announced and not brought.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        self.plugin.link.payload_left()
    }

    /// Whether `input` goes on with a message of this leg, and says nothing before it that could concern anybody else.
    #[must_use]
    pub fn is_continued(&self, leg: LegId, input: &[u8]) -> bool {
        matches!(self.plugin.link.part_at(input), Some((_, Role::Inlet(id))) if id == leg)
    }

    /// Puts flows on a page, from a leg on, as long as there are `visits` left. Returns the slot at which to go on: of the
    /// leg that has found no room, or that was not looked at.
    pub fn put_flows(&self, from: u32, now: Instant, page: &mut PageWriter, visits: &mut usize) -> Option<u32> {
        self.channels.put_flows(from, &self.plugin, now, page, visits)
    }

    // What goes out: what is owed without payload, offers, replies, and, after the payload that the shard adds, the ends
    // that waited for it.

    /// Writes credit, pings, pongs, ends and acks, and offers, while `out` is shorter than `len_max`.
    pub fn write_control(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        self.channels.write_control(out, len_max, &mut PluginContext::new(&mut self.plugin, cx));
    }

    /// Whether empty messages are left that must go out before the backlogs of their halves, and did not fit.
    #[must_use]
    pub fn has_early(&self) -> bool {
        self.channels.has_early()
    }

    /// Writes answers to queries and questions, and the watch.
    pub fn write_replies(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        self.requests.write(out, len_max, &mut PluginContext::new(&mut self.plugin, cx));
    }

    /// Ends outlets whose payload is all out.
    pub fn write_ends(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        self.channels.write_ends(out, len_max, &mut PluginContext::new(&mut self.plugin, cx));
        self.plugin.settle_ends(cx.effects);
        self.requests.settle();
    }

    // Time, and the end.

    /// When [`Session::handle_timeout`] is to be called, at the latest.
    #[must_use]
    pub fn deadline(&self, settings: &Settings) -> Instant {
        let own = match &self.registration {
            Some(registration) => registration.deadline(settings),
            None => self.heartbeat.deadline(settings),
        };
        let offers = self.channels.deadline(settings.offer_timeout);
        let others = [self.plugin.end_deadline(), offers, self.requests.rests_until()];
        others.into_iter().flatten().fold(own, Instant::min)
    }

    /// Whether something is to come of the plugin by then, rather than to be done for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.heartbeat.is_pinged()
            || self.registration.is_some()
            || self.plugin.end_deadline().is_some()
            || self.channels.has_offers()
    }

    /// Time has passed.
    ///
    /// # Errors
    /// The plugin is to be ended.
    pub fn handle_timeout(&mut self, hearing: Hearing, cx: &mut Context<'_>) -> Result<(), Leaving> {
        let Self { plugin, channels, requests, registration, heartbeat } = self;
        let cx = &mut PluginContext::new(plugin, cx);
        if let Some(registration) = registration {
            registration.handle_timeout(hearing == Hearing::HeldUp, cx)?;
        } else {
            let due = match hearing {
                Hearing::Open => heartbeat.due(cx.now, cx.settings),
                Hearing::Slowed | Hearing::HeldUp => heartbeat.unheard(cx.now, cx.settings),
            };
            match due {
                Due::Nothing => {}
                Due::Ping => cx.plugin.link.ping(HalfKey::TOP_READER),
                Due::End => return Err(Leaving::Silent),
            }
        }
        while let Some(role) = cx.take_end_due() {
            channels.handle_half_ended(role, cx);
        }
        channels.handle_timeout(cx);
        requests.handle_timeout(cx.now);
        Ok(())
    }

    /// The plugin is gone or is to be ended: gives its name back and tells everyone concerned. With credit for it, the
    /// plugin is told why; the caller flushes what is owed and closes the socket.
    pub fn leave(&mut self, why: &Leaving, cx: &mut Context<'_>) {
        let cx = &mut PluginContext::new(&mut self.plugin, cx);
        registration::yield_name(cx);
        cx.plugin.name = None;
        self.channels.leave(cx);
        cx.plugin.abandon_ends(cx.effects);
        self.requests.leave(cx);
        self.registration = None;
        if why.is_our_will() {
            cx.plugin.link.farewell(why.to_string().as_bytes());
        } else {
            cx.plugin.link.owe_nothing();
        }
    }

    // For tests.

    /// Until when answers of the relay's own wait because they have cost too much.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn answers_rest_until(&self) -> Option<Instant> {
        self.requests.rests_until()
    }

    /// Whether it watches.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.requests.is_watching()
    }

    /// Counts what is there.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn audit(&self) -> Audit {
        let mut audit = Audit { endings: self.plugin.ends(), ..Audit::default() };
        self.channels.audit(&self.plugin, &mut audit);
        self.requests.audit(&mut audit);
        audit
    }
}

#[cfg(test)]
mod size {
    use super::*;

    /// What idle plugins are mostly made of, in bytes: grow this, and thousands of them grow. What is needed only at times
    /// is boxed by the part that needs it.
    const SESSION_BYTES_MAX: usize = 520;

    #[test]
    fn sessions_are_small() {
        assert!(size_of::<Session>() <= SESSION_BYTES_MAX, "{}", size_of::<Session>());
    }
}
