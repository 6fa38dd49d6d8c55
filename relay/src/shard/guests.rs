//! Who may connect: connections are counted, all together and those of each user, over all shards.
//!
//! The protocol has no way to tell a connection why it is refused before it has given credit for the reason, so it is
//! closed without a word, and the reason goes to the log.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::REFUSAL_LOG_INTERVAL_MS;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are `limits.connections_max`.
    TooMany,
    /// There are `limits.connections_per_uid_max` of this user.
    TooManyOfUser(u32),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many"),
            Self::TooManyOfUser(uid) => write!(f, "too many of user {uid}"),
        }
    }
}

/// Connections that are accepted and not closed.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_uid: HashMap<u32, usize>,
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

    /// A connection is closed.
    pub(super) fn leave(&self, uid: Option<u32>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
