//! What sessions tell others: messages between the legs of a channel, within a shard and across shards alike, and other
//! effects.
//!
//! Channel messages between the same two connections arrive in the order in which they were sent. A channel message to
//! something gone dies; only payload is accounted for even then.

use bpmux::HalfKey;

use super::address::{ConnId, LegAddr, LegId, LegRef};
use super::name::Name;
use super::share::UserId;
use super::stats::Cursor;
use wire::end;

/// Which half of a leg a ping or pong is about, as the leg that gets the channel message sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The half that the relay reads from this plugin.
    Inlet,
    /// The half that the relay writes to this plugin.
    Outlet,
}

impl Side {
    /// The half of the other leg whose payload passes through this one.
    pub(crate) fn far(self) -> Self {
        match self {
            Self::Inlet => Self::Outlet,
            Self::Outlet => Self::Inlet,
        }
    }
}

/// A plugin wants to talk to the plugin at the connection this goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The leg that asks.
    pub from: LegAddr,
    /// The id that its plugin chose; payload needs no move when ours is as wide.
    pub id: u64,
    /// Who is told to ask (empty when the bus is configured to say nothing).
    pub name: Name,
    /// Its version.
    pub version: u16,
    /// Who pays for the channel, at this end too.
    pub user: UserId,
    /// Whether it is connected by TCP.
    pub tcp: bool,
    /// Who asks.
    pub asker: Name,
}

impl Offer {
    /// The answer when there is no plugin any more where this went.
    #[must_use]
    pub fn refused_by_nobody(&self) -> Effect {
        Effect::Leg(self.from.conn, LegRef::At(self.from.leg), ChannelMsg::Refused(end::NOT_THERE))
    }
}

/// Bytes that count as memory promised to a plugin until they have left the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedBytes {
    /// The bytes.
    pub payload: Box<[u8]>,
    /// For whom they are accounted for.
    pub held: Held,
}

/// So many bytes are accounted for at a leg, or at the shard that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where [`Effect::Released`] goes when they have left.
    pub from: LegAddr,
    /// Their number.
    pub bytes: u64,
}

impl Held {
    /// They have left the relay, or never will be sent.
    pub(crate) fn released(self) -> Option<Effect> {
        (self.bytes > 0).then_some(Effect::Released(self.from, self.bytes))
    }
}

impl ChargedBytes {
    /// What a plugin has said, accounted for at `from`.
    pub(crate) fn new(from: LegAddr, payload: Vec<u8>) -> Self {
        let held = Held { from, bytes: payload.len() as u64 };
        Self { payload: payload.into(), held }
    }

    /// The relay's own words, which nobody is accountable for.
    pub(crate) fn own(payload: &[u8]) -> Self {
        let nobody = LegAddr { conn: ConnId { shard: 0, token: 0 }, leg: LegId::NONE };
        Self { payload: payload.into(), held: Held { from: nobody, bytes: 0 } }
    }
}

/// What a leg tells the leg at the other end of the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelMsg {
    /// To the asking leg: the answering leg is there, and this is its name.
    Bound(LegId),
    /// To the asking leg: there will be no channel. Its plugin gets this code.
    Refused(u8),
    /// To the asking leg: the other plugin has accepted; this is the id it is spoken to with.
    Accepted {
        /// The answering leg's id on the wire.
        id: u64,
        /// Whether the other plugin is connected by TCP.
        tcp: bool,
    },
    /// That many empty messages, sent before the channel was accepted.
    Empties(u32),
    /// The plugin gave credit for messages.
    Credit(u64),
    /// The plugin gave credit for a cancel payload.
    CancelCredit(u64),
    /// The plugin pings a half.
    Ping(Side),
    /// The plugin answers a ping on a half.
    Pong(Side),
    /// The plugin closed the half it writes, with this payload. Comes behind all payload.
    Closed(ChargedBytes),
    /// The plugin cancelled the half it reads, with this payload.
    Cancelled(ChargedBytes),
    /// What is released next has waited for this plugin's socket.
    Waited,
    /// The plugin is gone. Comes behind all payload.
    Gone,
}

impl ChannelMsg {
    /// What follows when nobody wants it: what it promised is void.
    #[must_use]
    pub fn undeliverable(&self) -> Option<Effect> {
        match self {
            Self::Closed(charged) | Self::Cancelled(charged) => charged.held.released(),
            _ => None,
        }
    }

    /// Whether the plugin that is told of it owes an answer: a pong, an ack, an end of its own.
    pub(crate) fn wants_answer(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Ping(_) | Self::Closed(_) | Self::Cancelled(_) | Self::Gone)
    }
}

/// A question to a shard about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsRequest {
    /// The plugin that asks.
    pub from: ConnId,
    /// Its request.
    pub half: HalfKey,
    /// Where the answer begins.
    pub cursor: Cursor,
    /// How long it may be, in bytes.
    pub bytes_max: usize,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsReply {
    /// The request.
    pub half: HalfKey,
    /// What is told.
    pub page: Vec<u8>,
    /// How many connections and legs were looked at for it.
    pub visits: u32,
}

/// Something to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// To a connection.
    Offer(ConnId, Offer),
    /// To a leg of a connection.
    Leg(ConnId, LegRef, ChannelMsg),
    /// To a leg, or to its shard when it is gone: bytes that came from it have left the relay.
    Released(LegAddr, u64),
    /// To the connection that holds a name: a newcomer at another connection wants it, which it may have if the holder has
    /// hung up.
    Contest {
        /// Who has the name.
        holder: ConnId,
        /// Who wants it.
        newcomer: ConnId,
    },
    /// To the newcomer: whether the name that it wants has been given up.
    Contested(ConnId, bool),
    /// To a shard: the directory has changed, and it has watchers.
    Changed(u16),
    /// To a shard: a plugin asks about it.
    StatsRequest(u16, StatsRequest),
    /// To a connection: the answer of a shard to its request.
    StatsReply(ConnId, StatsReply),
}

impl Effect {
    /// The shard it goes to.
    #[must_use]
    pub fn shard(&self) -> u16 {
        match self {
            Self::Offer(conn, _) | Self::Leg(conn, ..) | Self::StatsReply(conn, _) | Self::Contested(conn, _) => {
                conn.shard
            }
            Self::Contest { holder, .. } => holder.shard,
            Self::Released(leg, _) => leg.conn.shard,
            Self::Changed(shard) | Self::StatsRequest(shard, _) => *shard,
        }
    }
}
