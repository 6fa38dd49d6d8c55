//! Admission control: connections are counted, all together and those of each user, over all shards, and those that have not
//! registered yet once more.
//!
//! A connection can be told why it is refused when it has given credit for the reason, and that is the first that it says.
//! So a few of those that are refused are kept until then; further ones are closed without a word.

use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Limits;
use bus::session::Refused;
use bus::share::{Denied, Shares, User, UserId};
use limits::{ADDRESS_PLACES_PARTS, HANDSHAKES_MAX, REFUSED_MAX};

/// A connection that is accepted, or one that is only to be told why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has not registered yet.
    Unregistered(UserId),
    /// It is served.
    Registered(UserId),
    /// There is no place for it.
    Refused,
}

impl Place {
    /// Who pays for what it makes the relay keep.
    pub(super) fn user(self) -> UserId {
        match self {
            Self::Unregistered(user) | Self::Registered(user) => user,
            Self::Refused => UserId::NOBODY,
        }
    }
}

/// Connections that are accepted and not closed.
#[derive(Debug, Default)]
pub(super) struct Admission {
    counts: Mutex<Counts>,
    /// What users' numbers are made with.
    key: RandomState,
}

#[derive(Debug, Default)]
struct Counts {
    connections: Shares,
    handshakes: Shares,
    /// Those that are refused, which are not among the others.
    refused: usize,
}

/// All but one part of what there is.
fn all_but_a_part(all: usize) -> u64 {
    (all - all / ADDRESS_PLACES_PARTS) as u64
}

impl Counts {
    fn admit(&mut self, user: User, id: UserId, limits: &Limits) -> Result<(), Refused> {
        let most = limits.connections_max as u64;
        let lone = match user {
            User::Uid(_) => (limits.connections_per_uid_max as u64).min(most),
            User::V4(_) | User::V6(_) | User::Unknown => all_but_a_part(limits.connections_max),
        };
        self.connections.take(id, 1, most, lone).map_err(|denied| match denied {
            Denied::All => Refused::TooMany,
            Denied::Share => Refused::TooManyOfUser(user),
        })?;
        let lone = all_but_a_part(HANDSHAKES_MAX as usize);
        self.handshakes.take(id, 1, HANDSHAKES_MAX, lone).map_err(|_| {
            self.connections.give_back(id, 1);
            Refused::TooManyUnregistered(user)
        })
    }
}

impl Admission {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection of this user, unless there are too many.
    pub(super) fn admit(&self, user: User, limits: &Limits) -> Result<Place, Refused> {
        let id = UserId::of(user, &self.key);
        self.counts().admit(user, id, limits).map(|()| Place::Unregistered(id))
    }

    /// A connection has registered.
    pub(super) fn registered(&self, place: &mut Place) {
        if let Place::Unregistered(user) = *place {
            self.counts().handshakes.give_back(user, 1);
            *place = Place::Registered(user);
        }
    }

    /// Counts a connection that is refused, unless too many of them are about to be told so.
    pub(super) fn keep_refused(&self) -> bool {
        let mut counts = self.counts();
        let kept = counts.refused < REFUSED_MAX;
        counts.refused += usize::from(kept);
        kept
    }

    /// A connection is closed.
    pub(super) fn leave(&self, mut place: Place) {
        self.registered(&mut place);
        let mut counts = self.counts();
        match place {
            Place::Unregistered(user) | Place::Registered(user) => counts.connections.give_back(user, 1),
            Place::Refused => counts.refused -= 1,
        }
    }
}

#[cfg(test)]
mod tests;
