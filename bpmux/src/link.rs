//! A link, the protocol state machine of one endpoint of a connection, sans-IO: bytes of the peer go in, events come out,
//! one at a time; what we say goes through its [`Ledger`].
//!
//! The link acknowledges ends, forgets halves and drops what arrives on halves that we have ended, all by itself, and tells
//! how the peer took it ([`Over`]). It does not answer pings: whoever relays them must pass them on instead.

use std::ops::{Deref, DerefMut};

use crate::chunk::{Flags, Kind};
use crate::decoder::{Decoder, Field};
use crate::half::{Ending, HalfKey, Incoming};
use crate::ledger::{Ledger, Limits};
use crate::violation::Violation;

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The peer broke a rule of the protocol.
    #[error("protocol violation: {0}")]
    Violation(#[from] Violation),
    /// The peer has opened more than [`Limits::halves_max`].
    #[error("more than {0} halves open at once")]
    TooManyHalves(u32),
    /// The peer has begun more than [`Limits::openings_partial_max`].
    #[error("more than {0} partial opening payloads under way at once")]
    TooManyOpenings(u32),
}

/// What the peer opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A request, to be answered on this half.
    Request(HalfKey),
    /// A sink: we read this half.
    Sink(HalfKey),
    /// A stream: we write this half.
    Stream(HalfKey),
    /// A duplex.
    Duplex(crate::ledger::DuplexKeys),
}

/// Which payload a piece belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The opening payload of the entity.
    Opening,
    /// A message (on a request of ours: the response, whose last piece ends the half).
    Message,
    /// An end payload. Its last piece ends the half. It gives up a message or an opening that is under way.
    End,
}

/// A piece of a payload: the `len` bytes before the position that the step reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which payload.
    pub what: What,
    /// Whether it is the first piece of that payload.
    pub first: bool,
    /// Whether it is the last.
    pub last: bool,
    /// Bytes of the whole payload, all parts together.
    pub total: u64,
    /// Bytes of this piece, 0 only when the whole payload is empty.
    pub len: usize,
}

/// Payload of a message that a chunk has announced and not brought in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// Bytes that the chunk has announced.
    pub len: u64,
    /// Those of them that are still to come, at least one.
    pub left: u64,
    /// Bytes of the whole message, all parts together.
    pub total: u64,
    /// Bytes of the message that have come.
    pub before: u64,
}

/// How a half that we have ended has come to its end at the peer, too. Protocol, *Ending*: "Whoever has sent `end` forgets
/// the half at `ack-end`, or at the peer's own `end` (they crossed: no acks then)."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The peer has acknowledged our end.
    Acked,
    /// The peer has ended the half itself, or has responded, and did not know of our end.
    Crossed,
}

/// Something the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<U> {
    /// It opened an entity. The pieces of the opening payload follow; for a duplex they come for the half we write.
    Opened(Opened),
    /// It sent payload.
    Piece(HalfKey, U, Piece),
    /// It gave credit.
    Credit(HalfKey, U, u64),
    /// It wants a pong: see [`Ledger::pong`].
    Ping(HalfKey, U),
    /// It answered a ping.
    Pong(HalfKey, U),
    /// It sent a message, of which this is the last piece, on a half that we have ended and of whose end it need not know
    /// yet. The message is dropped.
    Missed(HalfKey, U),
    /// Nothing more comes on a half that we have ended.
    Over(HalfKey, U, Over),
}

/// One step of reading: how many bytes are used up, and what they meant. Without an event all are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<U> {
    /// Bytes of the input that are done with, those of a piece included.
    pub used: usize,
    /// What happened.
    pub event: Option<Event<U>>,
}

/// The chunk that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Current {
    slot: u32,
    /// The generation of the slot when the chunk began. When it is another, the half was forgotten before the chunk
    /// was over, and what follows is about nothing.
    generation: u32,
    /// The total of the Partial before it, until a payload has taken it.
    partial: Option<u64>,
    /// Bytes of the payload that the chunk announced and that were paid for.
    payload_len: u64,
    /// Bytes of it that were seen.
    payload_seen: u64,
}

impl Current {
    #[inline]
    pub(crate) fn expects_partial(&self) -> bool {
        self.partial.is_some()
    }

    fn payload_left(&self) -> u64 {
        self.payload_len - self.payload_seen
    }
}

/// One endpoint of a connection. `U` is what the user keeps beside each half.
#[derive(Clone, Debug)]
pub struct Link<U> {
    pub(crate) decoder: Decoder,
    pub(crate) ledger: Ledger<U>,
    pub(crate) current: Current,
    /// Fields read so far.
    fields: u64,
    /// Bytes that came on halves that we have ended, and that nobody was told of.
    unheard_bytes: u64,
}

impl<U> Deref for Link<U> {
    type Target = Ledger<U>;

    fn deref(&self) -> &Ledger<U> {
        &self.ledger
    }
}

impl<U> DerefMut for Link<U> {
    fn deref_mut(&mut self) -> &mut Ledger<U> {
        &mut self.ledger
    }
}

impl<U: Copy + Default> Link<U> {
    /// A link on which nothing has been said.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::default(),
            ledger: Ledger::new(limits),
            current: Current::default(),
            fields: 0,
            unheard_bytes: 0,
        }
    }

    /// How many fields [`Link::next`] has read: heads, payloads, credit and so on, those that nobody is told of, too. A
    /// measure of what it costs to listen to this peer.
    #[must_use]
    pub fn fields_read(&self) -> u64 {
        self.fields
    }

    /// How many bytes of messages and of end payloads have come on halves that we had ended. Nobody is told of them, but we
    /// have given credit for each of them before.
    #[must_use]
    pub fn unheard_bytes(&self) -> u64 {
        self.unheard_bytes
    }

    /// Reads on. Call it again with the rest of the input until there is no event.
    ///
    /// # Errors
    /// The connection must be ended; the link is of no use after it.
    #[inline]
    pub fn next(&mut self, input: &[u8]) -> Result<Step<U>, LinkError> {
        let mut used = 0;
        loop {
            let (len, field) = self.decoder.next(&input[used..])?;
            used += len;
            let Some(field) = field else { return Ok(Step { used, event: None }) };
            self.fields = self.fields.wrapping_add(1);
            if let Some(event) = self.field(field)? {
                return Ok(Step { used, event: Some(event) });
            }
        }
    }

    /// Bytes that may still come on this half: the credit that the peer holds, and what the chunk under way has
    /// announced and not brought. An opening payload does not count: it is the top level's.
    #[must_use]
    pub fn may_come(&self, key: HalfKey) -> u64 {
        let Current { slot, generation, .. } = self.current;
        let Some(half) = self.ledger.half(key) else { return 0 };
        let of_half = half.opened || matches!(half.incoming(), Incoming::End { .. });
        let is_under_way = of_half && key == HalfKey { slot, generation };
        half.may_receive.left().saturating_add(if is_under_way { self.current.payload_left() } else { 0 })
    }

    /// The payload under way, if it is of a message, the chunk that brings it is not over, and somebody listens; with its
    /// half and what its user keeps there.
    #[must_use]
    pub fn body(&self) -> Option<(HalfKey, U, Body)> {
        let (len, left) = (self.current.payload_len, self.payload_left());
        if left == 0 {
            return None;
        }
        let (key, user) = self.hearing()?;
        let half = self.ledger.half(key).filter(|half| half.opened)?;
        let (total, unannounced) = match half.incoming() {
            Incoming::Whole => (len, 0),
            Incoming::Payload { left, total } => (total, left),
            Incoming::End { .. } => return None,
        };
        Some((key, user, Body { len, left, total, before: total - unannounced - left }))
    }

    /// Bytes of the payload or the end payload that the chunk under way has announced and not brought.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        self.current.payload_left()
    }

    /// Counts `len` bytes of the payload under way (see [`Link::body`]) that did not come through [`Link::next`],
    /// because they went another way. What it yields is the piece that they are.
    ///
    /// # Panics
    /// When fewer are under way, which is the caller's mistake.
    pub fn skip_payload(&mut self, len: usize) -> Option<Event<U>> {
        let last = self.decoder.skip_payload(len as u64);
        self.payload(len, last)
    }

    #[inline]
    fn field(&mut self, field: Field) -> Result<Option<Event<U>>, LinkError> {
        match field {
            Field::Head { kind, flags, id, payload_len } => self.head(kind, flags, id, payload_len),
            Field::Payload { len, last } => Ok(self.payload(len, last)),
            Field::Partial { total } => {
                if self.current.partial.replace(total).is_some() {
                    return Err(Violation::PartialBehindPartial.into());
                }
                Ok(None)
            }
            Field::Credit(amount) => self.credit(amount),
            Field::Ping => Ok(self.hearing().map(|(key, user)| Event::Ping(key, user))),
            Field::End { len } => {
                self.end_head(len)?;
                Ok(None)
            }
            Field::EndPayload { len, last } => Ok(self.end_payload(len, last)),
        }
    }

    /// The half of the current chunk, unless we have ended it and take no notice any more.
    #[inline]
    fn hearing(&self) -> Option<(HalfKey, U)> {
        let half = &self.ledger.halves[self.current.slot as usize];
        let Current { slot, generation, .. } = self.current;
        if half.is_deaf() || half.generation != generation {
            return None;
        }
        Some((HalfKey { slot, generation }, half.user))
    }

    #[inline]
    fn head(&mut self, kind: Kind, flags: Flags, id: u64, payload_len: u64) -> Result<Option<Event<U>>, LinkError> {
        if self.current.partial.is_some() && !flags.has(Flags(Flags::PAYLOAD.0 | Flags::END.0)) {
            return Err(Violation::PartialWithoutPayload.into());
        }
        self.current.payload_len = 0;
        self.current.payload_seen = 0;
        let found = match (kind, id) {
            (Kind::InStream, 0) => Some(HalfKey::TOP_WRITER.slot),
            (Kind::InSink, 0) => Some(HalfKey::TOP_READER.slot),
            (Kind::Duplex, _) => {
                let taken = [Kind::InSink, Kind::InStream].iter().any(|&kind| self.ledger.slot_of(kind, id).is_some());
                if taken {
                    return Err(Violation::DuplexIdInUse.into());
                }
                None
            }
            _ => self.ledger.slot_of(kind.inverted(), id),
        };
        let Some(slot) = found else { return self.opening(kind, flags, id, payload_len).map(Some) };
        self.current.slot = slot;
        let half = &self.ledger.halves[slot as usize];
        self.current.generation = half.generation;
        // Most of all are payload and nothing else, on a half that nobody has ended.
        if half.ending != Ending::Open || flags != Flags::PAYLOAD {
            self.check_ending(kind, flags)?;
            if flags.has(Flags::ACK_END) {
                return Ok(Some(self.acked()));
            }
            if flags == Flags::NONE {
                return Ok(self.hearing().map(|(key, user)| Event::Pong(key, user)));
            }
        }
        if flags.has(Flags::PAYLOAD) {
            self.payload_head(kind, flags, payload_len)?;
        }
        Ok(None)
    }

    /// The rules about acks, and about chunks on a half that their sender has ended.
    #[inline]
    fn check_ending(&self, kind: Kind, flags: Flags) -> Result<(), Violation> {
        let half = &self.ledger.halves[self.current.slot as usize];
        match half.ending {
            Ending::Open if !flags.has(Flags::ACK_END) => return Ok(()),
            Ending::AckOwed { responded: true, .. } if flags.has(Flags::PAYLOAD) && kind == Kind::InRequest => {
                return Err(Violation::SecondResponse);
            }
            Ending::AckOwed { .. } | Ending::Over if flags.has(Flags::END) => return Err(Violation::SecondEnd),
            Ending::AckOwed { .. } | Ending::Over => return Err(Violation::ChunkAfterEnd),
            _ => {}
        }
        if !flags.has(Flags::ACK_END) {
            Ok(())
        } else if flags != Flags::ACK_END {
            Err(Violation::FlagBesideAck)
        } else if half.ending != Ending::EndSent || self.current.slot <= HalfKey::TOP_READER.slot {
            Err(Violation::AckWithoutEnd)
        } else {
            Ok(())
        }
    }

    /// The first chunk of an entity.
    #[cold]
    fn opening(&mut self, kind: Kind, flags: Flags, id: u64, len: u64) -> Result<Event<U>, LinkError> {
        if !kind.is_out() {
            return Err(Violation::NotOpen.into());
        }
        if flags.has(Flags::ACK_END) {
            let violation = if flags == Flags::ACK_END { Violation::AckWithoutEnd } else { Violation::FlagBesideAck };
            return Err(violation.into());
        }
        if !flags.has(Flags::PAYLOAD) {
            return Err(Violation::OpeningWithoutPayload.into());
        }
        let ledger = &mut self.ledger;
        let halves = if kind == Kind::Duplex { 2 } else { 1 };
        if ledger.peer_halves + halves > ledger.limits.halves_max {
            return Err(LinkError::TooManyHalves(ledger.limits.halves_max));
        }
        // The duplex's second half first: credit, ping and end mean the other one.
        let reader = (kind == Kind::Duplex).then(|| ledger.insert(Kind::InStream, id));
        let slot = ledger.insert(kind.inverted(), id);
        ledger.peer_halves += halves;
        let half = &mut ledger.halves[slot as usize];
        half.opened = false;
        self.current.slot = slot;
        self.current.generation = half.generation;
        ledger.halves[HalfKey::TOP_READER.slot as usize].may_receive.spend(len)?;
        self.current.payload_len = len;
        if let Some(total) = self.current.partial.take() {
            let left = total.checked_sub(len).ok_or(Violation::PartialExceeded)?;
            if left > 0 {
                self.begin_partial_opening(left, total)?;
            }
        }
        let key = self.ledger.key(slot);
        Ok(Event::Opened(match (kind, reader) {
            (Kind::Duplex, Some(reader)) => {
                Opened::Duplex(crate::ledger::DuplexKeys { writer: key, reader: self.ledger.key(reader) })
            }
            (Kind::OutRequest, _) => Opened::Request(key),
            (Kind::OutSink, _) => Opened::Sink(key),
            _ => Opened::Stream(key),
        }))
    }

    fn begin_partial_opening(&mut self, left: u64, total: u64) -> Result<(), LinkError> {
        let ledger = &mut self.ledger;
        if ledger.openings_partial >= ledger.limits.openings_partial_max {
            return Err(LinkError::TooManyOpenings(ledger.limits.openings_partial_max));
        }
        ledger.openings_partial += 1;
        ledger.halves[self.current.slot as usize].set_incoming(Incoming::Payload { left, total });
        Ok(())
    }

    /// Payload on a half that is there: the rules, and the credit for it.
    #[inline]
    fn payload_head(&mut self, kind: Kind, flags: Flags, len: u64) -> Result<(), Violation> {
        let partial = self.current.partial.take();
        let half = &mut self.ledger.halves[self.current.slot as usize];
        if kind == Kind::InRequest && flags.has(Flags::END) {
            return Err(Violation::ResponseWithEnd);
        }
        match half.incoming() {
            Incoming::Whole if !kind.is_writer() => return Err(Violation::PayloadFromReader),
            Incoming::Whole => {
                if let Some(total) = partial {
                    let left = total.checked_sub(len).ok_or(Violation::PartialExceeded)?;
                    half.set_incoming(Incoming::Payload { left, total });
                }
            }
            Incoming::End { .. } => return Err(Violation::PayloadAmidEnd),
            Incoming::Payload { .. } if partial.is_some() => return Err(Violation::SecondPartial),
            Incoming::Payload { left, total } => {
                let left = left.checked_sub(len).ok_or(Violation::PartialExceeded)?;
                half.set_incoming(Incoming::Payload { left, total });
            }
        }
        let payer = if half.opened { self.current.slot } else { HalfKey::TOP_READER.slot };
        self.ledger.halves[payer as usize].may_receive.spend(len)?;
        self.current.payload_len = len;
        Ok(())
    }

    /// Payload bytes at hand.
    #[inline]
    fn payload(&mut self, len: usize, chunk_done: bool) -> Option<Event<U>> {
        let current = &mut self.current;
        let seen = current.payload_seen;
        current.payload_seen += len as u64;
        let half = &mut self.ledger.halves[current.slot as usize];
        let (total, left) = match half.incoming() {
            Incoming::Whole => (current.payload_len, 0),
            Incoming::Payload { left, total } => (total, left),
            Incoming::End { .. } => unreachable!("payload amid an end payload was refused at its head"),
        };
        let what = if half.opened { What::Message } else { What::Opening };
        let before = total - left - current.payload_len + seen;
        let last = chunk_done && left == 0;
        if len == 0 && !last {
            return None;
        }
        let piece = Piece { what, first: before == 0, last, total, len };
        let Some((key, user)) = self.hearing() else { return self.unheard_payload(what, len, last) };
        if last && self.payload_done() {
            // Nothing comes of it: we have not ended the half.
            self.ended(true);
        }
        Some(Event::Piece(key, user, piece))
    }

    /// The last byte of an opening, a message or a response has come. Returns whether it was a response, with which the
    /// half ends.
    #[inline]
    fn payload_done(&mut self) -> bool {
        let half = &mut self.ledger.halves[self.current.slot as usize];
        self.ledger.openings_partial -= u32::from(half.is_opening_partial());
        half.set_incoming(Incoming::Whole);
        half.opened = true;
        half.kind == Kind::OutRequest
    }

    /// Payload on a half that we have ended. Apart, since it is rare, and messages are to cost nothing more for it.
    #[cold]
    #[inline(never)]
    fn unheard_payload(&mut self, what: What, len: usize, last: bool) -> Option<Event<U>> {
        self.unheard_bytes += if what == What::Message { len as u64 } else { 0 };
        if !last {
            return None;
        }
        let over = if self.payload_done() { self.ended(true) } else { None };
        over.or_else(|| (what == What::Message).then(|| self.missed()))
    }

    fn credit(&mut self, amount: u64) -> Result<Option<Event<U>>, LinkError> {
        // Credit for what we no longer send is of no consequence.
        let Some((key, user)) = self.hearing() else { return Ok(None) };
        self.ledger.halves[self.current.slot as usize].may_send.give(amount)?;
        Ok(Some(Event::Credit(key, user, amount)))
    }

    /// An end, or a part of one.
    fn end_head(&mut self, len: u64) -> Result<(), Violation> {
        let partial = self.current.partial.take();
        let ledger = &mut self.ledger;
        let half = &mut ledger.halves[self.current.slot as usize];
        let (left, total) = match (half.incoming(), partial) {
            (Incoming::End { left, total }, None) => (left.checked_sub(len).ok_or(Violation::PartialExceeded)?, total),
            (Incoming::Whole, Some(total)) => (total.checked_sub(len).ok_or(Violation::PartialExceeded)?, total),
            (_, Some(_)) => return Err(Violation::SecondPartial),
            (_, None) => {
                // "Gives that message up."
                ledger.openings_partial -= u32::from(half.is_opening_partial());
                (0, len)
            }
        };
        half.set_incoming(Incoming::End { left, total });
        half.may_receive.spend(len)?;
        self.current.payload_len = len;
        self.current.payload_seen = 0;
        Ok(())
    }

    #[inline(never)]
    fn end_payload(&mut self, len: usize, chunk_done: bool) -> Option<Event<U>> {
        let current = &mut self.current;
        let Incoming::End { left, total } = self.ledger.halves[current.slot as usize].incoming() else {
            unreachable!("an end payload puts its half into that mode")
        };
        let before = total - left - current.payload_len + current.payload_seen;
        current.payload_seen += len as u64;
        let last = chunk_done && left == 0;
        if len == 0 && !last {
            return None;
        }
        let piece = Piece { what: What::End, first: before == 0, last, total, len };
        let event = self.hearing().map(|(key, user)| Event::Piece(key, user, piece));
        self.unheard_bytes += if event.is_none() { len as u64 } else { 0 };
        let over = if last { self.ended(false) } else { None };
        event.or(over)
    }

    /// The peer has acknowledged our end.
    #[cold]
    #[inline(never)]
    fn acked(&mut self) -> Event<U> {
        let over = self.over(Over::Acked);
        self.ledger.forget(self.current.slot);
        over
    }

    /// The peer's end, or its complete response, takes effect. Yields something when we had ended the half, too.
    #[cold]
    #[inline(never)]
    fn ended(&mut self, responded: bool) -> Option<Event<U>> {
        let slot = self.current.slot;
        let half = &mut self.ledger.halves[slot as usize];
        half.set_incoming(Incoming::Whole);
        let deaf = half.is_deaf();
        if slot <= HalfKey::TOP_READER.slot {
            half.ending = Ending::Over;
        } else if half.ending == Ending::EndSent {
            // "They crossed: no acks then."
            let over = self.over(Over::Crossed);
            self.ledger.forget(slot);
            return Some(over);
        } else {
            half.ending = Ending::AckOwed { responded, deaf };
            self.ledger.list(slot);
        }
        let half = &mut self.ledger.halves[slot as usize];
        half.owed_credit = 0;
        half.set_owed_pings(0);
        (deaf && slot > HalfKey::TOP_READER.slot).then(|| self.over(Over::Crossed))
    }

    /// A message has come on the half of the current chunk, which we have ended.
    fn missed(&self) -> Event<U> {
        let (key, user) = self.deaf();
        Event::Missed(key, user)
    }

    /// The half of the current chunk, which we have ended, is over at the peer.
    fn over(&self, over: Over) -> Event<U> {
        let (key, user) = self.deaf();
        Event::Over(key, user, over)
    }

    /// The half of the current chunk, which is there and takes no notice of it.
    fn deaf(&self) -> (HalfKey, U) {
        let slot = self.current.slot;
        (self.ledger.key(slot), self.ledger.halves[slot as usize].user)
    }
}
