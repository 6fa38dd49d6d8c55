//! What people are shown of samples, by the kind of traffic.

use crate::lab::case::{Column, Goal, Shown};
use crate::lab::table::{percent, significant, tenths};
use crate::traffic::sample::{
    BYTES_EACH, COMPLETIONS, CPU, CPU_OF_BYTES, CPU_OF_TRIP, P50, P99, P999, PLUGINS_BUSY, RATE, SERVER_BUSY, SWITCHES,
    SYSCALLS, WAKES,
};

/// For messages one way.
pub(super) fn flow(baseline: &'static str) -> Vec<Column> {
    vec![
        Column::median(CPU, significant),
        Column::median(CPU_OF_BYTES, |seconds| format!("{seconds:.3}")),
        Column::median(RATE, |rate| format!("{rate:.0}")),
        Column::ratio("CPU / baseline", CPU, baseline),
        Column::ratio("messages/s / baseline", RATE, baseline),
        Column::median(SWITCHES, significant),
        Column::median(SERVER_BUSY, percent),
        Column::median(PLUGINS_BUSY, percent),
    ]
}

/// For messages there and back.
pub(super) fn round_trip(baseline: &'static str) -> Vec<Column> {
    vec![
        Column::median(P50, tenths),
        Column::median(P99, tenths),
        Column::median(P999, tenths),
        Column::ratio("p50 / baseline", P50, baseline),
        Column::ratio("p99 / baseline", P99, baseline),
        Column::median(CPU_OF_TRIP, tenths),
        Column::ratio("CPU / baseline", CPU, baseline),
        Column::median(SWITCHES, significant),
    ]
}

/// For what the server holds.
pub(super) const MEMORY: [Column; 1] = [Column::new(BYTES_EACH, BYTES_EACH, Shown::Spread(0))];

/// For what was counted: for each thousand messages.
pub(super) const COUNTS: [Column; 3] = [
    Column::median(SYSCALLS, significant),
    Column::median(COMPLETIONS, significant),
    Column::median(WAKES, significant),
];

/// What a goal is about.
pub(super) fn compared(goal: &Goal) -> &'static str {
    match goal.figure {
        CPU => "CPU for each message / baseline",
        RATE => "messages/s / baseline",
        P50 => "p50 / baseline",
        P99 => "p99 / baseline",
        figure => figure,
    }
}
