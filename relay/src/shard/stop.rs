//! The state of a graceful shutdown, in one shard.

use std::time::Instant;

/// How far a shard has stopped.
#[derive(Debug)]
pub(super) struct Stop {
    /// What is not delivered by then is given up.
    pub(super) deadline: Instant,
    /// Whether this shard is counted among those that have delivered all.
    pub(super) drained: bool,
    /// Whether the connections have been told.
    pub(super) told: bool,
}
