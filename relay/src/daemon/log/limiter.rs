//! Rate limiting of the log: a token bucket for lines of each kind, so that no peer can fill the disk.
//!
//! Every line is limited that is not of the daemon's own start and end, whoever wrote it and for whatever reason: a kind
//! is a place in the code, and the `kind` that it gives, if it gives one. What is left out is counted, and told of soon after.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::queue::Queue;
use limits::{LOG_BURST_LINES, LOG_KINDS_MAX, LOG_LEFT_OUT_INTERVAL_MS, LOG_LINE_INTERVAL_MS};

/// The target of what the daemon says of its start and its end, each once.
const SPARED: &str = "relay::daemon";

const LINE_INTERVAL: Duration = Duration::from_millis(LOG_LINE_INTERVAL_MS);
const LEFT_OUT_INTERVAL: Duration = Duration::from_millis(LOG_LEFT_OUT_INTERVAL_MS);

/// Lines of a kind that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// What they say.
    pub(super) line: String,
    /// The `kind` that they give, or nothing.
    pub(super) kind: String,
    /// How many.
    pub(super) lines: u64,
}

/// The buckets, and who tells what they leave out.
#[derive(Debug)]
pub(super) struct Limiter {
    buckets: Mutex<Buckets>,
    queue: Arc<Queue>,
}

impl Limiter {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { buckets: Mutex::default(), queue }
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When something that was left out is to be told.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.buckets().due_at
    }

    /// What is to be told by now, or all that was left out when there is no time.
    pub(super) fn take_due(&self, now: Option<Instant>) -> Vec<LeftOut> {
        self.buckets().take_due(now)
    }

    /// Whether this line may be written now.
    fn admit(&self, event: &Event<'_>, now: Instant) -> bool {
        let mut kind = Text { field: "kind", text: String::new() };
        event.record(&mut kind);
        let mut buckets = self.buckets();
        let nothing_due = buckets.due_at.is_none();
        let bucket = buckets.bucket(event.metadata().callsite(), kind.text, event, now);
        let admitted = bucket.take(now);
        if !admitted {
            let due_at = bucket.due_at();
            buckets.due_at = buckets.due_at.or(due_at);
            drop(buckets);
            if nothing_due {
                self.queue.poke();
            }
        }
        admitted
    }
}

/// The limiter as a part of the subscriber.
pub(super) struct Limit(pub(super) Arc<Limiter>);

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // Who asks for debug and trace wants to see all that happens, and not for long.
        let is_limited = *metadata.level() <= Level::INFO && metadata.target() != SPARED;
        !is_limited || self.0.admit(event, Instant::now())
    }
}

#[derive(Debug, Default)]
struct Buckets {
    by_callsite: HashMap<Identifier, HashMap<String, Bucket>>,
    /// How many those are.
    kinds: usize,
    /// What all further ones share.
    others: Option<Bucket>,
    /// When the first of them is to tell what it has left out.
    due_at: Option<Instant>,
}

impl Buckets {
    fn bucket(&mut self, callsite: Identifier, kind: String, event: &Event<'_>, now: Instant) -> &mut Bucket {
        let of_callsite = self.by_callsite.entry(callsite).or_default();
        if self.kinds >= LOG_KINDS_MAX && !of_callsite.contains_key(&kind) {
            let line = "lines of other kinds".to_owned();
            return self.others.get_or_insert_with(|| Bucket::new(line, String::new(), now));
        }
        of_callsite.entry(kind).or_insert_with_key(|kind| {
            self.kinds += 1;
            let mut message = Text { field: "message", text: String::new() };
            event.record(&mut message);
            Bucket::new(message.text, kind.clone(), now)
        })
    }

    fn take_due(&mut self, now: Option<Instant>) -> Vec<LeftOut> {
        if self.due_at.is_none_or(|at| now.is_some_and(|now| now < at)) {
            return Vec::new();
        }
        let buckets = self.by_callsite.values_mut().flat_map(HashMap::values_mut).chain(&mut self.others);
        let mut due = Vec::new();
        let mut due_at = None;
        for bucket in buckets {
            due.extend(bucket.take_due(now));
            due_at = [due_at, bucket.due_at()].into_iter().flatten().min();
        }
        self.due_at = due_at;
        due
    }
}

/// The tokens of one kind of line.
#[derive(Debug)]
struct Bucket {
    tokens: u64,
    /// When the last of them came in.
    filled_at: Instant,
    left_out: LeftOut,
    /// When the first of those was left out.
    since: Option<Instant>,
}

impl Bucket {
    fn new(line: String, kind: String, now: Instant) -> Self {
        Self { tokens: LOG_BURST_LINES, filled_at: now, left_out: LeftOut { line, kind, lines: 0 }, since: None }
    }

    /// Takes a token, or counts one that there was none for.
    fn take(&mut self, now: Instant) -> bool {
        let new = now.saturating_duration_since(self.filled_at).as_millis() as u64 / LOG_LINE_INTERVAL_MS;
        if self.tokens + new >= LOG_BURST_LINES {
            (self.tokens, self.filled_at) = (LOG_BURST_LINES, now);
        } else {
            self.tokens += new;
            self.filled_at += LINE_INTERVAL * new as u32;
        }
        if self.tokens == 0 {
            self.left_out.lines += 1;
            self.since.get_or_insert(now);
            return false;
        }
        self.tokens -= 1;
        true
    }

    fn due_at(&self) -> Option<Instant> {
        self.since.map(|since| since + LEFT_OUT_INTERVAL)
    }

    fn take_due(&mut self, now: Option<Instant>) -> Option<LeftOut> {
        let at = self.due_at()?;
        if now.is_some_and(|now| now < at) {
            return None;
        }
        self.since = None;
        let told = self.left_out.clone();
        self.left_out.lines = 0;
        Some(told)
    }
}

/// The text of one field of an event.
struct Text {
    field: &'static str,
    text: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            value.clone_into(&mut self.text);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Others are not even formatted: that costs more than all the rest.
        if field.name() == self.field {
            self.text = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests;
