//! Wait states: what each direction of a channel has waited for, and for how long, so that it can be told who blocks whom
//! (`docs/blame.md`).
//!
//! A *flow* is one direction: its writer's plugin, the relay, its reader's plugin. At each instant it is in exactly one
//! [`FlowState`], so the times of all states sum up to its age. The relay knows what it has seen and not what a writer
//! wants, so two rules look back:
//!
//! - Bytes that are held are on their way as long as they keep leaving. They wait for the reader's socket when the shard
//!   says so of those that left ([`WaitStates::left`]), or when none has left for a `MOMENT_NS`: then all the time since then.
//! - A writer that had run out of credit is taken to want more. The time that it takes to answer a grant is still time
//!   in which it was short of credit, up to a few times what it usually takes; what goes beyond is idleness. Without
//!   this a window that is too small for the way would never show, for the credit is nearly always on its way.
//!
//! No clock is read here. [`WaitStates::observe`] is called at most once a tick for a flow on which something has happened.
//! Times are nanoseconds on a clock of the writer's connection, which lasts for centuries and costs less than a `Duration`.

mod clock;

use clock::{FOREVER, WaitClock};
pub use wire::stats::FlowState;

/// A clock's nanoseconds.
pub type Nanos = u64;

/// How many states there are.
pub const STATES: usize = FlowState::ALL.len();

/// What is known of a flow when a tick is over.
#[derive(Clone, Copy, Debug)]
pub struct FlowSample {
    /// The time of the tick.
    pub now: Nanos,
    /// Credit that the writer had left before this tick's grant, in bytes.
    pub credit_before: u64,
    /// And after it.
    pub credit: u64,
    /// Credit of the reader's that was not granted, in bytes.
    pub banked: u64,
    /// Payload that the relay holds, in bytes.
    pub held: u64,
    /// For how long the writer's connection has not been read, since it began.
    pub unread: Nanos,
    /// Whether the last receive from the writer's connection left bytes behind.
    pub more_waits: bool,
}

/// What has become of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// How long it has been open.
    pub age: Nanos,
    /// How much of that it was in each state, in their order.
    pub times: [Nanos; STATES],
    /// The state that it is in.
    pub state: FlowState,
    /// How often it has come to wait for anything but its writer.
    pub stalls: u64,
    /// Payload that has come, in bytes.
    pub bytes: u64,
    /// Messages that have come.
    pub messages: u64,
}

/// What one flow has waited for.
#[derive(Clone, Debug)]
pub struct WaitStates {
    began: Nanos,
    /// When its writer got credit first, if ever; [`FlowSample::unread`] then, whether some was held back, and what it has had
    /// since.
    credited: Nanos,
    unread: Nanos,
    held_back: bool,
    credit: u64,
    /// From the first payload on. There are many flows on which none ever comes, and until then there is little to know.
    clock: Option<Box<WaitClock>>,
}

impl WaitStates {
    /// The most that it takes beside itself, in bytes.
    pub const BYTES_BESIDE: usize = size_of::<WaitClock>();

    /// A flow that begins now, without credit.
    #[must_use]
    pub fn new(now: Nanos) -> Self {
        Self { began: now, credited: FOREVER, unread: 0, held_back: false, credit: 0, clock: None }
    }

    /// Whether anything has come from the writer.
    #[inline]
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.clock.is_some()
    }

    /// Payload has come from the writer.
    #[inline]
    pub fn count(&mut self, messages: u64, bytes: u64) {
        self.clock().count(messages, bytes);
    }

    /// Bytes that were held have left the relay.
    #[inline]
    pub fn left(&mut self) {
        self.clock().left();
    }

    /// The bytes that leave next had to wait for the reader's socket.
    pub fn waited(&mut self) {
        self.clock().waited();
    }

    /// Whether messages without payload wait for the reader's socket, so many that the writer is not read.
    pub fn clogged(&mut self, clogged: bool) {
        self.clock().clogged(clogged);
    }

    /// Accounts for the time since the last look, and judges what comes next.
    #[inline]
    pub fn observe(&mut self, sample: &FlowSample) {
        if self.clock.is_some() || !self.look_ahead(sample) {
            self.clock().observe(sample);
        }
    }

    /// What has become of it, for one that looks in between. `unread` as in [`FlowSample`].
    #[must_use]
    pub fn report(&self, now: Nanos, unread: Nanos) -> Report {
        match &self.clock {
            Some(clock) => clock.report(now, unread),
            None => self.begin().report(now, unread),
        }
    }

    /// Looks at a flow on which nothing has come. Returns false if that is not all there is to it.
    fn look_ahead(&mut self, sample: &FlowSample) -> bool {
        if sample.credit > 0 && self.credited == FOREVER {
            self.credited = sample.now;
            self.unread = sample.unread;
            self.held_back = sample.banked > 0;
        }
        self.credit = sample.credit;
        sample.held == 0 && (sample.credit > 0 || sample.banked == 0)
    }

    #[inline]
    fn clock(&mut self) -> &mut WaitClock {
        if self.clock.is_none() {
            self.clock = Some(Box::new(self.begin()));
        }
        self.clock.as_mut().expect("it has been made")
    }

    /// The clock up to the first payload.
    #[cold]
    fn begin(&self) -> WaitClock {
        let mut clock = WaitClock::new(self.began);
        if self.credited != FOREVER {
            let Self { credited: now, unread, held_back, credit, .. } = *self;
            let banked = u64::from(held_back);
            clock.observe(&FlowSample { now, credit_before: 0, credit, banked, held: 0, unread, more_waits: false });
        }
        clock
    }
}

#[cfg(test)]
mod tests;
