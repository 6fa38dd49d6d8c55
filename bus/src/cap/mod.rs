//! The flow-control policy: how much credit may be out. The only place that promises memory; pure, it is told the time.
//!
//! - `budget` the ledger of promises of a shard: what writers may still send, and what is held for them
//! - `rules` whose halves have other caps
//! - `window` how much of it one half may have: a cap that follows what the half makes of it
//!
//! Credit given to a writer is a promise that cannot be taken back, so it counts as memory from that moment on, as do
//! the bytes that have come for it until they have left the relay. The sum stays within the budget of the shard, and
//! only [`Budget::grant`] can raise it.

mod budget;
mod rules;
#[cfg(test)]
mod tests;
mod window;

use std::time::Duration;

pub use budget::{Account, Budget};
pub use rules::{Rule, Rules};
pub use window::CreditSample;

/// Bounds of what one half may have been promised, in bytes: `min <= initial <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Reserved when the half is opened; it can always be granted.
    pub min_bytes: u64,
    /// What a new half may have.
    pub initial_bytes: u64,
    /// Never more than this is out on one half.
    pub max_bytes: u64,
}

/// What a half's cap goes by when it shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes that wait longer than this all the time are a standing backlog.
    pub standing: Duration,
    /// How long it must stand before the cap shrinks, each time.
    pub interval: Duration,
    /// Silence of the writer, for each of which the cap is halved.
    pub idle: Duration,
}
