//! A half, the unit of flow control: one writer and one reader, seen from this end. A sink or a stream is one half, a duplex
//! two, and a request is one too: its responder writes a single message and thereby ends it.

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// No partial payload is under way.
    #[default]
    Whole,
    /// The opening payload, a message or a response: `left` bytes of it have not been announced by a chunk yet.
    Payload { left: u64, total: u64 },
    /// An end payload.
    End { left: u64, total: u64 },
}

/// The end payload that we owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndPayload {
    Empty,
    /// The codes of Min-Bus are one byte: no allocation for them.
    Byte(u8),
    /// It stands in [`Rare::end_payload`].
    Bytes,
}

/// How far the half is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What most halves never need, since their messages come and go whole and nobody pings them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    incoming: Incoming,
    outgoing_left: u64,
    end_payload: Box<[u8]>,
    owed_pings: u32,
    owed_pongs: u32,
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
    /// Whether the opening payload has come, so that what comes now are messages.
    pub(crate) opened: bool,
    pub(crate) ending: Ending,
    /// Credit that we owe the peer. As pings and pongs a state rather than bytes, so that any number of them is bounded.
    pub(crate) owed_credit: u64,
    /// Made when it is first needed, and kept: nothing is allocated for each message.
    pub(crate) rare: Option<Box<Rare>>,
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
            opened: true,
            ending: Ending::Open,
            owed_credit: 0,
            rare: None,
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

    /// The payload of the peer's that is under way in parts.
    #[inline]
    pub(crate) fn incoming(&self) -> Incoming {
        self.rare.as_ref().map_or(Incoming::Whole, |rare| rare.incoming)
    }

    #[inline]
    pub(crate) fn set_incoming(&mut self, incoming: Incoming) {
        if self.rare.is_some() || incoming != Incoming::Whole {
            self.rare().incoming = incoming;
        }
    }

    /// Bytes of our message under way, or of the opening payload, that no chunk has announced yet.
    #[inline]
    pub(crate) fn outgoing_left(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.outgoing_left)
    }

    #[inline]
    pub(crate) fn set_outgoing_left(&mut self, left: u64) {
        if self.rare.is_some() || left > 0 {
            self.rare().outgoing_left = left;
        }
    }

    /// Pings that we owe the peer.
    pub(crate) fn owed_pings(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.owed_pings)
    }

    pub(crate) fn set_owed_pings(&mut self, pings: u32) {
        if self.rare.is_some() || pings > 0 {
            self.rare().owed_pings = pings;
        }
    }

    /// Pongs that we owe the peer.
    pub(crate) fn owed_pongs(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.owed_pongs)
    }

    pub(crate) fn set_owed_pongs(&mut self, pongs: u32) {
        if self.rare.is_some() || pongs > 0 {
            self.rare().owed_pongs = pongs;
        }
    }

    /// Ends it from our side: what we owe but the pings and pongs is void.
    pub(crate) fn owe_end(&mut self, payload: &[u8]) {
        self.owed_credit = 0;
        self.ending = Ending::EndOwed(match payload {
            [] => EndPayload::Empty,
            [byte] => EndPayload::Byte(*byte),
            bytes => {
                self.rare().end_payload = bytes.into();
                EndPayload::Bytes
            }
        });
    }

    /// The bytes of an end payload that we owe, which are not needed again.
    pub(crate) fn take_end_payload(&mut self) -> Box<[u8]> {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.end_payload)).unwrap_or_default()
    }

    /// Neither credit nor pings nor pongs are owed any more.
    pub(crate) fn owe_nothing(&mut self) {
        self.owed_credit = 0;
        self.set_owed_pings(0);
        self.set_owed_pongs(0);
    }

    #[inline]
    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Whether parts of its opening payload are still to come.
    #[inline]
    pub(crate) fn is_opening_partial(&self) -> bool {
        !self.opened && matches!(self.incoming(), Incoming::Payload { .. })
    }

    /// Whether credit, pings or pongs are to be written about it.
    pub(crate) fn owes_signals(&self) -> bool {
        self.owed_credit > 0 || self.owed_pings() > 0 || self.owed_pongs() > 0
    }

    /// Whether something is to be written about it.
    pub(crate) fn owes(&self) -> bool {
        self.owes_signals() || matches!(self.ending, Ending::EndOwed(_) | Ending::AckOwed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_with_two_words_beside_it_takes_a_cache_line() {
        assert!(size_of::<Half<[u32; 3]>>() <= 64, "{}", size_of::<Half<[u32; 3]>>());
    }
}
