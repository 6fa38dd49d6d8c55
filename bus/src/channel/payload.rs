//! Payload on its way from one plugin to another, as the shard moves it: what it is, where it comes from and where it goes.

use bpmux::{HalfKey, Kind, Rewrite, Run};

use super::super::address::{ConnId, LegAddr, LegId, LegRef};

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

/// The payload of the chunk that the plugin is sending, when it goes to another plugin and not through our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    pub(super) from: LegAddr,
    pub(super) to: (ConnId, LegRef),
    /// How heads are written for the other plugin.
    pub(super) rewrite: Rewrite,
    pub(super) kind: Kind,
    /// How much is announced and missing, and of what.
    pub payload: bpmux::Body,
}

impl Body {
    /// The leg it comes from.
    #[must_use]
    pub fn leg(&self) -> LegId {
        self.from.leg
    }
}

/// Parts of messages for another plugin, with the heads that it is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The leg they come from.
    pub from: LegAddr,
    /// The connection and the leg they go to.
    pub to: (ConnId, LegRef),
    /// Their payloads, without the heads.
    pub payload_bytes: u64,
    /// How much of the last message is still to follow.
    pub left: u64,
}
