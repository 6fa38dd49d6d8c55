//! What went on between two looks at the bus.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use indicatif::BinaryBytes;
use minbus::{Bus, ConnectionId, End, Flow, FlowState, Name, Stats, StatsError};
use serde::{Serialize, Serializer};
use tokio::time::sleep;

use crate::json::Exact;

/// One direction of a channel over a time.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// How it stands at the end.
    pub(crate) flow: Flow,
    /// How long it was looked at.
    pub(crate) span: Duration,
    /// How much of that it spent in each state.
    times: [Duration; 5],
    bytes: u64,
    messages: u64,
}

impl Sample {
    /// A flow that was there before, or is new.
    pub(crate) fn new(flow: Flow, before: Option<&Flow>) -> Self {
        let since = |now: Duration, before: Option<Duration>| now.saturating_sub(before.unwrap_or_default());
        Self {
            span: since(flow.age, before.map(|flow| flow.age)),
            times: std::array::from_fn(|state| since(flow.times[state], before.map(|flow| flow.times[state]))),
            bytes: flow.bytes - before.map_or(0, |flow| flow.bytes),
            messages: flow.messages - before.map_or(0, |flow| flow.messages),
            flow,
        }
    }

    /// The state that it was in for most of the time.
    pub(crate) fn state(&self) -> FlowState {
        let longest = FlowState::ALL.into_iter().max_by_key(|state| self.times[*state as usize]);
        longest.filter(|_| !self.span.is_zero()).unwrap_or(self.flow.state)
    }

    /// Which part of the time that was, from 0 to 1; none where no time has passed.
    pub(crate) fn share(&self) -> Option<f64> {
        self.over_span(self.times[self.state() as usize].as_secs_f64())
    }

    pub(crate) fn bytes_per_second(&self) -> Option<f64> {
        self.over_span(self.bytes as f64)
    }

    pub(crate) fn messages_per_second(&self) -> Option<f64> {
        self.over_span(self.messages as f64)
    }

    /// Whether no byte has gone through.
    pub(crate) fn is_still(&self) -> bool {
        self.bytes == 0 || self.span.is_zero()
    }

    fn over_span(&self, amount: f64) -> Option<f64> {
        (!self.span.is_zero()).then(|| amount / self.span.as_secs_f64())
    }
}

/// Bytes in a second, for people.
pub(crate) fn rate(bytes_per_second: Option<f64>) -> String {
    bytes_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", BinaryBytes(rate as u64)))
}

/// A part of the time, for people.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// Looks at the bus again after `span`.
pub(crate) async fn again(bus: &Bus, before: &Stats, span: Duration) -> Result<(Stats, Vec<Sample>), StatsError> {
    sleep(span).await;
    let stats = bus.stats().await?;
    let known: HashMap<_, _> = before.flows.iter().map(|flow| (flow.key(), flow)).collect();
    let sample = |flow: &Flow| {
        // A channel that was closed and opened again in between is younger, and a new one.
        let before =
            known.get(&flow.key()).copied().filter(|before| before.age <= flow.age && before.bytes <= flow.bytes);
        Sample::new(flow.clone(), before)
    };
    let samples = stats.flows.iter().map(sample).collect();
    Ok((stats, samples))
}

/// What an end of a channel is called: clients have no name, so they get one of their connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    /// A plugin.
    Plugin(Name),
    /// A client.
    Client(ConnectionId),
}

impl Label {
    pub(crate) fn of(end: &End) -> Self {
        if end.name.is_empty() { Self::Client(end.connection) } else { Self::Plugin(end.name.clone()) }
    }
}

/// For people.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(name) => name.fmt(f),
            Self::Client(ConnectionId { shard, port }) => write!(f, "client {shard}/{port}"),
        }
    }
}

/// For programs.
impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plugin(name) => Exact(name).serialize(serializer),
            Self::Client(_) => serializer.collect_str(self),
        }
    }
}
