//! Effects: all that a session causes outside of itself, left in a list that its shard lends, and applied in one place.
//!
//! A shard has one list, which is empty between two sessions: no input costs an allocation for it.

use super::address::LegId;
use super::msg::{Effect, Held};

/// What a session has caused since they were applied last. Each field is to be applied: take them apart by a pattern that
/// names all of them.
#[derive(Debug, Default)]
pub struct Effects {
    /// What others are to be told, in this order.
    pub sent: Vec<Effect>,
    /// What is accounted for until the bytes that have just been written have left.
    pub carried: Vec<Held>,
    /// Legs of the session whose payload is not wanted any more.
    pub dropped: Vec<LegId>,
    /// How many more legs it has.
    pub legs: i64,
    /// Whether it has begun to watch who is there, or has stopped.
    pub watching: Option<bool>,
}

impl Effects {
    /// Whether nothing was caused, as most inputs do.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { sent, carried, dropped, legs, watching } = self;
        sent.is_empty() && carried.is_empty() && dropped.is_empty() && *legs == 0 && watching.is_none()
    }

    /// Somebody else is to be told.
    #[inline]
    pub(crate) fn send(&mut self, effect: Effect) {
        self.sent.push(effect);
    }

    /// Bytes have left the relay, or never will be sent.
    pub(crate) fn release(&mut self, held: Held) {
        self.sent.extend(held.released());
    }
}
