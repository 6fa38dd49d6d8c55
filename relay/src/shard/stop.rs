//! The state of a graceful shutdown, in one shard.

use std::time::Instant;

/// How far a shard has stopped.
#[derive(Debug)]
pub(super) struct Stop {
    /// What is not delivered by then is given up.
    pub(super) deadline: Instant,
    /// Whether this shard has been counted among those that have delivered all: from then on others may tell their plugins,
    /// and nothing more is accepted here that could be for them.
    pub(super) sealed: bool,
    /// Whether this shard is counted so now.
    pub(super) drained: bool,
    /// Whether the connections have been told.
    pub(super) told: bool,
}
