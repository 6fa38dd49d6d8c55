//! A half: one writer and one reader, seen from this end. A sink or a stream is one half, a duplex two, and a request
//! is one too: its responder writes a single message and thereby ends it.

use crate::chunk::Kind;
use crate::credit::Credit;

/// Names a half of one link. It is never reused: a key of a half that is gone finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HalfKey {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl HalfKey {
    /// Top-level messages of ours; its credit also pays for opening payloads.
    pub const TOP_WRITER: Self = Self { slot: 0, generation: 0 };
    /// Top-level messages of the peer.
    pub const TOP_READER: Self = Self { slot: 1, generation: 0 };
}

/// A payload of the peer's of which parts are still to come (partial mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// No partial payload is under way.
    Whole,
    /// The opening payload, a message or a response: `left` bytes of it have not been announced by a chunk yet.
    Payload { left: u64, total: u64 },
    /// An end payload.
    End { left: u64, total: u64 },
}

/// The end payload that we owe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndPayload {
    Empty,
    /// The codes of Min-Bus are one byte: no allocation for them.
    Byte(u8),
    /// Behind two pointers, so that every half is smaller for it.
    Bytes(Box<Box<[u8]>>),
}

impl EndPayload {
    pub(crate) fn new(payload: &[u8]) -> Self {
        match payload {
            [] => Self::Empty,
            [byte] => Self::Byte(*byte),
            bytes => Self::Bytes(Box::new(bytes.into())),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Byte(byte) => std::slice::from_ref(byte),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// How far the half is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Neither end has ended it.
    Open,
    /// We have ended it, but the end has not been written yet.
    EndOwed(EndPayload),
    /// Our end is written. What arrives is dropped until the peer's ack or end.
    EndSent,
    /// The peer has ended it; our ack has not been written yet. `responded`: its end was a complete response. `deaf`: we
    /// had ended it, too, but not written that, so that only the peer's end counts.
    AckOwed { responded: bool, deaf: bool },
    /// The peer has ended the top level, which is never acked: the connection is over.
    Over,
}

/// Chunks without payload that we owe the peer. State rather than bytes, so that any number of them is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) credit: u64,
    pub(crate) pings: u32,
    pub(crate) pongs: u32,
}

/// One half, with what its user keeps beside it.
#[derive(Clone, Debug)]
pub(crate) struct Half<U> {
    /// The kind of the chunks that we send about it.
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) generation: u32,
    /// Bytes that we may still send: messages where we write, a cancel payload where we read.
    pub(crate) may_send: Credit,
    /// Bytes that the peer may still send.
    pub(crate) may_receive: Credit,
    pub(crate) incoming: Incoming,
    /// Whether the opening payload has come, so that what comes now are messages.
    pub(crate) opened: bool,
    /// Bytes of our message under way that no chunk has announced yet.
    pub(crate) outgoing_left: u64,
    pub(crate) ending: Ending,
    pub(crate) owed: Owed,
    /// Whether it stands in the list of halves that owe something.
    pub(crate) listed: bool,
    pub(crate) user: U,
}

impl<U: Default> Half<U> {
    pub(crate) fn new(kind: Kind, id: u64, generation: u32) -> Self {
        Self {
            kind,
            id,
            generation,
            may_send: Credit::default(),
            may_receive: Credit::default(),
            incoming: Incoming::Whole,
            opened: true,
            outgoing_left: 0,
            ending: Ending::Open,
            owed: Owed::default(),
            listed: false,
            user: U::default(),
        }
    }
}

impl<U> Half<U> {
    /// Whether we have ended it, so that what arrives is dropped.
    #[inline]
    pub(crate) fn is_deaf(&self) -> bool {
        !matches!(self.ending, Ending::Open | Ending::AckOwed { deaf: false, .. } | Ending::Over)
    }

    /// Whether parts of its opening payload are still to come.
    #[inline]
    pub(crate) fn is_opening_partial(&self) -> bool {
        !self.opened && matches!(self.incoming, Incoming::Payload { .. })
    }

    /// Whether something is to be written about it.
    pub(crate) fn owes(&self) -> bool {
        self.owed != Owed::default() || matches!(self.ending, Ending::EndOwed(_) | Ending::AckOwed { .. })
    }
}
