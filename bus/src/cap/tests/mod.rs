//! The ledger by itself: what is promised, kept and refused. `flows` looks at how caps behave in time.

mod flows;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::share::UserId;
use super::*;
use limits::{CANCEL_CREDIT_BYTES_MAX, READ_BYTES_MIN};

const CAPS: Caps = Caps { min_bytes: 100, initial_bytes: 1000, max_bytes: 1000 };
const PACE: Pace =
    Pace { standing: Duration::from_millis(1), interval: Duration::from_millis(100), idle: Duration::from_secs(1) };

/// Grants at a time that does not matter.
fn grant(budget: &mut Budget, account: &mut Account, unspent_bytes: u64, banked_bytes: u64) -> u64 {
    budget.grant(account, &CreditSample { now: Instant::now(), unspent_bytes, banked_bytes }, &PACE)
}

/// What a leg reserves.
const RESERVED: u64 = 100 + CANCEL_CREDIT_BYTES_MAX;

#[test]
fn single_bytes_go_through_at_once() {
    let mut budget = Budget::new(10_000);
    let mut account = budget.open(CAPS, UserId::NOBODY).unwrap();
    assert_eq!(grant(&mut budget, &mut account, 0, 1), 1);
    assert_eq!(grant(&mut budget, &mut account, 1, 0), 0);
    assert_eq!(grant(&mut budget, &mut account, 1, 1), 1);
    assert_eq!(budget.used_bytes(), RESERVED, "within the floor");
}

#[test]
fn a_lone_half_gets_its_cap_and_opens_are_refused_when_floors_do_not_fit() {
    let total = 1000 + CANCEL_CREDIT_BYTES_MAX + 10 * RESERVED;
    let mut budget = Budget::new(total);
    let mut account = budget.open(CAPS, UserId::NOBODY).unwrap();
    assert_eq!(grant(&mut budget, &mut account, 0, u64::MAX), 1000);
    let mut others: Vec<_> = (0..).map_while(|uid| budget.open(CAPS, UserId(uid))).collect();
    assert_eq!(others.len(), 10);
    assert_eq!(budget.used_bytes(), total);
    budget.close(&mut others[0], 0);
    assert!(budget.open(CAPS, UserId::NOBODY).is_none(), "what may still come as its cancel payload is in the way");
    budget.close_outlet(UserId(0), 24);
    assert!(budget.open(CAPS, UserId::NOBODY).is_none(), "and so is what has come of it");
    budget.released_late(24);
    assert!(budget.open(CAPS, UserId::NOBODY).is_some());
    budget.close(&mut account, 1000);
    assert_eq!(budget.used_bytes(), total - 1000);
}

#[test]
fn halves_that_are_granted_much_leave_room_for_others_to_be_opened() {
    let caps = Caps { max_bytes: 1 << 20, initial_bytes: 1 << 20, ..CAPS };
    let total = 100 * RESERVED;
    let mut budget = Budget::new(total);
    let mut accounts = Vec::new();
    for _ in 0..50 {
        let mut account = budget.open(caps, UserId::NOBODY).expect("half of the budget is for floors");
        assert!(grant(&mut budget, &mut account, 0, u64::MAX) >= caps.min_bytes);
        accounts.push(account);
    }
    let beyond: Vec<u64> = accounts.iter().map(|account| account.outstanding_bytes() - caps.min_bytes).collect();
    // A quarter of what is shared is not for those of whom nothing has been read.
    let shared = total / 2 * 3 / 4;
    for (beyond, part) in beyond.iter().zip([2, 4, 8, 16]) {
        assert!(beyond.abs_diff(shared / part) <= 50, "half of what is left for each: {beyond} of {shared}");
    }
    assert!(budget.used_bytes() <= total);
}

#[test]
fn halves_that_are_read_find_room_beside_those_that_are_not() {
    const TOTAL: u64 = 64 << 20;
    let caps = Caps { min_bytes: 8 << 10, initial_bytes: 64 << 10, max_bytes: 16 << 20 };
    let mut budget = Budget::new(TOTAL);
    let mut read = budget.open(caps, UserId::NOBODY).unwrap();
    for _ in 0..1_000 {
        let mut stalled = budget.open(caps, UserId::NOBODY).expect("floors of so many fit");
        grant(&mut budget, &mut stalled, 0, 1 << 40);
    }
    assert_eq!(grant(&mut budget, &mut read, 0, u64::MAX), caps.min_bytes, "all else is taken");
    let mut carried = caps.min_bytes;
    while carried < READ_BYTES_MIN {
        budget.released(&mut read, carried.min(caps.min_bytes));
        carried += grant(&mut budget, &mut read, 0, u64::MAX);
    }
    let outstanding = read.outstanding_bytes();
    budget.released(&mut read, outstanding);
    let granted = grant(&mut budget, &mut read, 0, u64::MAX);
    assert_eq!(granted, caps.initial_bytes, "there is room for those that get somewhere");
}

#[test]
fn no_user_gets_all_floors() {
    let mut budget = Budget::new(800 * RESERVED);
    let mut open = |uid| std::iter::from_fn(|| budget.open(CAPS, UserId(uid))).count();
    assert_eq!([open(1), open(2), open(3)], [700, 88, 11]);
}

#[test]
fn floors_are_a_matter_of_each_half() {
    let mut budget = Budget::new(100_000);
    let small = budget.open(CAPS, UserId::NOBODY).unwrap();
    let large = budget.open(Caps { min_bytes: 5_000, initial_bytes: 6_000, max_bytes: 7_000 }, UserId::NOBODY).unwrap();
    assert_eq!((small.charge(), large.charge()), (100, 5_000));
    assert_eq!((small.cap_bytes(), large.cap_bytes()), (1_000, 6_000));
    assert_eq!(budget.used_bytes(), RESERVED + 5_000 + CANCEL_CREDIT_BYTES_MAX);
}

#[derive(Clone, Debug)]
enum Act {
    Open,
    Configure(Caps),
    Give(usize, u64),
    Send(usize, u64),
    Drain(usize, u64),
    Wait(u64),
    CloseOutlet(usize, u64),
    Close(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let caps = (1..300u64, 0..900u64, 0..3000u64).prop_map(|(min, more, most)| Caps {
        min_bytes: min,
        initial_bytes: min + more,
        max_bytes: min + more + most,
    });
    let act = prop_oneof![
        2 => Just(Act::Open),
        1 => caps.prop_map(Act::Configure),
        4 => (0..8usize, prop_oneof![0..50u64, 0..5000u64, Just(1 << 40)]).prop_map(|(i, n)| Act::Give(i, n)),
        8 => (0..8usize, prop_oneof![0..2000u64, Just(u64::MAX)]).prop_map(|(i, n)| Act::Send(i, n)),
        8 => (0..8usize, prop_oneof![0..2000u64, Just(u64::MAX)]).prop_map(|(i, n)| Act::Drain(i, n)),
        4 => prop_oneof![0..200u64, 0..200_000u64, 0..5_000_000u64].prop_map(Act::Wait),
        1 => (0..8usize, 0..=CANCEL_CREDIT_BYTES_MAX).prop_map(|(i, n)| Act::CloseOutlet(i, n)),
        1 => (0..8usize).prop_map(Act::Close),
    ];
    proptest::collection::vec(act, 0..600)
}

struct Half {
    account: Account,
    caps: Caps,
    outlet_open: bool,
    banked: u64,
    unspent: u64,
    held: u64,
    given: u64,
    granted: u64,
}

/// What a test does to a budget, and what should be in it.
struct Model {
    budget: Budget,
    now: Instant,
    caps: Caps,
    halves: Vec<Half>,
    /// Bytes that are held for nobody any more.
    late: u64,
}

impl Model {
    fn act(&mut self, act: Act) {
        let Self { budget, halves, .. } = self;
        match act {
            Act::Configure(caps) => self.caps = caps,
            Act::Wait(us) => self.now += Duration::from_micros(us),
            Act::Open => {
                if let Some(account) = budget.open(self.caps, UserId::NOBODY) {
                    let caps = self.caps;
                    let (banked, unspent, held, given, granted) = (0, 0, 0, 0, 0);
                    halves.push(Half { account, caps, outlet_open: true, banked, unspent, held, given, granted });
                }
            }
            Act::Give(i, n) => {
                if let Some(half) = halves.get_mut(i) {
                    half.banked += n;
                    half.given += n;
                }
            }
            Act::Send(i, n) => {
                if let Some(half) = halves.get_mut(i) {
                    let n = n.min(half.unspent);
                    half.unspent -= n;
                    half.held += n;
                }
            }
            Act::Drain(i, n) => {
                if let Some(half) = halves.get_mut(i) {
                    let n = n.min(half.held);
                    half.held -= n;
                    budget.released(&mut half.account, n);
                }
            }
            Act::CloseOutlet(i, n) => {
                if let Some(half) = halves.get_mut(i)
                    && std::mem::take(&mut half.outlet_open)
                {
                    budget.close_outlet(UserId::NOBODY, n);
                    self.late += n;
                }
            }
            Act::Close(i) => {
                if i < halves.len() {
                    let half = halves.swap_remove(i);
                    self.close(half);
                }
            }
        }
    }

    fn close(&mut self, mut half: Half) {
        self.budget.close(&mut half.account, half.unspent);
        self.late += half.held;
        if half.outlet_open {
            self.budget.close_outlet(UserId::NOBODY, 0);
        }
    }

    /// The policy has its turn.
    fn tick(&mut self) -> Result<(), TestCaseError> {
        for half in &mut self.halves {
            let sample = CreditSample { now: self.now, unspent_bytes: half.unspent, banked_bytes: half.banked };
            let amount = self.budget.grant(&mut half.account, &sample, &PACE);
            half.banked -= amount;
            half.unspent += amount;
            half.granted += amount;
            prop_assert!(half.granted <= half.given, "credit was invented");
            prop_assert!(half.unspent > 0 || half.held > 0 || half.banked == 0, "a half is stuck");
            let (cap, caps) = (half.account.cap_bytes(), half.caps);
            prop_assert!((caps.min_bytes..=caps.max_bytes).contains(&cap), "{cap} is not within {caps:?}");
        }
        Ok(())
    }

    /// What must be accounted for.
    fn sum(&self) -> u64 {
        let charge = |half: &Half| {
            let cancel = if half.outlet_open { CANCEL_CREDIT_BYTES_MAX } else { 0 };
            (half.unspent + half.held).max(half.caps.min_bytes) + cancel
        };
        self.halves.iter().map(charge).sum::<u64>() + self.late
    }
}

proptest! {
    /// Never over the budget, nothing granted that the reader did not give, every half makes progress, and caps stay
    /// within their bounds, whatever happens and however the configuration of new halves changes.
    #[test]
    fn promises_are_kept(acts in acts()) {
        const TOTAL: u64 = 12_000;
        let (budget, now) = (Budget::new(TOTAL), Instant::now());
        let mut model = Model { budget, now, caps: CAPS, halves: Vec::new(), late: 0 };
        for act in acts {
            model.act(act);
            model.tick()?;
            prop_assert_eq!(model.budget.used_bytes(), model.sum());
            prop_assert!(model.budget.used_bytes() <= TOTAL);
        }
        while let Some(half) = model.halves.pop() {
            model.close(half);
        }
        model.budget.released_late(model.late);
        prop_assert_eq!(model.budget.used_bytes(), 0);
        prop_assert_eq!(model.budget.parts_bytes(), [0, 0]);
    }
}
