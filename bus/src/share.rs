//! Fair sharing: how much of what there is for all one user may have, so that no user keeps others out.
//!
//! It is a dynamic threshold, as switches with a shared memory have it: a user may have a fixed multiple of what is still
//! free. So one alone gets to its share and no further, several that want all they can get have equal parts, and something
//! is always left for the next one: whoever has nothing gets what he asks for as long as it is there.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Whoever is behind a connection, as far as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// The user of the process at the other end of a unix socket.
    Uid(u32),
    /// An IPv4 address.
    V4([u8; 4]),
    /// The network part of an IPv6 address: whoever has one address of it usually has them all.
    V6([u8; 8]),
    /// Nothing is known.
    Unknown,
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "user {uid}"),
            Self::V4([a, b, c, d]) => write!(f, "address {a}.{b}.{c}.{d}"),
            Self::V6(network) => {
                f.write_str("network ")?;
                for group in network.chunks(2) {
                    write!(f, "{:x}:", u16::from_be_bytes([group[0], group[1]]))?;
                }
                f.write_str(":/64")
            }
            Self::Unknown => f.write_str("an unknown user"),
        }
    }
}

/// A user's number, in whose name is kept what the user has taken, also when it has left before that is free again.
///
/// It is small, since every channel bears it: a hash with a key that only this process knows. Two users of one number,
/// which is one pair in four billion, have one share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserId(pub u32);

impl UserId {
    /// Of those who have no share in anything.
    pub const NOBODY: Self = Self(u32::MAX);

    /// That of a user, in a process with this key.
    #[must_use]
    pub fn of(user: User, key: &RandomState) -> Self {
        Self(key.hash_one(user) as u32)
    }
}

/// Why somebody gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is not so much left.
    All,
    /// There is, but not for this user.
    Share,
}

/// What is given out of a pool, and to whom.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    taken: u64,
    by_user: HashMap<UserId, u64>,
}

impl Shares {
    /// What is given out.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes `amount` for a user out of a pool of `total`, of which a user whom nobody competes with may have `lone`.
    ///
    /// # Errors
    /// [`Denied`]; then nothing is taken.
    pub fn take(&mut self, user: UserId, amount: u64, total: u64, lone: u64) -> Result<(), Denied> {
        if total < self.taken + amount {
            return Err(Denied::All);
        }
        let (own, free) = (self.by_user.get(&user).copied().unwrap_or_default(), total - self.taken);
        // As long as own / free < lone / (total - lone), which one alone is until it has `lone`.
        if u128::from(own) * u128::from(total.saturating_sub(lone)) >= u128::from(lone) * u128::from(free) {
            return Err(Denied::Share);
        }
        self.taken += amount;
        self.by_user.insert(user, own + amount);
        Ok(())
    }

    /// Gives back what was taken for a user.
    pub fn give_back(&mut self, user: UserId, amount: u64) {
        self.taken -= amount;
        let own = self.by_user.get_mut(&user).expect("it was taken for this user");
        *own -= amount;
        if *own == 0 {
            self.by_user.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of some users gets when all take one by one as long as they can.
    fn greedy(users: u32, total: u64, lone: u64) -> Vec<u64> {
        let mut shares = Shares::default();
        let mut got = vec![0; users as usize];
        while (0..users).any(|uid| {
            let taken = shares.take(UserId(uid), 1, total, lone).is_ok();
            got[uid as usize] += u64::from(taken);
            taken
        }) {}
        got
    }

    #[test]
    fn one_alone_gets_its_share_and_leaves_some_for_the_next() {
        assert_eq!(greedy(1, 16_000, 12_000), [12_000]);
        // The first takes all that it can before the others come.
        assert_eq!(greedy(3, 16_000, 12_000), [12_000, 3_000, 750]);
        assert_eq!(greedy(2, 100, 100), [100, 0], "no reserve was asked for");
        assert_eq!(greedy(1, 3, 3), [3]);
        assert_eq!(greedy(9, 8, 6).into_iter().sum::<u64>(), 8, "nothing is kept from those who have nothing");
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let (mut shares, a, b) = (Shares::default(), UserId(1), UserId(2));
        assert_eq!(shares.take(a, 7, 10, 7), Ok(()));
        assert_eq!([shares.take(a, 1, 10, 7), shares.take(b, 4, 10, 7)], [Err(Denied::Share), Err(Denied::All)]);
        shares.give_back(a, 5);
        assert_eq!([shares.take(b, 3, 10, 7), shares.take(a, 1, 10, 7)], [Ok(()), Ok(())]);
        [(a, 3), (b, 3)].into_iter().for_each(|(user, amount)| shares.give_back(user, amount));
        assert_eq!((shares.taken(), shares.by_user.len()), (0, 0));
    }

    #[test]
    fn users_are_told_by_what_is_known_of_them() {
        let shown = [User::Uid(7), User::V4([10, 0, 0, 1]), User::V6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1])];
        assert_eq!(shown.map(|user| user.to_string()), ["user 7", "address 10.0.0.1", "network 2001:db8:0:1::/64"]);
    }
}
