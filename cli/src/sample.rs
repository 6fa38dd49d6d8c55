//! What went on between two looks at the bus.

use std::collections::HashMap;
use std::time::Duration;

use minbus::{Bus, ConnectionId, End, Flow, FlowState, Stats, StatsError};
use tokio::time::sleep;

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

    /// Which part of the time that was, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        if self.span.is_zero() {
            1.0
        } else {
            self.times[self.state() as usize].as_secs_f64() / self.span.as_secs_f64()
        }
    }

    pub(crate) fn bytes_per_second(&self) -> f64 {
        self.per_second(self.bytes)
    }

    pub(crate) fn messages_per_second(&self) -> f64 {
        self.per_second(self.messages)
    }

    fn per_second(&self, count: u64) -> f64 {
        if self.span.is_zero() { 0.0 } else { count as f64 / self.span.as_secs_f64() }
    }
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
pub(crate) fn label(end: &End) -> String {
    let ConnectionId { shard, port } = end.connection;
    if end.name.is_empty() { format!("client {shard}/{port}") } else { end.name.to_string() }
}
