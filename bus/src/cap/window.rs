//! The cap of one half, its adaptive flow-control window: it grows when it keeps its writer waiting, and shrinks when bytes
//! stand in the relay or when nothing is said.
//!
//! Nobody tells the relay that a writer waits for credit, and with a long way between them the relay never sees it
//! without: what it has granted is on its way while the writer starves. But such a writer leaves a trace. It sends all
//! that it knows of, to the last bytes, and then nothing until more has reached it. So each grant leaves a mark where
//! the writer would run dry without it. If bytes come up to a mark, and beyond it only after a pause that is a good part
//! of the time since the grant, the writer has starved in that pause. That needs no guess of a round trip, and works from
//! microseconds to seconds; a writer that is merely at leisure does not pause just there.
//!
//! It starved for our sake only if the reader had given more than the cap let through, and if nothing stood in the relay
//! meanwhile: else the reader is the slow one. A cap that keeps its writer waiting doubles, as long as that makes the half
//! faster: what a starving writer gets is a window for each time that a grant takes to come back as bytes, and these to
//! leave. Where the way is long, twice the window is twice as fast. Where the reader or the processors are the limit, twice
//! the window only takes twice the time, and memory, and caches; then the cap stays.
//!
//! A backlog stands when the relay has never been without bytes of the half for a whole interval. How long each of them
//! waited follows from how many left meanwhile (Little's law), so bytes carry no times.

use std::time::{Duration, Instant};

use super::{Caps, Pace};
use limits::{GRANT_BYTES_MIN, READ_BYTES_MIN};

/// A pause counts as starvation from this part of the time since the grant on: a writer that is idle for less than that
/// wastes no more than it.
const PAUSE_SHARE: u32 = 16;

/// Marks of one half that are kept. There are hardly more than two at a time, since a grant is at least as large as what
/// the writer still has.
const MARKS_MAX: usize = 4;

/// How often a writer must have starved before a cap is judged, and how often is enough.
const STARVED_MIN: u32 = 2;
const STARVED_ENOUGH: u32 = 16;

/// One window of so many must end in starvation for a cap to be too small: with fewer there is little to gain.
const WINDOWS_MAX: u64 = 8;

/// How long a cap is watched before it is judged, if the writer has not starved often enough earlier: while it grows, and
/// after it has been found large enough.
const GROWING: Duration = Duration::from_millis(10);
const GROWN: Duration = Duration::from_secs(1);

/// How much faster a half must have become by the last two doublings for a third one.
const GAIN_MIN: f64 = 1.2;
/// From this on it must be more, in bytes: a larger window leaves the caches, which only a long way is worth. With 2 MiB a
/// pair on unix sockets took 1.2 times the CPU of a byte forwarder for messages of 64 B, and 1.3 times that of a splice
/// forwarder for 1 MiB; growing to 16 MiB now and then, 1.5 times.
const NEAR_BYTES: u64 = 2 << 20;
/// How much more. With a long way two doublings make it four times as fast.
const FAR_GAIN_MIN: f64 = 2.5;
/// How much slower it must have become for what was measured before to mean nothing any more.
const LOSS_MIN: f64 = 2.0;

/// What a half looks like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditSample {
    /// The time.
    pub now: Instant,
    /// Bytes that its writer may still send.
    pub unspent_bytes: u64,
    /// Bytes that its reader has given and that have not been granted.
    pub banked_bytes: u64,
}

/// The cap of one half, and what it is derived from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    cap: Cap,
    /// What the writer could send after the last look.
    unspent_bytes: u64,
    /// Made when the first bytes come: there are many halves on which none ever do.
    controller: Option<Box<CapController>>,
}

/// How much may be out, and its bounds.
#[derive(Clone, Debug, PartialEq)]
struct Cap {
    bytes: u64,
    min_bytes: u64,
    max_bytes: u64,
}

/// What has become of a half on which bytes have come, as far as its cap is derived from it.
#[derive(Clone, Debug, PartialEq)]
struct CapController {
    /// What was held at the last look.
    held_bytes: u64,
    /// Whether the cap, and nothing else, has kept credit back since bytes came last.
    capped: bool,
    /// Whether nothing was held at some time since bytes came last.
    cleared: bool,
    /// When that was.
    looked_at: Option<Instant>,
    /// When bytes came last.
    received_at: Option<Instant>,
    /// The nearest first.
    marks: Vec<Mark>,
    trial: Option<Trial>,
    /// How fast the half was with a quarter and with half of the cap, in bytes for each nanosecond; 0 where nobody knows.
    speeds: [f64; 2],
    /// Whether the cap has been found large enough.
    grown: bool,
    backlog: Option<Backlog>,
    /// What has left in all.
    carried_bytes: u64,
}

/// Where the writer would have run dry without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    granted_at: Instant,
    /// Bytes that are still to come before it.
    left_bytes: u64,
}

/// What a cap is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trial {
    begun_at: Instant,
    /// Bytes received since then.
    received_bytes: u64,
    /// How often the writer has starved, and how long its grants took to come back as bytes, all together.
    starved: u32,
    waited: Duration,
    /// How long bytes were held meanwhile.
    held: Duration,
}

/// What has been held since the interval began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backlog {
    begun_at: Instant,
    least_bytes: u64,
    drained_bytes: u64,
}

impl Window {
    /// The most that it takes beside itself, in bytes.
    pub(super) const BYTES_BESIDE: usize = size_of::<CapController>() + MARKS_MAX * size_of::<Mark>();

    pub(super) fn new(caps: Caps) -> Self {
        let Caps { min_bytes, initial_bytes: bytes, max_bytes } = caps;
        Self { cap: Cap { bytes, min_bytes, max_bytes }, unspent_bytes: 0, controller: None }
    }

    pub(super) fn cap_bytes(&self) -> u64 {
        self.cap.bytes
    }

    /// What can always be granted.
    pub(super) fn floor_bytes(&self) -> u64 {
        self.cap.min_bytes
    }

    /// Whether more has left than can be on its way to a reader that does not read.
    pub(super) fn is_read(&self) -> bool {
        self.controller.as_ref().is_some_and(|controller| controller.carried_bytes >= READ_BYTES_MIN)
    }

    /// Takes note of what has happened since the last look, when `held_bytes` are held now. Returns whether bytes came.
    pub(super) fn observe(&mut self, sample: &CreditSample, held_bytes: u64, pace: &Pace) -> bool {
        let received = self.unspent_bytes.saturating_sub(sample.unspent_bytes);
        self.unspent_bytes = sample.unspent_bytes;
        if received > 0 || self.controller.is_some() {
            let controller = self.controller.get_or_insert_with(|| Box::new(CapController::new()));
            controller.observe(received, sample.now, held_bytes, &mut self.cap, pace);
        }
        received > 0
    }

    /// Notes what has been granted, and whether the cap kept the rest back. `received`: bytes have come at this look.
    pub(super) fn granted(&mut self, amount: u64, now: Instant, received: bool, capped: bool) {
        if let Some(controller) = &mut self.controller {
            if capped && amount > 0 && controller.marks.len() < MARKS_MAX {
                controller.marks.push(Mark { granted_at: now, left_bytes: self.unspent_bytes });
            }
            controller.capped = capped && (received || controller.capped);
        }
        self.unspent_bytes += amount;
    }
}

impl CapController {
    fn new() -> Self {
        Self {
            held_bytes: 0,
            capped: false,
            cleared: true,
            looked_at: None,
            received_at: None,
            marks: Vec::new(),
            trial: None,
            speeds: [0.0; 2],
            grown: false,
            backlog: None,
            carried_bytes: 0,
        }
    }

    fn observe(&mut self, received: u64, now: Instant, held_bytes: u64, cap: &mut Cap, pace: &Pace) {
        // What has been waiting since before these bytes.
        let standing = held_bytes.saturating_sub(received);
        self.cleared |= standing == 0;
        if let (Some(trial), Some(at)) = (&mut self.trial, self.looked_at.replace(now)) {
            trial.held += if self.held_bytes > 0 { now.saturating_duration_since(at) } else { Duration::ZERO };
        }
        self.settle_backlog(now, (self.held_bytes + received).saturating_sub(held_bytes), standing, cap, pace);
        if received > 0 {
            self.note_received(received, now, cap, pace);
            self.cleared = held_bytes == 0;
        }
        self.held_bytes = held_bytes;
    }

    fn note_received(&mut self, received: u64, now: Instant, cap: &mut Cap, pace: &Pace) {
        let trial =
            Trial { begun_at: now, received_bytes: 0, starved: 0, waited: Duration::ZERO, held: Duration::ZERO };
        self.trial.get_or_insert(trial).received_bytes += received;
        let pause = self.received_at.map(|at| now.saturating_duration_since(at)).unwrap_or_default();
        self.received_at = Some(now);
        let mut waited = None;
        self.marks.retain_mut(|mark| {
            if let Some(left) = mark.left_bytes.checked_sub(received) {
                mark.left_bytes = left;
                return true;
            }
            let on_its_way = now.saturating_duration_since(mark.granted_at);
            if mark.left_bytes <= GRANT_BYTES_MIN && pause * PAUSE_SHARE >= on_its_way {
                waited = Some(on_its_way);
            }
            false
        });
        if let Some(waited) = waited.filter(|waited| !waited.is_zero() && self.capped && self.cleared) {
            self.starved(waited, now, cap);
        }
        self.forget_idle(pause.as_nanos() / pace.idle.as_nanos().max(1), cap);
    }

    /// The writer had to wait for so long.
    fn starved(&mut self, waited: Duration, now: Instant, cap: &mut Cap) {
        let Some(trial) = &mut self.trial else { return };
        trial.starved += 1;
        trial.waited += waited;
        let watched = now.saturating_duration_since(trial.begun_at);
        let enough = if self.grown { watched >= GROWN } else { trial.starved >= STARVED_ENOUGH || watched >= GROWING };
        if trial.starved >= STARVED_MIN && enough {
            let trial = *trial;
            self.trial = None;
            self.judge(&trial, cap);
        }
    }

    fn judge(&mut self, trial: &Trial, cap: &mut Cap) {
        let windows_bytes = u64::from(trial.starved).saturating_mul(cap.bytes);
        if trial.received_bytes / WINDOWS_MAX > windows_bytes {
            return;
        }
        // Of the time for which bytes were held, the part that goes with the windows that were waited for.
        let part = (windows_bytes as f64 / trial.received_bytes as f64).min(1.0);
        let speed = windows_bytes as f64 / (trial.waited + trial.held.mul_f64(part)).as_nanos() as f64;
        let [before, last] = self.speeds;
        let gain_min = if cap.bytes < NEAR_BYTES { GAIN_MIN } else { FAR_GAIN_MIN };
        self.grown = speed < gain_min * before;
        if !self.grown {
            self.speeds = [last, speed];
            cap.bytes = (2 * cap.bytes).min(cap.max_bytes);
        } else if speed * LOSS_MIN < before {
            self.speeds = [0.0; 2];
        }
    }

    /// Halves the cap for each time of silence. What has been measured before means nothing any more.
    fn forget_idle(&mut self, times: u128, cap: &mut Cap) {
        if times > 0 {
            let times = u32::try_from(times).unwrap_or(u32::MAX);
            cap.bytes = cap.bytes.checked_shr(times).unwrap_or(0).max(cap.min_bytes);
            (self.trial, self.speeds, self.grown) = (None, [0.0; 2], false);
        }
    }

    fn settle_backlog(&mut self, now: Instant, drained: u64, standing: u64, cap: &mut Cap, pace: &Pace) {
        self.carried_bytes = self.carried_bytes.saturating_add(drained);
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
            // It is not doubled again at once, or it would swing; and what larger caps were worth is another matter now.
            cap.bytes = (cap.bytes / 4 * 3).max(cap.min_bytes);
            (self.trial, self.speeds, self.grown) = (None, [0.0; 2], true);
        }
    }
}
