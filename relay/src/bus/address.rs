//! Where a letter goes: to a port (one plugin's connection) of a shard, and there to a leg.

/// A port of some shard. Ports are never confused: `port` names a connection, not a place that can be taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortAddr {
    /// Index of the shard.
    pub shard: u16,
    /// The connection's name within the shard.
    pub port: u64,
}

/// A leg of a port: slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegId {
    /// Index in the port's table of legs.
    pub slot: u32,
    /// How often the slot was used before.
    pub generation: u32,
}

impl LegId {
    /// No leg has this name: what is said to it concerns its shard alone.
    pub const NONE: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

/// A leg anywhere in the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegAddr {
    /// The port it belongs to.
    pub port: PortAddr,
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
