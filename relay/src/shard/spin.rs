//! Busy polling: whether to look for a while before going to sleep.
//!
//! Waking a sleeping thread takes longer than many answers need to come. A shard with a CPU of its own may look for
//! them meanwhile; on a CPU that it shares with plugins it would only keep them from answering, so this is off unless
//! configured. Looking that finds nothing is waste: it is done as long as what is waited for comes soon, on average.

use std::time::Duration;

/// How much one wait weighs in the average: the last four or so count.
const WEIGHT: u32 = 4;
/// A longer wait counts as this many times the limit, so that one pause does not end the looking for long.
const WAIT_LIMITS_MAX: u32 = 8;

/// Decides from how long the last waits were.
#[derive(Debug)]
pub(super) struct Spin {
    limit: Duration,
    average: Duration,
}

impl Spin {
    /// Looks for at most `limit` at a time; zero turns it off.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, average: Duration::ZERO }
    }

    /// Whether it is on, so that waits must be measured.
    pub(super) fn is_on(&self) -> bool {
        !self.limit.is_zero()
    }

    /// How long to look before sleeping, if it is worth it now.
    pub(super) fn limit(&self) -> Option<Duration> {
        (self.is_on() && self.average <= self.limit).then_some(self.limit)
    }

    /// Something has come, this long after there was nothing left to do.
    pub(super) fn waited(&mut self, wait: Duration) {
        let wait = wait.min(self.limit * WAIT_LIMITS_MAX);
        self.average = (self.average * (WEIGHT - 1) + wait) / WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(50);

    #[test]
    fn it_is_off_without_a_limit() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.waited(Duration::ZERO);
        assert!(!spin.is_on() && spin.limit().is_none());
    }

    #[test]
    fn it_stops_when_nothing_comes_soon_and_begins_again_when_things_do() {
        let mut spin = Spin::new(LIMIT);
        assert_eq!(spin.limit(), Some(LIMIT));
        spin.waited(LIMIT / 2);
        spin.waited(Duration::from_secs(1));
        assert_eq!(spin.limit(), None);
        let soon = (1..).find(|_| {
            spin.waited(LIMIT / 2);
            spin.limit().is_some()
        });
        assert!(soon.unwrap() < 10);
    }

    #[test]
    fn one_late_event_among_many_does_not_end_it_for_long() {
        let mut spin = Spin::new(LIMIT);
        for _ in 0..10 {
            spin.waited(Duration::from_secs(60));
            (0..8).for_each(|_| spin.waited(LIMIT / 4));
            assert!(spin.limit().is_some());
        }
    }
}
