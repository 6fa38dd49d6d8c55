//! A model of one end of a connection: its halves and the credit on them. It holds the other end to every rule that
//! needs memory.
//!
//! What this end sends is only booked ([`Audit::sent`]), right or wrong; what the other end sends is judged
//! ([`Audit::got`]) and comes out as [`Event`]s, in the parts in which it came and put together. It stores whole
//! payloads and clones freely.

use std::collections::BTreeMap;

use crate::wire::{Bytes, Chunk, Kind, Rule};
use Kind::{Duplex, InRequest, InSink, InStream, OutRequest, OutSink, OutStream};

/// A half, or a request, by the type and id of the *incoming* chunks that address it.
pub type Half = (Kind, u64);

/// Where the other end sends top-level messages; what it may send there pays for its opening payloads, too.
pub const TOP_READ: Half = (InSink, 0);
/// Where the other end gives the credit for top-level messages and opening payloads of this end.
pub const TOP_WRITE: Half = (InStream, 0);

/// What a payload is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// It opens the half.
    Open,
    /// A message, or the response.
    Message,
    /// It says why the half ends.
    End,
}

/// A piece of a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// What the payload is.
    pub purpose: Purpose,
    /// How long it is, in bytes.
    pub total: u64,
    /// Whether no byte of it has come before.
    pub first: bool,
    /// Whether no byte of it is still to come.
    pub last: bool,
    /// The piece.
    pub bytes: Vec<u8>,
}

/// One thing that the other end did to a half.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// It began to open the half, or the duplex.
    Begun,
    /// A chunk brought some of a payload, or its end.
    Part(Part),
    /// It opened the half, or the duplex, with this whole payload.
    Open(Vec<u8>),
    /// A whole message, or the whole response.
    Message(Vec<u8>),
    /// It gave credit.
    Credit(u64),
    /// It asks for a pong.
    Ping,
    /// A chunk without flags.
    Pong,
    /// It ended the half, with this whole payload.
    End(Vec<u8>),
    /// It confirmed the end that this side sent.
    AckEnd,
    /// Its end has crossed the one of this side.
    Crossed,
}

impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begun => f.write_str("Begun"),
            Self::Part(part) => write!(f, "{part:?}"),
            Self::Open(bytes) => write!(f, "Open({})", Bytes(bytes)),
            Self::Message(bytes) => write!(f, "Message({})", Bytes(bytes)),
            Self::Credit(amount) => write!(f, "Credit({amount})"),
            Self::Ping => f.write_str("Ping"),
            Self::Pong => f.write_str("Pong"),
            Self::End(bytes) => write!(f, "End({})", Bytes(bytes)),
            Self::AckEnd => f.write_str("AckEnd"),
            Self::Crossed => f.write_str("Crossed"),
        }
    }
}

/// What happened, and on which half. What opens a duplex is told of under its kind.
pub type Event = (Half, What);

/// How far this side has ended a half, or responded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnEnd {
    /// It has not.
    No,
    /// It will hear nothing more, and the other end does not know yet.
    Noted,
    /// It has said so.
    Sent,
}

/// A payload of which parts have come.
#[derive(Clone, Debug)]
struct Assembly {
    purpose: Purpose,
    total: u64,
    bytes: Vec<u8>,
}

/// What is known of a half.
#[derive(Clone, Debug)]
pub struct State {
    /// The number of halves that came up before it, the two of the top level being 0 (this end writes) and 1.
    pub name: usize,
    /// Its address.
    pub half: Half,
    /// Bytes that the other end may still send.
    pub may_receive: u64,
    /// Bytes that this end may still send.
    pub may_send: u64,
    /// Whether this side has ended it, or responded.
    pub own_end: OwnEnd,
    /// Whether the other end has.
    pub other_ended: bool,
    /// Whether that was a response.
    responded: bool,
    /// All credit that this end ever got, and all payload bytes.
    credit_total: u128,
    bytes_total: u64,
    assembly: Option<Assembly>,
    /// The type of the chunk that opens it, as long as its opening payload is not whole.
    opened_by: Option<Kind>,
    /// Bytes of the payload under way that this end has still to send.
    pub outgoing_left: u64,
    /// Whether that payload is the opening.
    still_opens: bool,
}

/// The model. See the module.
#[derive(Clone, Debug)]
pub struct Audit {
    halves: BTreeMap<Half, State>,
    names: usize,
    halves_max: usize,
    openings_partial_max: usize,
    /// Whether the sum of credit is judged on a half that this end has ended, too. An end may take no notice of credit for
    /// what it no longer sends; whoever gives it has to keep to the sum all the same.
    judges_late_credit: bool,
}

/// A judge of the other end.
impl Default for Audit {
    fn default() -> Self {
        Self { judges_late_credit: true, ..Self::new(usize::MAX, usize::MAX) }
    }
}

/// How the *other* end addresses the half that a chunk of `kind` and `id` from this end addresses.
pub fn seen_by_other(kind: Kind, id: u64) -> Half {
    (kind.inverted(id), id)
}

fn is_top(half: Half) -> bool {
    matches!(half, TOP_READ | TOP_WRITE)
}

fn payload_len(payload: Option<&Vec<u8>>) -> u64 {
    payload.map_or(0, |payload| payload.len() as u64)
}

impl Audit {
    /// An end on which the other one may have so many halves, and so many of them opened in part.
    pub fn new(halves_max: usize, openings_partial_max: usize) -> Self {
        let halves = BTreeMap::new();
        let mut audit = Self { halves, names: 0, halves_max, openings_partial_max, judges_late_credit: false };
        audit.state(TOP_WRITE);
        audit.state(TOP_READ);
        audit
    }

    /// All halves there are.
    pub fn halves(&self) -> impl Iterator<Item = &State> {
        self.halves.values()
    }

    /// What is known of a half, which comes up if it is not there.
    pub fn state(&mut self, half: Half) -> &mut State {
        self.halves.entry(half).or_insert_with(|| {
            self.names += 1;
            State {
                name: self.names - 1,
                half,
                may_receive: 0,
                may_send: 0,
                own_end: OwnEnd::No,
                other_ended: false,
                responded: false,
                credit_total: 0,
                bytes_total: 0,
                assembly: None,
                opened_by: None,
                outgoing_left: 0,
                still_opens: false,
            }
        })
    }

    /// Forgets a half.
    pub fn forget(&mut self, half: Half) {
        if !is_top(half) {
            self.halves.remove(&half);
        }
    }

    /// Halves that the other end has opened.
    pub fn halves_of_other(&self) -> usize {
        self.halves.keys().filter(|(kind, _)| matches!(kind, OutRequest | OutSink | OutStream)).count()
    }

    /// Bytes that the other end may still send on `half`.
    pub fn allowance(&self, half: Half) -> u64 {
        self.halves.get(&half).map_or(0, |state| state.may_receive)
    }

    /// Bytes that this end may still send on `half`.
    pub fn credit(&self, half: Half) -> u64 {
        self.halves.get(&half).map_or(0, |state| state.may_send)
    }

    /// All the credit that this end has been given on `half`.
    pub fn credit_total(&self, half: Half) -> u128 {
        self.halves.get(&half).map_or(0, |state| state.credit_total)
    }

    /// All the payload bytes that have come on `half`, opening payloads left out.
    pub fn bytes_total(&self, half: Half) -> u64 {
        self.halves.get(&half).map_or(0, |state| state.bytes_total)
    }

    /// Whether a chunk from this end would open something, and so spend top-level credit.
    pub fn opens(&self, chunk: &Chunk) -> bool {
        let half = self.halves.get(&seen_by_other(chunk.kind, chunk.id));
        matches!(chunk.kind, OutRequest | OutSink | OutStream | Duplex) && half.is_none_or(|state| state.still_opens)
    }

    /// Books what this end sends.
    pub fn sent(&mut self, chunk: &Chunk) {
        let half = seen_by_other(chunk.kind, chunk.id);
        if chunk.ack_end {
            return self.forget(half);
        }
        let opens = self.opens(chunk);
        let length = payload_len(chunk.payload.as_ref());
        let spent = if opens || half == TOP_WRITE { length } else { 0 };
        self.spend(TOP_WRITE, spent);
        if chunk.kind == Duplex {
            self.state((InStream, chunk.id));
        }
        let state = self.state(half);
        if chunk.payload.is_some() {
            let total = chunk.partial.unwrap_or(state.outgoing_left.max(length));
            state.outgoing_left = total.saturating_sub(length);
            state.still_opens = opens && state.outgoing_left > 0;
        }
        state.may_receive = state.may_receive.saturating_add(chunk.credit.unwrap_or(0));
        let responds = chunk.kind == InRequest && chunk.payload.is_some() && state.outgoing_left == 0;
        if chunk.end.is_some() || responds {
            state.own_end = OwnEnd::Sent;
        }
        let is_over = state.own_end == OwnEnd::Sent && state.other_ended;
        self.spend(half, length - spent + payload_len(chunk.end.as_ref()));
        if is_over {
            self.forget(half);
        }
    }

    fn spend(&mut self, half: Half, bytes: u64) {
        let state = self.state(half);
        state.may_send = state.may_send.saturating_sub(bytes);
    }

    /// Judges what the other end sends: the events it makes, or the rule it breaks.
    pub fn got(&mut self, chunk: &Chunk) -> Result<Vec<Event>, Rule> {
        let half = if chunk.kind == Duplex { (OutStream, chunk.id) } else { (chunk.kind, chunk.id) };
        let mut events = Vec::new();
        self.open(half, chunk, &mut events)?;
        let state = self.state(half);
        if state.other_ended {
            return Err(match (&chunk.payload, &chunk.end) {
                (Some(_), _) if state.responded => "second-response",
                (_, Some(_)) => "second-end",
                _ => "chunk-after-own-end",
            });
        }
        if chunk.ack_end {
            return self.got_ack(half, chunk);
        }
        if let Some(payload) = &chunk.payload {
            self.got_payload(half, payload, chunk, &mut events)?;
        }
        if let Some((credit, state)) = chunk.credit.zip(self.halves.get_mut(&half))
            && (state.own_end == OwnEnd::No || self.judges_late_credit)
        {
            state.may_send = state.may_send.checked_add(credit).ok_or("credit-sum-overflow")?;
            state.credit_total += u128::from(credit);
            if state.own_end == OwnEnd::No {
                events.push((half, What::Credit(credit)));
            }
        }
        if chunk.ping {
            events.push((half, What::Ping));
        }
        if let Some(end) = &chunk.end {
            let prefix = chunk.partial.filter(|_| chunk.payload.is_none());
            self.got_end(half, prefix, end, &mut events)?;
        }
        if !chunk.has_other_flags() {
            events.push((half, What::Pong));
        }
        Ok(events)
    }

    fn got_ack(&mut self, half: Half, chunk: &Chunk) -> Result<Vec<Event>, Rule> {
        if chunk.has_other_flags() {
            return Err("flags-beside-ack-end");
        }
        if self.state(half).own_end != OwnEnd::Sent || is_top(half) {
            return Err("ack-end-without-end");
        }
        self.forget(half);
        Ok(vec![(half, What::AckEnd)])
    }

    /// Opens what the chunk opens, if it does.
    fn open(&mut self, half: Half, chunk: &Chunk, events: &mut Vec<Event>) -> Result<(), Rule> {
        let known = self.halves.contains_key(&half);
        let count = match chunk.kind {
            Duplex if known || self.halves.contains_key(&(OutSink, chunk.id)) => return Err("duplex-id-in-use"),
            _ if known => return Ok(()),
            InRequest | InSink | InStream => return Err("not-open"),
            Duplex => 2,
            _ => 1,
        };
        if chunk.ack_end {
            return Err(if chunk.has_other_flags() { "flags-beside-ack-end" } else { "ack-end-without-end" });
        }
        if chunk.payload.is_none() {
            return Err("opening-without-payload");
        }
        if self.halves_of_other() + count > self.halves_max {
            return Err("too-many-halves");
        }
        self.state(half).opened_by = Some(chunk.kind);
        if chunk.kind == Duplex {
            self.state((OutSink, chunk.id));
        }
        events.push(((chunk.kind, chunk.id), What::Begun));
        Ok(())
    }

    fn got_payload(&mut self, half: Half, bytes: &[u8], chunk: &Chunk, events: &mut Vec<Event>) -> Result<(), Rule> {
        let state = self.state(half);
        let opened_by = state.opened_by;
        let goes_on = state.assembly.as_ref().map(|assembly| assembly.purpose);
        let purpose = match goes_on {
            _ if half.0 == InRequest && chunk.end.is_some() => return Err("payload-and-end-on-in-request"),
            Some(Purpose::End) => return Err("payload-amid-partial-end"),
            Some(purpose) => purpose,
            None if opened_by.is_some() => Purpose::Open,
            None if matches!(half.0, OutRequest | OutStream | InStream) => return Err("payload-on-existing"),
            None => Purpose::Message,
        };
        self.charge(if purpose == Purpose::Open { TOP_READ } else { half }, bytes)?;
        let state = self.state(half);
        if purpose != Purpose::Open {
            state.bytes_total += bytes.len() as u64;
        }
        let whole = state.assemble(purpose, chunk.partial, bytes, events)?;
        if let Some(whole) = whole {
            state.opened_by = None;
            events.push(match opened_by {
                Some(kind) => ((kind, half.1), What::Open(whole)),
                None => (half, What::Message(whole)),
            });
            if half.0 == InRequest {
                state.responded = true;
                self.ended(half, events);
            }
        } else if purpose == Purpose::Open && goes_on.is_none() {
            let partial = |state: &&State| state.opened_by.is_some() && state.assembly.is_some();
            if self.halves().filter(partial).count() > self.openings_partial_max {
                return Err("too-many-openings");
            }
        }
        Ok(())
    }

    fn got_end(&mut self, half: Half, prefix: Option<u64>, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Rule> {
        self.charge(half, bytes)?;
        let state = self.state(half);
        state.opened_by = None;
        let amid_payload = state.assembly.as_ref().is_some_and(|assembly| assembly.purpose != Purpose::End);
        if amid_payload && prefix.is_none() {
            state.assembly = None;
        }
        if let Some(whole) = state.assemble(Purpose::End, prefix, bytes, events)? {
            events.push((half, What::End(whole)));
            self.ended(half, events);
        }
        Ok(())
    }

    /// The other end has ended its side, or responded; when both have, the half is forgotten.
    fn ended(&mut self, half: Half, events: &mut Vec<Event>) {
        let state = self.state(half);
        state.other_ended = true;
        let own_end = state.own_end;
        if own_end != OwnEnd::No && !is_top(half) {
            events.push((half, What::Crossed));
        }
        if own_end == OwnEnd::Sent {
            self.forget(half);
        }
    }

    /// Takes payload bytes off what the other end may send.
    fn charge(&mut self, half: Half, bytes: &[u8]) -> Result<(), Rule> {
        let state = self.state(half);
        state.may_receive = state.may_receive.checked_sub(bytes.len() as u64).ok_or("credit-exceeded")?;
        Ok(())
    }
}

impl State {
    /// Whether neither side has ended it.
    pub fn is_open(&self) -> bool {
        self.own_end == OwnEnd::No && !self.other_ended
    }

    /// Whether it is of the top level, which is never acked nor forgotten.
    pub fn is_top(&self) -> bool {
        is_top(self.half)
    }

    /// Adds a part; gives the whole when it was the last.
    fn assemble(
        &mut self,
        purpose: Purpose,
        prefix: Option<u64>,
        bytes: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<Option<Vec<u8>>, Rule> {
        let mut assembly = match (self.assembly.take(), prefix) {
            (Some(_), Some(_)) => return Err("second-partial"),
            (Some(assembly), None) => assembly,
            (None, total) => Assembly { purpose, total: total.unwrap_or(bytes.len() as u64), bytes: Vec::new() },
        };
        let first = assembly.bytes.is_empty();
        assembly.bytes.extend(bytes);
        let (total, length) = (assembly.total, assembly.bytes.len() as u64);
        if length > total {
            return Err("partial-total-exceeded");
        }
        let last = length == total;
        if last || !bytes.is_empty() {
            let part = Part { purpose, total, first, last, bytes: bytes.to_vec() };
            events.push((self.half, What::Part(part)));
        }
        if last {
            return Ok(Some(assembly.bytes));
        }
        self.assembly = Some(assembly);
        Ok(None)
    }
}
