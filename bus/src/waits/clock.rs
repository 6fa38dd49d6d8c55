//! The wait clock of a flow on which payload has come: its states so far, and what the next one follows from.

use super::{FlowSample, FlowState, Nanos, Report, STATES};

/// Nothing that is shorter needs an explanation, unless it repeats. About the time that a process is kept off its CPU
/// by another one; no tuning so far.
const MOMENT_NS: Nanos = 1_000_000;

/// How long a writer that was short of credit may take to answer a grant before it counts as idle, as long as none was
/// measured. No tuning so far.
pub(super) const ANSWER_NS: Nanos = 10_000_000;

/// A writer counts as idle after this many times the usual time of its answers, and a moment.
const ANSWER_TIMES: u64 = 4;

/// No way there and back is longer than this: a later answer says nothing about the way.
const ANSWER_NS_MAX: Nanos = 1_000_000_000;

/// A state does not lapse.
pub(super) const FOREVER: Nanos = Nanos::MAX;

/// The states of one flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitClock {
    began: Nanos,
    /// Up to here, time is accounted for.
    settled: Nanos,
    times: [Nanos; STATES],
    stalls: u64,
    bytes: u64,
    messages: u64,
    /// What holds the writer back, if its bytes do not wait for the reader's socket.
    state: FlowState,
    /// From when on that is taken for idleness.
    lapses: Nanos,
    /// The state that was noted last.
    noted: FlowState,
    /// Whether the relay held bytes at the last look, and whether they waited for the reader's socket.
    holds: bool,
    stuck: bool,
    /// The look at which bytes had left last, or had come to be held.
    moved: Nanos,
    /// Whether bytes have left since the last look, and whether they had waited for the reader's socket.
    left: bool,
    waited: bool,
    /// Whether messages without payload are held, so many that the writer is not read.
    clogged: bool,
    /// `bytes` and [`FlowSample::unread`] at the last look.
    bytes_seen: u64,
    unread_seen: Nanos,
    /// Credit after the last grant.
    credit_most: u64,
    /// When a writer that was short of credit got some, until it answers.
    asked: Option<Nanos>,
    /// How long it usually takes to answer.
    answer_time: Option<Nanos>,
}

impl WaitClock {
    /// A flow that begins now, without credit.
    pub(super) fn new(now: Nanos) -> Self {
        Self {
            began: now,
            settled: now,
            times: [0; STATES],
            stalls: 0,
            bytes: 0,
            messages: 0,
            state: FlowState::Reader,
            lapses: FOREVER,
            noted: FlowState::Reader,
            holds: false,
            stuck: false,
            moved: now,
            left: false,
            waited: false,
            clogged: false,
            bytes_seen: 0,
            unread_seen: 0,
            credit_most: 0,
            asked: None,
            answer_time: None,
        }
    }

    /// Payload has come from the writer.
    #[inline]
    pub(super) fn count(&mut self, messages: u64, bytes: u64) {
        self.messages += messages;
        self.bytes += bytes;
    }

    /// Bytes that were held have left the relay.
    #[inline]
    pub(super) fn left(&mut self) {
        self.left = !self.clogged;
    }

    /// The bytes that leave next had to wait for the reader's socket.
    pub(super) fn waited(&mut self) {
        self.waited = true;
    }

    /// Whether messages without payload wait for the reader's socket, so many that the writer is not read.
    pub(super) fn clogged(&mut self, clogged: bool) {
        self.clogged = clogged;
    }

    /// Accounts for the time since the last look, and judges what comes next.
    pub(super) fn observe(&mut self, sample: &FlowSample) {
        let now = sample.now;
        let was_egress = self.settle(now, sample.unread);
        let came = self.bytes != self.bytes_seen;
        if came && let Some(asked) = self.asked.take() {
            self.answered(now - asked);
        }
        let was_short = self.is_short(sample.credit_before);
        let granted = sample.credit > sample.credit_before;
        if granted {
            self.credit_most = sample.credit;
        }
        let holder = if sample.banked > 0 { FlowState::Cap } else { FlowState::Reader };
        if self.is_short(sample.credit) {
            self.asked = None;
            (self.state, self.lapses) = (holder, FOREVER);
        } else if granted && was_short {
            self.asked = Some(now);
            (self.state, self.lapses) = (holder, now + self.patience());
        } else if self.asked.is_none() && (came || self.state != FlowState::Relay) {
            let unread = came && sample.more_waits;
            (self.state, self.lapses) =
                if unread { (FlowState::Relay, now + MOMENT_NS) } else { (FlowState::Idle, FOREVER) };
        }
        let holds = sample.held > 0 || self.clogged;
        if self.left || !self.holds {
            self.moved = now;
        }
        self.stuck = (was_egress || self.clogged) && holds;
        self.holds = holds;
        (self.left, self.waited) = (false, false);
        self.bytes_seen = self.bytes;
        self.note(self.state_at(now));
    }

    /// What has become of it, for one that looks in between. `unread` as in [`FlowSample`].
    pub(super) fn report(&self, now: Nanos, unread: Nanos) -> Report {
        let mut until_now = *self;
        until_now.settle(now, unread);
        let Self { times, stalls, bytes, messages, .. } = until_now;
        let age = now - self.began;
        Report { age, times, state: self.state_at(now), stalls, bytes, messages }
    }

    /// Accounts for the time up to now. Returns whether it was time of waiting for the reader's socket.
    fn settle(&mut self, now: Nanos, unread: Nanos) -> bool {
        let (from, not_read) = (self.settled, unread - self.unread_seen);
        (self.settled, self.unread_seen) = (now, unread);
        if self.holds && if self.left { self.waited } else { self.is_stuck(now) } {
            self.spend(FlowState::Egress, now - from);
            return true;
        }
        let blocked = if self.state == FlowState::Idle { 0 } else { self.lapses.min(now).saturating_sub(from) };
        self.spend(self.state, blocked);
        let idle = now - from - blocked;
        let unread = not_read.min(idle);
        self.spend(FlowState::Relay, unread);
        self.spend(FlowState::Idle, idle - unread);
        false
    }

    #[inline]
    fn spend(&mut self, state: FlowState, time: Nanos) {
        if time > 0 {
            self.times[state as usize] += time;
            self.note(state);
        }
    }

    #[inline]
    fn note(&mut self, state: FlowState) {
        self.stalls += u64::from(self.noted == FlowState::Idle && state != FlowState::Idle);
        self.noted = state;
    }

    fn is_stuck(&self, now: Nanos) -> bool {
        self.holds && (self.stuck || now - self.moved >= MOMENT_NS)
    }

    fn state_at(&self, now: Nanos) -> FlowState {
        if self.is_stuck(now) {
            FlowState::Egress
        } else if self.lapses <= now {
            FlowState::Idle
        } else {
            self.state
        }
    }

    /// Whether this is too little credit to go on: none, or less than half of what there was and than messages take on
    /// average, for writers that do not cut their messages.
    #[inline]
    fn is_short(&self, credit: u64) -> bool {
        credit == 0 || (credit < self.credit_most / 2 && credit.saturating_mul(self.messages) < self.bytes)
    }

    fn patience(&self) -> Nanos {
        self.answer_time.map_or(ANSWER_NS, |time| time * ANSWER_TIMES + MOMENT_NS)
    }

    /// The writer has answered a grant. Quicker answers count at once, slower ones by and by: they may be idleness.
    fn answered(&mut self, time: Nanos) {
        if time > ANSWER_NS_MAX {
            return;
        }
        let slower = |usual: Nanos| usual + (time.min((usual * 8).max(MOMENT_NS)) - usual) / 4;
        self.answer_time = Some(self.answer_time.map_or(time, |usual| if time > usual { slower(usual) } else { time }));
    }
}
