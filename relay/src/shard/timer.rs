//! Timers: one for each port, at the time when something is due there at the latest.
//!
//! A deadline that moves away (because the plugin has said something) costs nothing: the entry fires, nothing is due,
//! and it is put in again. Without ports there are no timers, so an idle shard sleeps for good.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::engine::driver::Token;

/// When which port is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, Token)>>);

impl Timers {
    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Puts an entry in.
    pub(super) fn set(&mut self, at: Instant, port: Token) {
        self.0.push(Reverse((at, port)));
    }

    /// The next entry that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, Token)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
