//! What tables show of a series of samples, by the kind of traffic.

use super::counting::Counts;
use super::outcome::{Outcome, Series, Spread};
use super::sample::Sample;
use super::table::{micros, percent, significant};

/// The head of a column, and what stands in it.
pub(super) type Column = (&'static str, fn(&Outcome, &Series) -> String);

/// For messages one way.
pub(super) fn flow(counts: bool) -> Vec<Column> {
    let columns: [Column; 8] = [
        ("CPU ns/message", |_, series| significant(series.median(Sample::cpu_ns_per_message))),
        ("CPU s/GB", |_, series| format!("{:.3}", series.median(Sample::cpu_s_per_gb))),
        ("messages/s", |_, series| format!("{:.0}", series.median(Sample::messages_per_s))),
        ("CPU / baseline", |outcome, series| spread(outcome.ratios(series.name, Sample::cpu_ns_per_message), 2)),
        ("messages/s / baseline", |outcome, series| spread(outcome.ratios(series.name, Sample::messages_per_s), 2)),
        ("switches/1000", |_, series| significant(series.median(Sample::switches_per_message) * 1e3)),
        ("server busy", |_, series| percent(series.median(|sample| sample.busy()[0]))),
        ("plugins busy", |_, series| percent(series.median(|sample| sample.busy()[1]))),
    ];
    with_counts(&columns, counts)
}

/// For messages there and back.
pub(super) fn round_trip(counts: bool) -> Vec<Column> {
    let columns: [Column; 8] = [
        ("p50 us", |_, series| micros(series.median(Sample::p50_ns))),
        ("p99 us", |_, series| micros(series.median(Sample::p99_ns))),
        ("p99.9 us", |_, series| micros(series.median(Sample::p999_ns))),
        ("p50 / baseline", |outcome, series| spread(outcome.ratios(series.name, Sample::p50_ns), 2)),
        ("p99 / baseline", |outcome, series| spread(outcome.ratios(series.name, Sample::p99_ns), 2)),
        ("CPU us/trip", |_, series| micros(series.median(Sample::cpu_ns_per_message))),
        ("CPU / baseline", |outcome, series| spread(outcome.ratios(series.name, Sample::cpu_ns_per_message), 2)),
        ("switches/1000", |_, series| significant(series.median(Sample::switches_per_message) * 1e3)),
    ];
    with_counts(&columns, counts)
}

/// For what the server holds.
pub(super) const MEMORY: [Column; 1] = [("bytes each", |_, series| spread(series.spread(Sample::bytes_each), 0))];

/// For what was counted: for each thousand messages.
const COUNTS: [Column; 3] = [
    ("syscalls/1000", |_, series| counted(series, |counts| counts.syscalls)),
    ("completions/1000", |_, series| counted(series, |counts| counts.completions)),
    ("wakes/1000", |_, series| counted(series, |counts| counts.wakes)),
];

fn with_counts(columns: &[Column], counts: bool) -> Vec<Column> {
    columns.iter().chain(COUNTS.iter().filter(|_| counts)).copied().collect()
}

fn counted(series: &Series, count: fn(&Counts) -> f64) -> String {
    significant(series.median(|sample| sample.counts.as_ref().map_or(f64::NAN, count)) * 1e3)
}

fn spread(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.text(decimals))
}
