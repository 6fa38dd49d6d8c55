//! `bench credit`: is memory bounded, are others spared, and does credit flow, whatever a plugin does?
//!
//! In each round of a case its variants run one after another, each with a fresh relay: a pair alone and beside others, a
//! cap that finds its size and caps that have it from the start.
//!
//! - [`stalled`], [`sharing`], [`floods`] a healthy pair beside others that are not
//! - [`growth`], [`paced`], [`distance`] caps that follow what a half makes of them; [`link_emulator`] a long way to the relay
//! - [`blame`] what the relay says that a direction waits for; [`pair`] who is told of, and asks

mod blame;
mod distance;
mod floods;
mod growth;
mod link_emulator;
mod paced;
mod pair;
mod sharing;
pub(crate) mod stalled;

use crate::lab::case::Case;
use crate::lab::report::Style;

pub(crate) const STYLE: Style = Style {
    variants: "variants",
    variant: "",
    goals: "Goals",
    goal_heads: ["figure", "goal", "median (least-greatest)", "reached"],
    goal_row: |outcome, goal, [measured, bound, reached]| {
        [outcome.case.name.clone(), outcome.subject(goal), bound, measured, reached]
    },
    forgives: false,
};

pub(crate) fn cases() -> Vec<Case> {
    let cases = [
        stalled::cases(),
        sharing::cases(),
        growth::cases(),
        paced::cases(),
        distance::cases(),
        floods::cases(),
        blame::cases(),
    ];
    cases.into_iter().flatten().collect()
}
