//! `bench attacks`: what do bystanders lose when somebody does, as fast as it goes, what costs him next to nothing?
//!
//! Each case has two variants, with everything set up alike: `quiet`, and `attacked`. Both have their turn in each round,
//! with a fresh relay, and a pair of plugins whose round trips are timed.
//!
//! - [`attack`] somebody who attacks, and round trips beside him; [`crowd`] plugins that are merely there
//! - [`queries`], [`churn`], [`offers`], [`ignored`], [`hoard`], [`unregistered`], [`stalled`] what is done

mod attack;
mod churn;
mod crowd;
mod hoard;
mod ignored;
mod offers;
mod queries;
mod stalled;
mod unregistered;

use crate::lab::case::Case;

pub(crate) fn cases() -> Vec<Case> {
    let cases = [
        queries::cases(),
        churn::cases(),
        offers::cases(),
        ignored::cases(),
        hoard::cases(),
        unregistered::cases(),
        stalled::cases(),
    ];
    cases.into_iter().flatten().collect()
}
