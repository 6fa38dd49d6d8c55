//! What a service says on the standard error while it runs. Others cause it, so it is limited in rate, and a standard error
//! that nobody empties holds up nobody.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use rustix::stdio::stderr;
use tokio::time::{Instant, timeout};

use crate::output::PARTING;
use crate::writer::Writer;

/// So many lines may come at once: as many as there are processes by default, which may all end for one cause.
const LINES_MAX: u32 = 256;

/// Then there is one more in each such time: more than anybody reads, and a few megabytes a day.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Lines on the standard error.
pub(crate) struct Complaints {
    writer: Writer,
    rate: Rate,
    left_out: u64,
}

impl Complaints {
    pub(crate) fn new() -> io::Result<Self> {
        let writer = Writer::new(stderr(), LINES_MAX as usize)?;
        Ok(Self { writer, rate: Rate::new(Instant::now()), left_out: 0 })
    }

    /// Says it, or counts it as left out.
    pub(crate) fn say(&mut self, what: impl Display) {
        if !self.rate.admits(Instant::now()) || !self.write(&format!("minbus: {what}\n")) {
            self.left_out += 1;
        }
    }

    /// Says what is still to be said, as far as that is taken.
    pub(crate) async fn finish(mut self) {
        self.write("");
        // Where it is not, there is nobody to tell.
        let _ = timeout(PARTING, self.writer.finish()).await;
    }

    /// Writes, behind the number of those that were left out before.
    fn write(&mut self, line: &str) -> bool {
        let text = match self.left_out {
            0 => line.to_owned(),
            count => format!("minbus: {count} complaints were left out\n{line}"),
        };
        let taken = self.writer.try_write(text.into());
        if taken {
            self.left_out = 0;
        }
        taken
    }
}

/// A token bucket, as the time at which it was, or will be, empty.
struct Rate {
    empty: Instant,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { empty: now - LINE_INTERVAL * LINES_MAX }
    }

    fn admits(&mut self, now: Instant) -> bool {
        let after = self.empty.max(now - LINE_INTERVAL * LINES_MAX) + LINE_INTERVAL;
        let admitted = after <= now;
        if admitted {
            self.empty = after;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_limited_and_a_trickle_is_not() {
        let start = Instant::now() + LINE_INTERVAL * LINES_MAX;
        let mut rate = Rate::new(start);
        assert_eq!((0..10 * LINES_MAX).filter(|_| rate.admits(start)).count() as u32, LINES_MAX);
        let hour = (1..=3600).map(|second| start + Duration::from_secs(second));
        assert_eq!(hour.filter(|now| rate.admits(*now)).count(), 3600);
        let later = start + 2 * 3600 * LINE_INTERVAL;
        assert_eq!((0..10 * LINES_MAX).filter(|_| rate.admits(later)).count() as u32, LINES_MAX, "no more is saved up");
    }
}
