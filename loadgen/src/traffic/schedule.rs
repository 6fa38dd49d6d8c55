//! When the messages of a flow should be sent, whatever happens: the open loop. The messages of all its channels take
//! turns, evenly spread.

use super::Time;

/// A fixed rate from an instant on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    start: Time,
    /// Between two messages of the flow.
    period_ns: f64,
    channels: u64,
}

impl Schedule {
    /// `rate` messages a second over all of `channels`.
    pub(crate) fn new(start: Time, rate: f64, channels: u32) -> Self {
        Self { start, period_ns: 1e9 / rate, channels: u64::from(channels).max(1) }
    }

    /// When message `sequence` of a channel should be sent.
    #[inline]
    pub(crate) fn intended(&self, channel: u32, sequence: u64) -> Time {
        self.start + ((sequence * self.channels + u64::from(channel)) as f64 * self.period_ns) as u64
    }

    /// Between two messages of a channel, in nanoseconds.
    #[inline]
    pub(crate) fn step_ns(&self) -> f64 {
        self.period_ns * self.channels as f64
    }

    /// How many messages of a channel should have been sent by `now`.
    #[inline]
    pub(crate) fn due(&self, channel: u32, now: Time) -> u64 {
        (self.due_of_all(now) + self.channels - 1).saturating_sub(u64::from(channel)) / self.channels
    }

    /// How many messages of the flow should have been sent by `now`.
    #[inline]
    pub(crate) fn due_of_all(&self, now: Time) -> u64 {
        if now < self.start { 0 } else { ((now - self.start) as f64 / self.period_ns) as u64 + 1 }
    }

    /// When the next message of the flow becomes due after `now`.
    pub(crate) fn next_of_all(&self, now: Time) -> Time {
        self.start + (self.due_of_all(now) as f64 * self.period_ns) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_take_turns() {
        let schedule = Schedule::new(1_000, 1e9 / 10.0, 3);
        let times: Vec<_> = (0..2).flat_map(|sequence| (0..3).map(move |k| schedule.intended(k, sequence))).collect();
        assert_eq!(times, [1_000, 1_010, 1_020, 1_030, 1_040, 1_050]);
        let due = |now| [0, 1, 2].map(|channel| schedule.due(channel, now));
        assert_eq!(due(999), [0, 0, 0]);
        assert_eq!(due(1_000), [1, 0, 0]);
        assert_eq!(due(1_019), [1, 1, 0]);
        assert_eq!(due(1_030), [2, 1, 1]);
        assert_eq!(schedule.due_of_all(1_030), 4);
    }

    #[test]
    fn a_week_at_a_high_rate_keeps_its_time() {
        let schedule = Schedule::new(0, 30e6, 1);
        let sequence = 30_000_000 * 7 * 86_400;
        assert_eq!(schedule.intended(0, sequence), 7 * 86_400 * 1_000_000_000);
    }
}
