//! Addresses within the relay: of a connection of a shard, and of a leg of it.

/// A connection of some shard. Connections are never confused: `token` names a connection, not a place that can be taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// Index of the shard.
    pub shard: u16,
    /// The connection's name within the shard.
    pub token: u64,
}

/// A leg of a connection: slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegId {
    /// Index in the connection's table of legs.
    pub slot: u32,
    /// The number of this leg among all that the connection has had.
    pub generation: u32,
}

impl LegId {
    /// No leg has this name: what is said to it concerns its shard alone.
    pub const NONE: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

/// A leg anywhere in the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegAddr {
    /// The connection it belongs to.
    pub conn: ConnId,
    /// Which of its legs.
    pub leg: LegId,
}

/// How the far leg of a channel is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegRef {
    /// By its own name.
    At(LegId),
    /// As the leg that came into being through the offer of this one; until its own name is known.
    OfferedBy(LegAddr),
}
