//! What is measured in a window, interval by interval: messages, bytes, and a histogram of latencies of each.
//!
//! A latency belongs to the window if its message was meant to be sent within it, however late it arrived: nothing is
//! trimmed.

use hdrhistogram::Histogram;

use super::Time;

/// Digits that a histogram keeps of each latency.
const DIGITS: u8 = 3;

/// A latency, shifted by so much, is no more than what the histogram does not tell from it.
const DIGITS_SHIFT: u32 = 11;

/// How many messages at once are worth recording together.
const TOGETHER_MIN: f64 = 4.0;

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

    /// Records the latencies of `count` messages that have arrived together at `now`, the first of which was meant to be
    /// sent at `first` and each other `step_ns` after the one before.
    #[inline]
    pub(crate) fn record_run(&mut self, now: Time, first: Time, step_ns: f64, count: u64) {
        let Some(window) = self.window.filter(|_| count > 0) else { return };
        let last = first + ((count - 1) as f64 * step_ns) as Time;
        if !(window.contains(first) && window.contains(last)) {
            return self.record(now, (0..count).map(|index| first + (index as f64 * step_ns) as Time));
        }
        let interval = self.interval(window.interval(now));
        let latencies = interval.latencies.get_or_insert_with(new_histogram);
        let longest = now.saturating_sub(first);
        let mut put = |latency: u64, count| {
            latencies.record_n(latency, count).expect("the histogram grows as it must");
        };
        if step_ns * TOGETHER_MIN > (longest >> DIGITS_SHIFT) as f64 {
            (0..count).for_each(|index| put(longest.saturating_sub((index as f64 * step_ns) as u64), 1));
            return;
        }
        // Latencies that the histogram does not tell apart are recorded together: late messages come in large numbers.
        let mut index = 0;
        while index < count {
            let latency = longest.saturating_sub((index as f64 * step_ns) as u64);
            let together = ((latency >> DIGITS_SHIFT) as f64 / step_ns) as u64;
            let together = together.clamp(1, count - index);
            put(latency, together);
            index += together;
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
    fn a_run_is_recorded_like_its_messages() {
        for (now, step_ns, count) in
            [(1_900, 1.5, 400), (90_000_000, 0.3, 3_000), (1_700, 300.0, 3), (5_000_000, 40.0, 24)]
        {
            let (mut run, mut single) = (recorder(), recorder());
            run.record_run(now, 1_010, step_ns, count);
            single.record(now, (0..count).map(|index| 1_010 + (index as f64 * step_ns) as Time));
            let of = |recorder: &Recorder| {
                let latencies = recorder.intervals().iter().filter_map(|interval| interval.latencies.clone());
                latencies.reduce(|one, other| one + other).expect("recorded")
            };
            let (run, single) = (of(&run), of(&single));
            assert_eq!(run.len(), single.len(), "at {now}");
            for quantile in [0.0, 0.1, 0.5, 0.9, 1.0] {
                let (one, other) = (run.value_at_quantile(quantile), single.value_at_quantile(quantile));
                assert!(one.abs_diff(other) <= other / 500 + 1, "{one} for {other} at {quantile} of {now}");
            }
        }
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
