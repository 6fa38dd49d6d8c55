//! What the plugin makes the relay keep besides payload, in bytes, about. Nothing is gone through that may be long.

use std::time::Instant;

use super::super::address::PortAddr;
use super::{LegId, Opening, Session};
use crate::limits::OPENING_BYTES_MAX;

/// What a table of hashes takes for an entry beside the entry itself, with the room that it keeps for more.
pub(super) const HASHED_BYTES: usize = 8;

impl Session {
    /// What all of it takes, the session itself not counted.
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        let lists = self.early.capacity() + self.closing.capacity() + self.touched.capacity();
        self.link.memory_bytes()
            + self.legs.memory_bytes()
            + self.openings.capacity() * size_of::<Opening>()
            + self.openings.len() * (OPENING_BYTES_MAX + 1)
            + self.targets.capacity() * (size_of::<(PortAddr, LegId)>() + HASHED_BYTES)
            + lists * size_of::<LegId>()
            + self.offers.capacity() * size_of::<(Instant, LegId)>()
            + self.endings.memory_bytes()
            + self.answers.memory_bytes()
            + self.asks.memory_bytes()
            + self.watch.as_ref().map_or(0, super::Watch::memory_bytes)
            + self.registration.capacity()
    }
}
