//! A ledger of one connection, seen from one end: it holds the other end to every rule that needs memory.
//!
//! What this end sends is only booked ([`Audit::sent`]), right or wrong; what the other end sends is judged
//! ([`Audit::got`]) and comes out as [`Event`]s, with partial payloads put together. It stores whole payloads and clones
//! freely: it has to be plainly right, not quick.

use std::collections::HashMap;

use crate::wire::{Bytes, Chunk, Kind, Rule};
use Kind::{Duplex, InRequest, InSink, InStream, OutRequest, OutSink, OutStream};

/// A half, or a request, by the type and id of the *incoming* chunks that address it.
pub type Half = (Kind, u64);

/// Where the other end sends top-level messages; its allowance pays for opening payloads, too.
const TOP_READ: Half = (InSink, 0);
/// Where the other end gives the credit for top-level messages and opening payloads of this end.
const TOP_WRITE: Half = (InStream, 0);

/// One thing that the other end did to a half. Credit is not among them: it is summed up ([`Audit::credit`]).
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// It opened the half, or the duplex, with this whole payload.
    Open(Vec<u8>),
    /// A whole message, or the whole response.
    Message(Vec<u8>),
    /// It asks for a pong.
    Ping,
    /// A chunk without flags.
    Pong,
    /// It ended the half, with this whole payload.
    End(Vec<u8>),
    /// It confirmed the end that this side sent.
    AckEnd,
}

impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(bytes) => write!(f, "Open({})", Bytes(bytes)),
            Self::Message(bytes) => write!(f, "Message({})", Bytes(bytes)),
            Self::Ping => f.write_str("Ping"),
            Self::Pong => f.write_str("Pong"),
            Self::End(bytes) => write!(f, "End({})", Bytes(bytes)),
            Self::AckEnd => f.write_str("AckEnd"),
        }
    }
}

/// What happened, and on which half.
pub type Event = (Half, What);

/// A payload of which parts have come.
struct Assembly {
    purpose: Purpose,
    total: u64,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Open,
    Message,
    End,
}

/// What is known of a half.
#[derive(Default)]
struct State {
    /// Bytes that the other end may still send.
    allowance: u64,
    /// Bytes that this end may still send.
    credit: u64,
    /// All credit that this end ever got, and all payload bytes.
    credit_total: u128,
    bytes_total: u64,
    assembly: Option<Assembly>,
    /// Whether the other end opened it as part of a duplex.
    of_duplex: bool,
    /// Bytes of a partial opening payload that this end has still to send.
    opening_left: u64,
    /// Whether the other end has ended its side, or responded; and whether this end has.
    got_end: bool,
    sent_end: bool,
}

/// The ledger. See the module.
pub struct Audit {
    halves: HashMap<Half, State>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { halves: HashMap::from([(TOP_READ, State::default()), (TOP_WRITE, State::default())]) }
    }
}

/// How the *other* end addresses the half that a chunk of `kind` and `id` from this end addresses.
pub fn seen_by_other(kind: Kind, id: u64) -> Half {
    (kind.inverted(id), id)
}

impl Audit {
    /// Bytes that the other end may still send on `half`.
    pub fn allowance(&self, half: Half) -> u64 {
        self.halves.get(&half).map_or(0, |state| state.allowance)
    }

    /// Bytes that this end may still send on `half`.
    pub fn credit(&self, half: Half) -> u64 {
        self.halves.get(&half).map_or(0, |state| state.credit)
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
        matches!(chunk.kind, OutRequest | OutSink | OutStream | Duplex)
            && half.is_none_or(|state| state.opening_left > 0)
    }

    /// Books what this end sends.
    pub fn sent(&mut self, chunk: &Chunk) {
        let half = seen_by_other(chunk.kind, chunk.id);
        if chunk.ack_end {
            self.halves.retain(|known, _| *known != half || matches!(half, TOP_READ | TOP_WRITE));
            return;
        }
        let opens = self.opens(chunk);
        let length = chunk.payload.as_ref().map_or(0, |payload| payload.len() as u64);
        let spent = if opens || half == TOP_WRITE { length } else { 0 };
        self.spend(TOP_WRITE, spent);
        if chunk.kind == Duplex {
            self.halves.entry((InStream, chunk.id)).or_default();
        }
        let state = self.halves.entry(half).or_default();
        if opens {
            let total = chunk.partial.unwrap_or(state.opening_left.max(length));
            state.opening_left = total.saturating_sub(length);
        }
        state.allowance = state.allowance.saturating_add(chunk.credit.unwrap_or(0));
        let end = chunk.end.as_ref().map_or(0, |end| end.len() as u64);
        self.spend(half, length - spent + end);
        let responds = chunk.kind == InRequest && chunk.payload.is_some();
        if chunk.end.is_some() || responds {
            self.ended(half, false);
        }
    }

    fn spend(&mut self, half: Half, bytes: u64) {
        let state = self.halves.entry(half).or_default();
        state.credit = state.credit.saturating_sub(bytes);
    }

    /// One side has ended; when both have, the half is forgotten.
    fn ended(&mut self, half: Half, by_other: bool) {
        let state = self.halves.entry(half).or_default();
        *(if by_other { &mut state.got_end } else { &mut state.sent_end }) = true;
        if state.got_end && state.sent_end {
            self.halves.remove(&half);
        }
    }

    /// Judges what the other end sends: the events it makes, or the rule it breaks.
    pub fn got(&mut self, chunk: &Chunk) -> Result<Vec<Event>, Rule> {
        let half = if chunk.kind == Duplex { (OutStream, chunk.id) } else { (chunk.kind, chunk.id) };
        if chunk.ack_end {
            return self.got_ack(half, chunk);
        }
        let opens = self.open(half, chunk)?;
        let state = self.halves.get_mut(&half).ok_or("not-open")?;
        if state.got_end {
            return Err(match (chunk.kind, &chunk.payload, &chunk.end) {
                (InRequest, Some(_), _) => "second-response",
                (_, _, Some(_)) => "second-end",
                _ => "chunk-after-own-end",
            });
        }
        let mut events = Vec::new();
        if let Some(payload) = &chunk.payload {
            let done = self.got_payload(half, opens, chunk.partial, payload, chunk)?;
            let opened =
                if self.halves.get(&half).is_some_and(|state| state.of_duplex) { (Duplex, chunk.id) } else { half };
            events.extend(done.map(|what| (if matches!(what, What::Open(_)) { opened } else { half }, what)));
        }
        if let Some((credit, state)) = chunk.credit.zip(self.halves.get_mut(&half)) {
            state.credit = state.credit.checked_add(credit).ok_or("credit-sum-overflow")?;
            state.credit_total += u128::from(credit);
        }
        if chunk.ping {
            events.push((half, What::Ping));
        }
        if let Some(end) = &chunk.end {
            let prefix = chunk.partial.filter(|_| chunk.payload.is_none());
            events.extend(self.got_end(half, prefix, end)?.map(|what| (half, what)));
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
        if !self.halves.get(&half).is_some_and(|state| state.sent_end) {
            return Err("ack-end-without-end");
        }
        self.halves.remove(&half);
        Ok(vec![(half, What::AckEnd)])
    }

    /// Opens what the chunk opens, if it does.
    fn open(&mut self, half: Half, chunk: &Chunk) -> Result<bool, Rule> {
        let known = self.halves.contains_key(&half);
        match chunk.kind {
            Duplex if known || self.halves.contains_key(&(OutSink, chunk.id)) => return Err("duplex-id-in-use"),
            InRequest | InSink | InStream if !known => return Err("not-open"),
            _ if known || matches!(chunk.kind, InRequest | InSink | InStream) => return Ok(false),
            _ => {}
        }
        if chunk.payload.is_none() {
            return Err("opening-without-payload");
        }
        if chunk.kind == Duplex {
            self.halves.insert((OutSink, chunk.id), State::default());
        }
        self.halves.insert(half, State { of_duplex: chunk.kind == Duplex, ..State::default() });
        Ok(true)
    }

    fn got_payload(
        &mut self,
        half: Half,
        opens: bool,
        prefix: Option<u64>,
        payload: &[u8],
        chunk: &Chunk,
    ) -> Result<Option<What>, Rule> {
        let state = self.halves.get_mut(&half).expect("it was looked up before");
        let purpose = match &state.assembly {
            _ if half.0 == InRequest && chunk.end.is_some() => return Err("payload-and-end-on-in-request"),
            Some(assembly) if assembly.purpose == Purpose::End => return Err("payload-amid-partial-end"),
            Some(assembly) => assembly.purpose,
            None if opens => Purpose::Open,
            None if matches!(half.0, OutRequest | OutStream | InStream) => return Err("payload-on-existing"),
            None => Purpose::Message,
        };
        let pays = if purpose == Purpose::Open { TOP_READ } else { half };
        self.charge(pays, payload.len())?;
        let state = self.halves.get_mut(&half).expect("it was looked up before");
        if purpose != Purpose::Open {
            state.bytes_total += payload.len() as u64;
        }
        let Some(bytes) = state.assemble(purpose, prefix, payload)? else { return Ok(None) };
        if half.0 == InRequest {
            self.ended(half, true);
        }
        Ok(Some(if purpose == Purpose::Open { What::Open(bytes) } else { What::Message(bytes) }))
    }

    fn got_end(&mut self, half: Half, prefix: Option<u64>, payload: &[u8]) -> Result<Option<What>, Rule> {
        self.charge(half, payload.len())?;
        let state = self.halves.entry(half).or_default();
        let amid_payload = state.assembly.as_ref().is_some_and(|assembly| assembly.purpose != Purpose::End);
        if amid_payload && prefix.is_none() {
            state.assembly = None;
        }
        let Some(bytes) = state.assemble(Purpose::End, prefix, payload)? else { return Ok(None) };
        self.ended(half, true);
        Ok(Some(What::End(bytes)))
    }

    /// Takes payload bytes off what the other end may send.
    fn charge(&mut self, half: Half, bytes: usize) -> Result<(), Rule> {
        let state = self.halves.entry(half).or_default();
        state.allowance = state.allowance.checked_sub(bytes as u64).ok_or("credit-exceeded")?;
        Ok(())
    }
}

impl State {
    /// Adds a part; gives the whole when it was the last.
    fn assemble(&mut self, purpose: Purpose, prefix: Option<u64>, part: &[u8]) -> Result<Option<Vec<u8>>, Rule> {
        let mut assembly = match (self.assembly.take(), prefix) {
            (Some(_), Some(_)) => return Err("second-partial"),
            (Some(assembly), None) => assembly,
            (None, Some(total)) => Assembly { purpose, total, bytes: Vec::new() },
            (None, None) => return Ok(Some(part.to_vec())),
        };
        assembly.bytes.extend(part);
        let length = assembly.bytes.len() as u64;
        if length > assembly.total {
            return Err("partial-total-exceeded");
        }
        if length == assembly.total {
            return Ok(Some(assembly.bytes));
        }
        self.assembly = Some(assembly);
        Ok(None)
    }
}
