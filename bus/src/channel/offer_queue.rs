//! The queue of connects that wait for a plugin's top-level credit, first in, first out. See `offers`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::address::LegId;
use super::legs::Legs;

/// Connects that wait for the plugin's top-level credit, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct OfferQueue {
    /// The legs of this plugin's, and since when they wait. Some may be withdrawn, and their legs gone.
    queue: VecDeque<(Instant, LegId)>,
    withdrawn: usize,
}

impl OfferQueue {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len() - self.withdrawn
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, since: Instant, id: LegId) {
        self.queue.push_back((since, id));
    }

    /// The one that is to be made next.
    pub(super) fn first(&self) -> Option<LegId> {
        self.queue.front().map(|(_, id)| *id)
    }

    /// Since when the first one waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.queue.front().map(|(since, _)| *since)
    }

    /// Takes the first one out.
    pub(super) fn take_first(&mut self, legs: &Legs) -> Option<LegId> {
        let first = self.queue.pop_front().map(|(_, id)| id);
        self.drop_withdrawn(legs);
        first
    }

    /// Takes the first one out, if it has waited for so long.
    pub(super) fn take_due(&mut self, now: Instant, patience: Duration, legs: &Legs) -> Option<LegId> {
        if self.since()? + patience <= now { self.take_first(legs) } else { None }
    }

    /// One of them, whose leg is gone, is not to be made any more. All are gone through only when half of them are of no
    /// use.
    pub(super) fn withdraw(&mut self, legs: &Legs) {
        self.withdrawn += 1;
        if self.withdrawn > self.queue.len() / 2 {
            self.queue.retain(|(_, id)| legs.get(*id).is_some());
            self.withdrawn = 0;
        }
        self.drop_withdrawn(legs);
    }

    /// The first one is always one that is still to be made.
    fn drop_withdrawn(&mut self, legs: &Legs) {
        while self.withdrawn > 0 && self.queue.pop_front_if(|(_, id)| legs.get(*id).is_none()).is_some() {
            self.withdrawn -= 1;
        }
    }

    /// The memory that they take, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { queue, withdrawn: _ } = self;
        queue.capacity() * size_of::<(Instant, LegId)>()
    }
}
