//! The credit budget of one shard: the ledger of all that flow control has promised, which bounds memory.
//!
//! Each half has a floor that is reserved when it is opened: whatever the others do, a half whose reader gives credit
//! makes progress. Half of the budget is for floors alone, so that halves which sit on their credit without a word cannot
//! keep others from being opened. The other half is shared by a dynamic threshold, as the buffers of switches are: a half
//! may have as much beyond its floor as is still free. So one alone may take half of what is shared, two a third each, and
//! what n busy ones leave free, an n-th part, is there at once for the next. Floors are paid by the user who asks for the
//! channel, at both ends of it, and no user gets all of them.
//!
//! What has been promised to a half whose reader then does not read is out of reach. So halves that have not carried more
//! yet than a socket holds may have no more than three quarters of what is shared, all together: however many of them
//! there are, those that get somewhere find room.

use super::super::share::{Shares, UserId};
use super::window::{CreditSample, Window};
use super::{Caps, Pace};
use limits::{CANCEL_CREDIT_BYTES_MAX, GRANT_BYTES_MIN, USER_FLOORS_PARTS};

/// The memory that a shard may promise.
#[derive(Clone, Debug)]
pub struct Budget {
    total_bytes: u64,
    used_bytes: u64,
    /// What is reserved for the halves that are open, and by whom: a part of what is used.
    reserved: Shares,
    /// What halves have beyond their floors of which nobody knows yet whether they are read: another part of it.
    unproven_bytes: u64,
}

/// What one half has been promised: the credit that its writer still holds, and the bytes that are held for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Who pays for what is reserved.
    user: UserId,
    outstanding_bytes: u64,
    /// Whether it may still be granted something.
    open: bool,
    window: Window,
}

impl Account {
    /// The most that it takes beside itself, in bytes.
    pub const BYTES_BESIDE: usize = Window::BYTES_BESIDE;

    /// What has been promised, its floor not counted.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u64 {
        self.outstanding_bytes
    }

    /// Who pays for what is reserved.
    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// What may be out at the most, if the budget allows for it.
    #[must_use]
    pub fn cap_bytes(&self) -> u64 {
        self.window.cap_bytes()
    }

    pub(crate) fn charge(&self) -> u64 {
        self.outstanding_bytes.max(self.floor_bytes())
    }

    /// What is reserved for it.
    fn floor_bytes(&self) -> u64 {
        if self.open { self.window.floor_bytes() } else { 0 }
    }

    /// What it has of what is shared.
    fn beyond(&self) -> u64 {
        self.outstanding_bytes.saturating_sub(self.floor_bytes())
    }

    /// Whether it is known to be read. Or over: nobody may know of it any more when its bytes leave.
    fn is_proven(&self) -> bool {
        !self.open || self.window.is_read()
    }

    fn unproven(&self) -> u64 {
        if self.is_proven() { 0 } else { self.beyond() }
    }
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(total_bytes: u64) -> Self {
        Self { total_bytes, used_bytes: 0, reserved: Shares::default(), unproven_bytes: 0 }
    }

    /// What is promised now, floors included.
    #[must_use]
    pub const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    #[cfg(test)]
    pub(super) fn parts_bytes(&self) -> [u64; 2] {
        [self.reserved.taken(), self.unproven_bytes]
    }

    /// Reserves for a leg what it needs at the least, or refuses: the floor of the half that the relay reads, and what
    /// may come as a cancel payload on the one that it writes. `user` pays for it.
    pub fn open(&mut self, caps: Caps, user: UserId) -> Option<Account> {
        let floor_bytes = caps.min_bytes;
        let reserved_bytes = floor_bytes + CANCEL_CREDIT_BYTES_MAX;
        if self.used_bytes + reserved_bytes > self.total_bytes {
            return None;
        }
        let lone_bytes = self.total_bytes - self.total_bytes / USER_FLOORS_PARTS;
        self.reserved.take(user, reserved_bytes, self.total_bytes, lone_bytes).ok()?;
        self.used_bytes += reserved_bytes;
        Some(Account { user, outstanding_bytes: 0, open: true, window: Window::new(caps) })
    }

    /// How much to grant now to a writer, of what its reader gave. The amount returned is promised from now on. To be
    /// asked whenever bytes or credit have come for the half, or bytes of it have left, but once a tick is enough.
    ///
    /// Small amounts wait until they are worth a chunk, and until the writer has less than it gets, but never while it
    /// has nothing. All that the reader gave goes on at once: more is not to be gained by waiting.
    pub fn grant(&mut self, account: &mut Account, sample: &CreditSample, pace: &Pace) -> u64 {
        let CreditSample { unspent_bytes, banked_bytes, .. } = *sample;
        let held = account.outstanding_bytes - unspent_bytes;
        let mut received = false;
        self.change(account, |account| received = account.window.observe(sample, held, pace));
        let cap = account.window.cap_bytes();
        let spare = self.spare(account);
        // As much beyond its floor as is free once it has got it.
        let window = cap.min(account.floor_bytes() + (spare + account.beyond()) / 2);
        let owed = window.saturating_sub(account.outstanding_bytes).min(banked_bytes);
        let all = owed == banked_bytes;
        let worth_it = owed >= GRANT_BYTES_MIN.min(window / 4) || held == 0;
        let amount = if all || (worth_it && owed >= unspent_bytes) { owed } else { 0 };
        account.window.granted(amount, sample.now, received, window == cap && amount < banked_bytes);
        self.change(account, |account| account.outstanding_bytes += amount);
        debug_assert!(self.used_bytes <= self.total_bytes, "no grant passes the budget");
        amount
    }

    /// Bytes that were held for the half have left the relay.
    pub fn released(&mut self, account: &mut Account, bytes: u64) {
        self.change(account, |account| account.outstanding_bytes -= bytes);
    }

    /// The half takes nothing more: what its writer could still have sent, `unspent` bytes, is void. What is held for it
    /// stays accounted for until it is released.
    pub fn close(&mut self, account: &mut Account, unspent: u64) {
        self.reserved.give_back(account.user, account.floor_bytes());
        self.change(account, |account| {
            account.outstanding_bytes -= unspent;
            account.open = false;
        });
    }

    /// No cancel payload can come any more on a half that the relay writes, for which `user` has paid. The one that has
    /// come, if any, stays accounted for until [`Budget::released_late`].
    pub fn close_outlet(&mut self, user: UserId, cancel_bytes: u64) {
        self.reserved.give_back(user, CANCEL_CREDIT_BYTES_MAX);
        self.used_bytes -= CANCEL_CREDIT_BYTES_MAX - cancel_bytes;
    }

    /// Bytes have left the relay of which no account knows any more. They were accounted for until now.
    pub fn released_late(&mut self, bytes: u64) {
        self.used_bytes -= bytes;
    }

    /// What is free for it of what is shared.
    fn spare(&self, account: &Account) -> u64 {
        let most = self.total_bytes / 2;
        let shared = self.used_bytes - self.reserved.taken();
        let free = most.saturating_sub(shared).min(self.total_bytes - self.used_bytes);
        if account.is_proven() { free } else { free.min((most / 4 * 3).saturating_sub(self.unproven_bytes)) }
    }

    fn change(&mut self, account: &mut Account, change: impl FnOnce(&mut Account)) {
        let (charge, unproven) = (account.charge(), account.unproven());
        change(account);
        self.used_bytes = self.used_bytes - charge + account.charge();
        self.unproven_bytes = self.unproven_bytes - unproven + account.unproven();
    }
}
