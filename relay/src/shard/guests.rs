//! Who may connect: connections are counted, all together and those of each user, over all shards.
//!
//! A connection can be told why it is refused when it has given credit for the reason, and that is the first that it says.
//! So a few of those that are refused are kept until then; further ones are closed without a word.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bus::session::Refused;
use crate::limits::{REFUSAL_LOG_INTERVAL_MS, REFUSED_MAX};

/// A connection that is accepted: of this user, if that is known, or one that is only to be told why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guest {
    /// It is served.
    Of(Option<u32>),
    /// There is no place for it.
    Refused(Refused),
}

/// Connections that are accepted and not closed.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_uid: HashMap<u32, usize>,
    /// Those that are refused, which are not among the others.
    refused: usize,
}

impl Guests {
    /// Counts a connection, of this user if it is known, unless there are too many.
    pub(super) fn admit(&self, uid: Option<u32>, most: usize, most_of_user: usize) -> Result<(), Refused> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= most {
            return Err(Refused::TooMany);
        }
        if let Some(uid) = uid {
            let of_user = counts.by_uid.entry(uid).or_default();
            if *of_user >= most_of_user {
                return Err(Refused::TooManyOfUser(uid));
            }
            *of_user += 1;
        }
        counts.all += 1;
        Ok(())
    }

    /// Counts a connection that is refused, unless too many of them are about to be told so.
    pub(super) fn keep_refused(&self) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = counts.refused < REFUSED_MAX;
        counts.refused += usize::from(kept);
        kept
    }

    /// A connection is closed.
    pub(super) fn leave(&self, guest: Guest) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Guest::Of(uid) = guest else {
            counts.refused -= 1;
            return;
        };
        counts.all -= 1;
        let Some(uid) = uid else { return };
        if let Some(of_user) = counts.by_uid.get_mut(&uid) {
            *of_user -= 1;
            if *of_user == 0 {
                counts.by_uid.remove(&uid);
            }
        }
    }
}

/// Refusals on their way to the log: one a second, so that whoever tries again and again does not fill the disk.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    last_at: Option<Instant>,
    /// Refusals since then.
    unsaid: u64,
}

impl Refusals {
    /// One more: how many were not told of, if it is time to tell of them.
    pub(super) fn note(&mut self, now: Instant) -> Option<u64> {
        let interval = Duration::from_millis(REFUSAL_LOG_INTERVAL_MS);
        if self.last_at.is_some_and(|at| now.saturating_duration_since(at) < interval) {
            self.unsaid += 1;
            return None;
        }
        self.last_at = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests;
