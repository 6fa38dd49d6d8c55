//! What is measured in a window, interval by interval: messages, bytes, and a histogram of latencies of each.
//!
//! A latency belongs to the window if its message was meant to be sent within it, however late it arrived: nothing is
//! trimmed.

use hdrhistogram::Histogram;

use super::Time;

/// Digits that a histogram keeps of each latency.
const DIGITS: u8 = 3;

/// What is measured, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: Time,
    pub(crate) end: Time,
    pub(crate) interval_ns: u64,
}

impl Window {
    /// The interval in which an instant lies. What comes later belongs to the last.
    #[inline]
    fn interval(&self, now: Time) -> usize {
        let last = (self.end - self.start).saturating_sub(1) / self.interval_ns;
        (now.saturating_sub(self.start) / self.interval_ns).min(last) as usize
    }

    #[inline]
    pub(crate) fn contains(&self, now: Time) -> bool {
        (self.start..self.end).contains(&now)
    }
}

/// What arrived in an interval.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interval {
    pub(crate) messages: u64,
    pub(crate) payload_bytes: u64,
    /// Of latencies in nanoseconds; none when nothing was recorded.
    pub(crate) latencies: Option<Histogram<u64>>,
}

/// Measures what one thread sees of a flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    window: Option<Window>,
    intervals: Vec<Interval>,
}

impl Recorder {
    /// Opens the window.
    pub(crate) fn open(&mut self, window: Window) {
        self.window = Some(window);
    }

    /// What was measured.
    pub(crate) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Adds what another thread has measured.
    pub(crate) fn add(&mut self, other: Self) {
        for (index, other) in other.intervals.into_iter().enumerate() {
            let interval = self.interval(index);
            interval.messages += other.messages;
            interval.payload_bytes += other.payload_bytes;
            match (&mut interval.latencies, other.latencies) {
                (Some(latencies), Some(other)) => latencies.add(other).expect("the histogram grows as it must"),
                (latencies, other) => *latencies = latencies.take().or(other),
            }
        }
    }

    /// Whether an instant lies in the window.
    #[inline]
    pub(crate) fn is_measuring(&self, now: Time) -> bool {
        self.window.is_some_and(|window| window.contains(now))
    }

    /// Counts messages that have arrived at `now`.
    #[inline]
    pub(crate) fn count(&mut self, now: Time, messages: u64, payload_bytes: u64) {
        let Some(window) = self.window.filter(|window| window.contains(now)) else { return };
        let interval = self.interval(window.interval(now));
        interval.messages += messages;
        interval.payload_bytes += payload_bytes;
    }

    /// Records the latencies of messages that have arrived at `now`, given when each was meant to be sent.
    #[inline]
    pub(crate) fn record(&mut self, now: Time, intended: impl Iterator<Item = Time>) {
        let Some(window) = self.window else { return };
        let interval = self.interval(window.interval(now));
        let latencies = interval.latencies.get_or_insert_with(new_histogram);
        for intended in intended.filter(|&intended| window.contains(intended)) {
            latencies.record(now.saturating_sub(intended)).expect("the histogram grows as it must");
        }
    }

    #[inline]
    fn interval(&mut self, index: usize) -> &mut Interval {
        if self.intervals.len() <= index {
            self.intervals.resize_with(index + 1, Interval::default);
        }
        &mut self.intervals[index]
    }
}

/// A histogram of latencies in nanoseconds, with room for a second and for more when it comes.
pub(crate) fn new_histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, DIGITS).expect("valid bounds");
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        let mut recorder = Recorder::default();
        recorder.open(Window { start: 1_000, end: 2_000, interval_ns: 300 });
        recorder
    }

    #[test]
    fn messages_count_where_they_arrive() {
        let mut recorder = recorder();
        for now in [999, 1_000, 1_299, 1_300, 1_999, 2_000] {
            recorder.count(now, 2, 10);
        }
        let messages: Vec<_> = recorder.intervals().iter().map(|interval| interval.messages).collect();
        assert_eq!(messages, [4, 2, 0, 2]);
    }

    #[test]
    fn a_latency_counts_by_its_intended_time_however_late_it_is() {
        let mut recorder = recorder();
        recorder.record(1_100, [900, 1_000].into_iter());
        recorder.record(90_000_000_000, [1_999, 2_000].into_iter());
        let intervals = recorder.intervals();
        let of = |index: usize| intervals[index].latencies.as_ref().expect("recorded");
        assert_eq!((of(0).len(), of(0).max()), (1, 100));
        assert_eq!(of(3).len(), 1);
        assert!(of(3).max() >= 89_999_000_000, "nothing is trimmed");
    }
}
