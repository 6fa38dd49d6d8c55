//! The timeout of a ring: when it is to be woken at the latest.
//!
//! A wait with a timeout of its own has the kernel start and stop a timer each time, which costs a message that is
//! answered before the next one some 4 % of its processor time. Deadlines hardly ever come nearer, so one timer is kept
//! in the ring instead, and only moved when it would ring too late. One that rings too early is a wake for nothing.

use std::time::Instant;

use io_uring::types::{TimeoutFlags, Timespec};
use io_uring::{opcode, squeue};

/// The timer of a ring.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    set_for: Option<Instant>,
    /// What the kernel reads when it takes the operation. Boxed, because the ring may move until then.
    left: Box<Timespec>,
}

/// What is to be asked of the kernel for it.
pub(super) enum Wanted {
    /// A new timer, which ends in a completion.
    Start(squeue::Entry),
    /// Another time for the timer there is.
    Move(squeue::Entry),
}

impl Alarm {
    /// The operation that makes the ring wake by `until`, if one is needed; `timer` is the user data of the timer. What it
    /// points to stays until the next call, which must come after the kernel has taken it.
    pub(super) fn set(&mut self, until: Instant, now: impl FnOnce() -> Instant, timer: u64) -> Option<Wanted> {
        let before = self.set_for.replace(until);
        if before.is_some_and(|before| before <= until) {
            self.set_for = before;
            return None;
        }
        *self.left = Timespec::from(until.saturating_duration_since(now()));
        let left: *const Timespec = &raw const *self.left;
        Some(match before {
            None => Wanted::Start(opcode::Timeout::new(left).build()),
            // When it rings before the kernel has taken this, that is a wake, and it is started anew.
            Some(_) => Wanted::Move(opcode::TimeoutUpdate::new(timer, left).flags(TimeoutFlags::empty()).build()),
        })
    }

    /// The timer has rung, or was taken away.
    pub(super) fn rang(&mut self) {
        self.set_for = None;
    }
}
