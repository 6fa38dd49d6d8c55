//! Histograms of all intervals, in the log format of HdrHistogram, which other tools read. Values are nanoseconds; each
//! flow has a tag.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::run::StepOutcome;

/// Maximum values are written in milliseconds, as is usual.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// A histogram of an interval.
#[derive(Debug)]
struct Entry {
    /// From the first of all.
    at: Duration,
    duration: Duration,
    tag: String,
    latencies: Histogram<u64>,
}

/// A log that grows by steps.
#[derive(Debug)]
pub(crate) struct Hlog {
    begun: SystemTime,
    entries: Vec<Entry>,
}

impl Hlog {
    /// An empty log that begins now.
    pub(crate) fn new() -> Self {
        Self { begun: SystemTime::now(), entries: Vec::new() }
    }

    /// Adds what a step that has just ended has found.
    pub(crate) fn add(&mut self, title: &str, outcome: &StepOutcome) {
        let begun = self.begun.elapsed().unwrap_or_default().saturating_sub(outcome.elapsed);
        for (spec, measured) in &outcome.flows {
            let several = outcome.flows.len() > 1;
            let tag = if several { format!("{title} {}", spec.label) } else { title.to_owned() };
            for (index, interval) in (0..).zip(measured.recorder.intervals()) {
                if let Some(latencies) = interval.latencies.clone().filter(|latencies| !latencies.is_empty()) {
                    let at = begun + outcome.interval * index;
                    self.entries.push(Entry { at, duration: outcome.interval, tag: tag_of(&tag), latencies });
                }
            }
        }
    }

    /// The log as text.
    pub(crate) fn to_text(&self) -> String {
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("latencies in nanoseconds, by minbus-load")
            .with_start_time(self.begun)
            .with_base_time(self.begun)
            .with_max_value_divisor(MAX_VALUE_DIVISOR)
            .begin_log_with(&mut bytes, &mut serializer)
            .expect("writing to memory does not fail");
        for Entry { at, duration, tag, latencies } in &self.entries {
            log.write_histogram(latencies, *at, *duration, Tag::new(tag)).expect("writing to memory does not fail");
        }
        String::from_utf8(bytes).expect("the format is text")
    }
}

/// A tag has neither spaces nor commas.
fn tag_of(title: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || "-._%".contains(c) { c } else { '-' };
    let mut tag: String = title.chars().map(word).collect();
    while tag.contains("--") {
        tag = tag.replace("--", "-");
    }
    tag
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::traffic::recorder::new_histogram;

    #[test]
    fn a_log_can_be_read_again() {
        let mut latencies = new_histogram();
        latencies.record_n(5_000_000, 3).expect("in bounds");
        let entry = |tag: &str| Entry {
            at: Duration::from_millis(1500),
            duration: Duration::from_millis(250),
            tag: tag_of(tag),
            latencies: latencies.clone(),
        };
        let log = Hlog { begun: SystemTime::now(), entries: vec![entry("rpc, 4 stalled"), entry("rpc")] };
        let text = log.to_text();
        let read: Vec<_> = IntervalLogIterator::new(text.as_bytes())
            .filter_map(|entry| match entry.expect("well-formed") {
                LogEntry::Interval(interval) => Some(interval),
                _ => None,
            })
            .collect();
        let tags: Vec<_> = read.iter().filter_map(|interval| Some(interval.tag()?.as_str())).collect();
        assert_eq!(tags, ["rpc-4-stalled", "rpc"]);
        assert_eq!(read[0].start_timestamp(), Duration::from_millis(1500));
        assert!((read[0].max() - 5.0).abs() < 0.01, "milliseconds, as is usual: {}", read[0].max());
    }
}
