//! The clock of a shard: the time that it has been running, on the scale of the machine's monotonic clock.
//!
//! A process that is suspended (a stop signal, a debugger, a frozen cgroup, a virtual machine that moves) finds all of its
//! deadlines passed when it goes on, although nobody had a chance to meet them: what was sent to it waits unread, and what
//! it should have sent was never sent. So time in which the shard did not run does not pass for its timers. It is
//! recognised by a tick that begins much later than it was due.

use std::time::{Duration, Instant};

use crate::config::Bus;
use limits::{SUSPENSION_LOGGED_MS_MIN, SUSPENSION_MS_MAX, SUSPENSION_MS_MIN};

/// How many ticks it takes at the least until a peer is given up: each counts for no more than its part of the patience, so a
/// suspension takes no more than that of it.
const LOOKS: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct RunningClock {
    /// The machine's clock when it was last read.
    read_at: Instant,
    /// Time in which the shard did not run.
    lost: Duration,
    /// What a tick may be late. Whatever it is later than that does not count.
    late_max: Duration,
}

impl RunningClock {
    /// A clock that begins at `now`, for a shard that waits for its peers as this configuration says.
    pub(super) fn new(now: Instant, bus: &Bus) -> Self {
        let patience = bus.heartbeat_timeout.saturating_sub(bus.heartbeat_interval).min(bus.registration_timeout);
        let [least, most] = [SUSPENSION_MS_MIN, SUSPENSION_MS_MAX].map(Duration::from_millis);
        let late_max = (patience / LOOKS).clamp(least, most);
        Self { read_at: now, lost: Duration::ZERO, late_max }
    }

    /// Takes the time of the machine. `due`: when a sleep since the last call was to end, on this clock; none when there
    /// was none.
    pub(super) fn advance(&mut self, machine: Instant, due: Option<Instant>) -> Instant {
        let expected = due.map_or(self.read_at, |due| self.to_machine(due).max(self.read_at));
        let late = machine.saturating_duration_since(expected);
        self.lost += late.saturating_sub(self.late_max);
        if late >= Duration::from_millis(SUSPENSION_LOGGED_MS_MIN) {
            tracing::info!(
                ms = late.as_millis(),
                "the relay did not run for a while: timeouts are put off by that much"
            );
        }
        self.read_at = machine;
        machine - self.lost
    }

    /// What the machine's clock showed when it was last read.
    pub(super) fn read_at(&self) -> Instant {
        self.read_at
    }

    /// What the machine's clock shows at a time of this clock, unless the shard is suspended before.
    pub(super) fn to_machine(&self, at: Instant) -> Instant {
        at + self.lost
    }

    /// The longest sleep of a shard in which something must be heard of a peer in time. A suspension within a sleep that
    /// ends early goes unnoticed, so such sleeps are short.
    pub(super) fn look_interval(&self) -> Duration {
        self.late_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_takes_one_look_and_no_more() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut clock = RunningClock::new(begun, &crate::config::Config::of_test("").bus);
        let look = clock.look_interval().as_millis() as u64;
        assert!((SUSPENSION_MS_MIN..=SUSPENSION_MS_MAX).contains(&look));
        // Sleeps that end when they should, or before.
        assert_eq!(clock.advance(at(10_000), Some(at(10_000))), at(10_000));
        assert_eq!(clock.advance(at(10_500), Some(at(30_000))), at(10_500));
        // A suspension in a sleep, and one amid work.
        assert_eq!(clock.advance(at(100_000), Some(at(11_000))), at(11_000 + look));
        assert_eq!(clock.advance(at(200_000), None), at(11_000 + 2 * look));
        // Deadlines from before it are still met.
        assert_eq!(clock.to_machine(at(11_000 + 2 * look)), at(200_000));
        assert_eq!(clock.advance(at(201_000), Some(at(12_000 + 2 * look))), at(12_000 + 2 * look));
    }
}
