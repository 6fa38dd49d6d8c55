//! The cap of one half: it grows when it keeps its writer waiting, and shrinks when bytes stand in the relay or when
//! nothing is said.
//!
//! Nobody tells the relay that a writer waits for credit, and with a long way between them the relay never sees it
//! without: what it has granted is on its way while the writer starves. But such a writer leaves a trace. It sends all
//! that it knows of, to the last bytes, and then nothing until more has reached it. So each grant leaves a mark where
//! the writer would run dry without it. If bytes come up to a mark, and beyond it only after a pause that is a good part
//! of the time since the grant, the writer has starved in that pause. That needs no guess of a round trip, and works from
//! microseconds to seconds; a writer that is merely at leisure does not pause just there.
//!
//! It starved for our sake only if the reader had given more than the cap let through, and if nothing stood in the relay
//! meanwhile: else the reader is the slow one. Twice within two windows, and the cap doubles.
//!
//! A backlog stands when the relay has never been without bytes of the half for a whole interval. How long each of them
//! waited follows from how many left meanwhile (Little's law), so bytes carry no times.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Caps, Pace};
use crate::limits::GRANT_BYTES_MIN;

/// A pause counts as starvation from this part of the time since the grant on: a writer that is idle for less than that
/// wastes no more than it.
const PAUSE_SHARE: u32 = 16;

/// Marks of one half that are kept. There are hardly more than two at a time, since a grant is at least as large as what
/// the writer still has.
const MARKS_MAX: usize = 4;

/// What a half looks like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The time.
    pub now: Instant,
    /// Bytes that its writer may still send.
    pub unspent_bytes: u64,
    /// Bytes that its reader has given and that have not been granted.
    pub banked_bytes: u64,
}

/// The cap of one half, and what it is derived from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    caps: Caps,
    cap_bytes: u64,
    /// What the writer could send after the last look.
    unspent_bytes: u64,
    /// What was held at the last look.
    held_bytes: u64,
    /// Whether the cap, and nothing else, has kept credit back since bytes came last.
    capped: bool,
    /// Whether nothing was held at some time since bytes came last.
    cleared: bool,
    /// When bytes came last.
    received_at: Option<Instant>,
    /// The nearest first.
    marks: VecDeque<Mark>,
    /// Bytes received since the writer was first found starving, until it is found so again.
    hungry_bytes: Option<u64>,
    backlog: Option<Backlog>,
}

/// Where the writer would have run dry without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    granted_at: Instant,
    /// Bytes that are still to come before it.
    left_bytes: u64,
}

/// What has been held since the interval began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backlog {
    begun_at: Instant,
    least_bytes: u64,
    drained_bytes: u64,
}

impl Window {
    pub(super) fn new(caps: Caps) -> Self {
        Self {
            caps,
            cap_bytes: caps.initial_bytes,
            unspent_bytes: 0,
            held_bytes: 0,
            capped: false,
            cleared: true,
            received_at: None,
            marks: VecDeque::new(),
            hungry_bytes: None,
            backlog: None,
        }
    }

    pub(super) fn cap_bytes(&self) -> u64 {
        self.cap_bytes
    }

    /// Takes note of what has happened since the last look, when `held_bytes` are held now. Returns whether bytes came.
    pub(super) fn observe(&mut self, look: &Look, held_bytes: u64, pace: &Pace) -> bool {
        let received = self.unspent_bytes.saturating_sub(look.unspent_bytes);
        // What has been waiting since before these bytes.
        let standing = held_bytes.saturating_sub(received);
        self.cleared |= standing == 0;
        self.settle_backlog(look.now, (self.held_bytes + received).saturating_sub(held_bytes), standing, pace);
        if received > 0 {
            self.note_received(received, look.now, pace);
            self.cleared = held_bytes == 0;
        }
        self.unspent_bytes = look.unspent_bytes;
        self.held_bytes = held_bytes;
        received > 0
    }

    /// Notes what has been granted, and whether the cap kept the rest back. `received`: bytes have come at this look.
    pub(super) fn granted(&mut self, amount: u64, now: Instant, received: bool, capped: bool) {
        if capped && amount > 0 && self.marks.len() < MARKS_MAX {
            self.marks.push_back(Mark { granted_at: now, left_bytes: self.unspent_bytes });
        }
        self.unspent_bytes += amount;
        self.capped = capped && (received || self.capped);
    }

    fn note_received(&mut self, received: u64, now: Instant, pace: &Pace) {
        if let Some(hungry) = &mut self.hungry_bytes {
            *hungry = hungry.saturating_add(received);
        }
        let pause = self.received_at.map(|at| now.saturating_duration_since(at));
        self.received_at = Some(now);
        let mut starved = false;
        self.marks.retain_mut(|mark| {
            if let Some(left) = mark.left_bytes.checked_sub(received) {
                mark.left_bytes = left;
                return true;
            }
            let on_its_way = now.saturating_duration_since(mark.granted_at);
            starved |=
                mark.left_bytes <= GRANT_BYTES_MIN && pause.is_some_and(|pause| pause * PAUSE_SHARE >= on_its_way);
            false
        });
        if starved && self.capped && self.cleared {
            self.starved();
        }
        let idle = pause.unwrap_or_default().as_nanos() / pace.idle.as_nanos().max(1);
        self.forget_idle(idle);
    }

    fn starved(&mut self) {
        match self.hungry_bytes {
            Some(bytes) if bytes <= 2 * self.cap_bytes => {
                self.cap_bytes = (2 * self.cap_bytes).min(self.caps.max_bytes);
                self.hungry_bytes = None;
            }
            _ => self.hungry_bytes = Some(0),
        }
    }

    /// Halves the cap for each time of silence.
    fn forget_idle(&mut self, times: u128) {
        if times > 0 {
            let halved = self.cap_bytes.checked_shr(u32::try_from(times).unwrap_or(u32::MAX)).unwrap_or(0);
            self.cap_bytes = halved.max(self.caps.min_bytes);
            self.hungry_bytes = None;
        }
    }

    fn settle_backlog(&mut self, now: Instant, drained: u64, standing: u64, pace: &Pace) {
        let begin = Backlog { begun_at: now, least_bytes: u64::MAX, drained_bytes: 0 };
        let backlog = self.backlog.get_or_insert(begin);
        backlog.drained_bytes += drained;
        backlog.least_bytes = backlog.least_bytes.min(standing);
        let elapsed = now.saturating_duration_since(backlog.begun_at);
        if elapsed < pace.interval {
            return;
        }
        // They waited for least / (drained / elapsed).
        let waited_longer = u128::from(backlog.least_bytes) * elapsed.as_nanos()
            > u128::from(backlog.drained_bytes) * pace.standing.as_nanos();
        self.backlog = Some(begin);
        if waited_longer {
            self.cap_bytes = (self.cap_bytes / 4 * 3).max(self.caps.min_bytes);
            self.hungry_bytes = None;
        }
    }
}
