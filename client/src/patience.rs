//! Patience with the relay: how long it is waited for, in time in which this process ran.
//!
//! A process may be stopped, frozen, or moved to another machine, and then a clock says that much time has passed in which
//! nobody looked whether an answer is there, and perhaps nobody could give one. So the time is cut into slices, with a look
//! at the clock behind each. A look that comes much later than it was set for shows a pause, and its slice is waited again.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Into so many slices the time is cut: a pause takes at most one of them away from the relay.
const SLICES: u32 = 8;

/// A look that comes later than a whole slice and this shows a pause. Less is what a busy machine does.
const LATE_MIN: Duration = Duration::from_millis(250);

/// The last look comes so long behind the last slice: the runtime looks at its sockets before it looks at its timers
/// again, so what has come by the end of the time is read before it is judged.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// Far beyond any uptime, where a sum with an instant does not overflow.
const AGES: Duration = Duration::from_secs(1 << 30);

/// Time that runs out, in slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    slice: Duration,
    slices_left: u32,
    /// When to look next.
    deadline: Instant,
}

impl Patience {
    /// Lasts for `total` from now on.
    pub(crate) fn new(total: Duration, now: Instant) -> Self {
        let slice = (total / SLICES).min(AGES);
        Self { slice, slices_left: SLICES, deadline: now + slice }
    }

    /// When to look next.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A look at the clock. Returns whether the time is over.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        let Some(late) = now.checked_duration_since(self.deadline) else { return false };
        if self.slices_left == 0 {
            return true;
        }
        if late <= self.slice.max(LATE_MIN) {
            self.slices_left -= 1;
        }
        self.deadline = now + if self.slices_left == 0 { LAST_LOOK } else { self.slice };
        false
    }
}

/// Waits for a future for `total` at the most; nothing when it is not done by then.
pub(crate) async fn within<F: Future>(total: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut patience = Patience::new(total, Instant::now());
    loop {
        if let Ok(output) = timeout_at(patience.deadline(), future.as_mut()).await {
            return Some(output);
        }
        if patience.is_over(Instant::now()) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: Duration = Duration::from_secs(8);

    /// Looks whenever it is due; returns how long it lasted.
    fn lasts(mut patience: Patience, start: Instant) -> Duration {
        loop {
            let now = patience.deadline();
            if patience.is_over(now) {
                return now - start;
            }
        }
    }

    #[test]
    fn it_lasts_as_long_as_it_was_set_for() {
        let start = Instant::now();
        assert_eq!(lasts(Patience::new(TOTAL, start), start), TOTAL + LAST_LOOK);
        let none = lasts(Patience::new(Duration::ZERO, start), start);
        assert_eq!(none, LAST_LOOK, "no time is over at once");
        assert!(Patience::new(Duration::MAX, start).deadline() > start, "no sum overflows");
    }

    #[test]
    fn a_look_too_early_counts_nothing() {
        let start = Instant::now();
        let mut patience = Patience::new(TOTAL, start);
        for _ in 0..100 {
            assert!(!patience.is_over(start));
        }
        assert_eq!(lasts(patience, start), TOTAL + LAST_LOOK);
    }

    #[test]
    fn a_pause_does_not_count() {
        let pause = Duration::from_secs(3600);
        for pauses in 1..10 {
            let start = Instant::now();
            let mut patience = Patience::new(TOTAL, start);
            let mut now = start;
            for _ in 0..pauses {
                now = patience.deadline() + pause;
                assert!(!patience.is_over(now));
            }
            assert_eq!(lasts(patience, now), TOTAL + LAST_LOOK, "all of it is left");
        }
    }

    #[test]
    fn being_a_little_late_counts() {
        let start = Instant::now();
        let mut patience = Patience::new(TOTAL, start);
        let mut looks = 0;
        while !patience.is_over(patience.deadline() + Duration::from_secs(1)) {
            looks += 1;
        }
        assert_eq!(looks, SLICES);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_taken_however_late() {
        let sleep = tokio::time::sleep(Duration::from_secs(7));
        assert_eq!(within(TOTAL, sleep).await, Some(()));
        assert_eq!(within(TOTAL, std::future::pending::<()>()).await, None);
    }
}
