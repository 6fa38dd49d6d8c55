//! Memory accounting of a session: what the plugin makes the relay keep besides payload, in bytes, about.

use super::super::address::ConnId;
use super::{LegId, Session, Watch};

/// What a table of hashes takes for an entry beside the entry itself, with the room that it keeps for more.
pub(super) const HASHED_BYTES: usize = 8;

impl Session {
    /// What all of it takes, the session itself not counted.
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        self.link.memory_bytes()
            + self.legs.memory_bytes()
            + self.targets.as_ref().map_or(0, |targets| targets.capacity())
                * (size_of::<(ConnId, LegId)>() + HASHED_BYTES)
            + self.dirty.capacity() * size_of::<LegId>()
            + self.pending.as_ref().map_or(0, |pending| pending.memory_bytes())
            + self.watch.as_ref().map_or(0, |watch| size_of::<Watch>() + watch.memory_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::leg::Leg;
    use super::*;

    /// What idle plugins and channels are mostly made of, in bytes: grow one of these, and thousands of them grow. What
    /// is needed only at times belongs into [`super::super::Pending`] or into what a leg or a half has boxed.
    const SESSION_BYTES_MAX: usize = 512;
    const LEG_BYTES_MAX: usize = 224;

    #[test]
    fn sessions_and_legs_are_small() {
        assert!(size_of::<Session>() <= SESSION_BYTES_MAX, "{}", size_of::<Session>());
        assert!(size_of::<Leg>() <= LEG_BYTES_MAX, "{}", size_of::<Leg>());
    }
}
