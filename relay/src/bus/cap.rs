//! How much credit may be out: the only place that promises memory.
//!
//! Credit given to a writer is a promise that cannot be taken back, so it counts as memory from that moment on, as do
//! the bytes that have come for it until they have left the relay. The sum stays within the budget of the shard, and
//! only [`Budget::grant`] can raise it. Each half has a floor that is reserved when it is opened: whatever the others
//! do, a half whose reader gives credit makes progress. What is promised beyond the floors is at most half of the
//! budget: halves that sit on their credit without a word cannot keep others from being opened.

use crate::limits::GRANT_BYTES_MIN;

/// Bounds of the credit of one half, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Reserved for each half; it can always be granted.
    pub floor_bytes: u64,
    /// Never more than this is out on one half.
    pub cap_bytes: u64,
}

/// The memory that a shard may promise.
#[derive(Clone, Debug)]
pub struct Budget {
    total_bytes: u64,
    used_bytes: u64,
    /// The floors of all halves, which are part of what is used.
    floors_bytes: u64,
    caps: Caps,
}

/// What one half has been promised: the credit that its writer still holds, and the bytes that are held for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    outstanding_bytes: u64,
    floor_bytes: u64,
}

impl Account {
    /// What has been promised, its floor not counted.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u64 {
        self.outstanding_bytes
    }

    pub(super) fn charge(&self) -> u64 {
        self.outstanding_bytes.max(self.floor_bytes)
    }
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub const fn new(total_bytes: u64, caps: Caps) -> Self {
        Self { total_bytes, used_bytes: 0, floors_bytes: 0, caps }
    }

    /// What is promised now, floors included.
    #[must_use]
    pub const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// What may be out on a half at the most.
    #[must_use]
    pub const fn cap_bytes(&self, _: &Account) -> u64 {
        self.caps.cap_bytes
    }

    /// Reserves the floor of a half, or refuses.
    pub fn open(&mut self) -> Option<Account> {
        let floor_bytes = self.caps.floor_bytes;
        (self.used_bytes + floor_bytes <= self.total_bytes).then(|| {
            self.used_bytes += floor_bytes;
            self.floors_bytes += floor_bytes;
            Account { outstanding_bytes: 0, floor_bytes }
        })
    }

    /// How much to grant now to a writer that still holds `unspent` bytes, of the `banked` ones that its reader gave.
    /// The amount returned is promised from now on.
    ///
    /// The window shrinks as the budget fills: a lone half may have its cap, many share what there is, and each has
    /// its floor. Small amounts wait until they are worth a chunk, but never while the writer has nothing.
    pub fn grant(&mut self, account: &mut Account, unspent: u64, banked: u64) -> u64 {
        let beyond_floors = self.used_bytes - self.floors_bytes;
        let spare = (self.total_bytes / 2).saturating_sub(beyond_floors).min(self.total_bytes - self.used_bytes);
        let window = self.caps.cap_bytes.min(account.floor_bytes + spare);
        let owed = window.saturating_sub(account.outstanding_bytes).min(banked);
        let held = account.outstanding_bytes - unspent;
        let worth_it = owed >= GRANT_BYTES_MIN.min(window / 4) || held == 0 || owed == banked;
        // A writer that holds half of its window can wait, unless all that there is to give is given.
        let needed = unspent <= window / 2 || owed == banked;
        if owed == 0 || !worth_it || !needed {
            return 0;
        }
        self.change(account, |account| account.outstanding_bytes += owed);
        debug_assert!(self.used_bytes <= self.total_bytes, "no grant passes the budget");
        owed
    }

    /// Bytes that were held for the half have left the relay.
    pub fn released(&mut self, account: &mut Account, bytes: u64) {
        self.change(account, |account| account.outstanding_bytes -= bytes);
    }

    /// The half takes nothing more: what its writer could still have sent, `unspent` bytes, is void. What is held for it
    /// stays accounted for until it is released.
    pub fn close(&mut self, account: &mut Account, unspent: u64) {
        self.floors_bytes -= account.floor_bytes;
        self.change(account, |account| {
            account.outstanding_bytes -= unspent;
            account.floor_bytes = 0;
        });
    }

    /// Bytes have left the relay whose half is no more. They were accounted for until now.
    pub fn released_late(&mut self, bytes: u64) {
        self.used_bytes -= bytes;
    }

    fn change(&mut self, account: &mut Account, change: impl FnOnce(&mut Account)) {
        let before = account.charge();
        change(account);
        self.used_bytes = self.used_bytes - before + account.charge();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPS: Caps = Caps { floor_bytes: 100, cap_bytes: 1000 };

    #[test]
    fn single_bytes_go_through_at_once() {
        let mut budget = Budget::new(10_000, CAPS);
        let mut account = budget.open().unwrap();
        assert_eq!(budget.grant(&mut account, 0, 1), 1);
        assert_eq!(budget.grant(&mut account, 1, 0), 0);
        assert_eq!(budget.grant(&mut account, 1, 1), 1);
        assert_eq!(budget.used_bytes(), 100, "within the floor");
    }

    #[test]
    fn a_lone_half_gets_its_cap_and_opens_are_refused_when_floors_do_not_fit() {
        let mut budget = Budget::new(2000, CAPS);
        let mut account = budget.open().unwrap();
        assert_eq!(budget.grant(&mut account, 0, u64::MAX), 1000);
        let mut others: Vec<_> = std::iter::from_fn(|| budget.open()).collect();
        assert_eq!(others.len(), 10);
        budget.close(&mut others[0], 0);
        assert!(budget.open().is_some());
        budget.close(&mut account, 1000);
        assert_eq!(budget.used_bytes(), 1000);
    }

    #[test]
    fn halves_that_are_granted_much_leave_room_for_others_to_be_opened() {
        let mut budget = Budget::new(10_000, CAPS);
        let mut accounts = Vec::new();
        for _ in 0..50 {
            let mut account = budget.open().expect("half of the budget is for floors");
            assert!(budget.grant(&mut account, 0, u64::MAX) >= CAPS.floor_bytes);
            accounts.push(account);
        }
        assert_eq!(accounts[0].outstanding_bytes, CAPS.cap_bytes, "the first ones have found it empty");
        assert_eq!(budget.used_bytes(), 10_000, "nothing lies idle");
        assert!(budget.open().is_none());
    }

    #[derive(Clone, Debug)]
    enum Act {
        Open,
        Give(usize, u64),
        Send(usize, u64),
        Drain(usize, u64),
        Close(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            1 => Just(Act::Open),
            4 => (0..8usize, prop_oneof![0..50u64, 0..5000u64, Just(1 << 40)]).prop_map(|(i, n)| Act::Give(i, n)),
            4 => (0..8usize, 0..2000u64).prop_map(|(i, n)| Act::Send(i, n)),
            4 => (0..8usize, 0..2000u64).prop_map(|(i, n)| Act::Drain(i, n)),
            1 => (0..8usize).prop_map(Act::Close),
        ];
        proptest::collection::vec(act, 0..400)
    }

    #[derive(Default)]
    struct Half {
        account: Option<Account>,
        banked: u64,
        unspent: u64,
        held: u64,
        given: u64,
        granted: u64,
    }

    proptest! {
        /// Never over the budget, nothing granted that the reader did not give, and every half makes progress.
        #[test]
        fn promises_are_kept(acts in acts()) {
            let mut budget = Budget::new(1500, CAPS);
            let mut halves: Vec<Half> = Vec::new();
            let mut late = 0;
            for act in acts {
                match act {
                    Act::Open => if let Some(account) = budget.open() {
                        halves.push(Half { account: Some(account), ..Half::default() });
                    },
                    Act::Give(i, n) => if let Some(half) = halves.get_mut(i) {
                        half.banked += n;
                        half.given += n;
                    },
                    Act::Send(i, n) => if let Some(half) = halves.get_mut(i) {
                        let n = n.min(half.unspent);
                        half.unspent -= n;
                        half.held += n;
                    },
                    Act::Drain(i, n) => if let Some(half) = halves.get_mut(i) {
                        let n = n.min(half.held);
                        half.held -= n;
                        budget.released(half.account.as_mut().unwrap(), n);
                    },
                    Act::Close(i) => if i < halves.len() {
                        let mut half = halves.swap_remove(i);
                        budget.close(half.account.as_mut().unwrap(), half.unspent);
                        late += half.held;
                    },
                }
                for half in &mut halves {
                    let amount = budget.grant(half.account.as_mut().unwrap(), half.unspent, half.banked);
                    half.banked -= amount;
                    half.unspent += amount;
                    half.granted += amount;
                    prop_assert!(half.granted <= half.given);
                    prop_assert!(half.unspent > 0 || half.held > 0 || half.banked == 0, "a half is stuck");
                }
                let sum: u64 = halves.iter().map(|half| (half.unspent + half.held).max(CAPS.floor_bytes)).sum();
                prop_assert_eq!(budget.used_bytes(), sum + late);
                prop_assert!(budget.used_bytes() <= 1500);
            }
            budget.released_late(late);
            for mut half in halves {
                budget.close(half.account.as_mut().unwrap(), half.unspent);
                budget.released(half.account.as_mut().unwrap(), half.held);
            }
            prop_assert_eq!(budget.used_bytes(), 0);
        }
    }
}
