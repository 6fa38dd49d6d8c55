//! The timer queue: one entry for each connection, at the time when something is due there at the latest.
//!
//! A deadline that moves away (because the plugin has said something) costs nothing: the entry fires, nothing is due, and
//! it is put in again. One that comes nearer takes the place of the other. Without connections there are no timers, so an
//! idle shard sleeps for good.

use std::collections::BTreeSet;
use std::time::Instant;

use engine::driver::Token;

/// When which connection is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Token)>);

impl Timers {
    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Puts an entry in, in the place of the one that the connection has, if any.
    pub(super) fn set(&mut self, at: Instant, before: Option<Instant>, conn: Token) {
        self.clear(before, conn);
        self.0.insert((at, conn));
    }

    /// Takes the entry out that the connection has, if any.
    pub(super) fn clear(&mut self, at: Option<Instant>, conn: Token) {
        at.into_iter().for_each(|at| _ = self.0.remove(&(at, conn)));
    }

    /// The next entry that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, Token)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_connection_has_one_entry_at_the_most() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let (one, other) = (Token(1), Token(2));
        let mut timers = Timers::default();
        timers.set(at(500), None, other);
        let mut before = None;
        for ms in (1..1_000).rev() {
            timers.set(at(ms), before.replace(at(ms)), one);
        }
        assert_eq!(timers.0.len(), 2);
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(
            [timers.pop(at(1)), timers.pop(at(1)), timers.pop(at(500))],
            [Some((at(1), one)), None, Some((at(500), other))]
        );
        timers.set(at(1), None, one);
        timers.clear(Some(at(1)), one);
        assert_eq!(timers.next(), None);
    }
}
