//! A flow: channels that do the same, and what one thread measures of them.

use std::sync::Arc;

use super::Time;
use super::recorder::Recorder;
use super::schedule::Schedule;
use super::sizes::Sizes;
use super::verifier::Verdict;

/// Who writes on the channels of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The plugin that opened them.
    OneWay,
    /// Both: each message is answered.
    RoundTrip,
}

/// What the channels of a flow do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FlowSpec {
    pub(crate) label: String,
    /// What is counted: "messages", "round trips".
    pub(crate) unit: &'static str,
    pub(crate) direction: Direction,
    pub(crate) request: Sizes,
    /// Sizes of the answers.
    pub(crate) response: Sizes,
    /// Messages a second over all channels, sent when they are due whatever comes back; else as fast as it goes.
    pub(crate) rate: Option<f64>,
    pub(crate) channels: u32,
    /// Unanswered messages on a channel, at the most, where there is no rate.
    pub(crate) in_flight: u32,
    /// Messages on each channel, if that ends it.
    pub(crate) limit: Option<u64>,
    /// Whether latencies are recorded although there is no rate, so that it costs as much as with one.
    pub(crate) rehearses: bool,
    /// Distinguishes the content of its channels from all others.
    pub(crate) seed: u64,
}

impl FlowSpec {
    /// Whether its channels come and go with plugins that do.
    pub(crate) fn is_transient(&self) -> bool {
        self.limit.is_some()
    }
}

/// What a thread has measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) recorder: Recorder,
    pub(crate) verdict: Verdict,
    /// Messages that have arrived, or answers to them; the window does not matter.
    pub(crate) arrived: u64,
    /// How often a channel with something to send had no credit for it, within the window, and for how long.
    pub(crate) stalls: u64,
    pub(crate) stalled_ns: u64,
    /// Messages that were due and could not be sent before the run was over. Their latency is recorded as the time that
    /// they had waited.
    pub(crate) unsent: u64,
    /// Pairs of a connect and a leave that a watcher was not told of, as the relay may choose when it is behind.
    pub(crate) elided: u64,
}

impl Measured {
    /// Adds what another thread has measured.
    pub(crate) fn add(&mut self, other: Self) {
        self.recorder.add(other.recorder);
        self.verdict += other.verdict;
        self.arrived += other.arrived;
        self.stalls += other.stalls;
        self.stalled_ns += other.stalled_ns;
        self.unsent += other.unsent;
        self.elided += other.elided;
    }
}

/// A flow, as one thread has it.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) spec: Arc<FlowSpec>,
    /// When messages are due, once it has begun.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) measured: Measured,
}

/// When things begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: Time,
    /// Whether all plugins are registered, so that channels can be opened.
    pub(crate) opens: bool,
    /// Whether messages are sent.
    pub(crate) begun: bool,
    /// When no more messages become due.
    pub(crate) stop: Time,
    /// When messages that are due are given up.
    pub(crate) give_up: Time,
}

impl Moment {
    /// Whether it is time to end.
    #[inline]
    pub(crate) fn stops(&self) -> bool {
        self.now >= self.stop
    }
}
