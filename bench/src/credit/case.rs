//! What is compared: a case is variants of a situation, and what is to come out.

use anyhow::Result;

use super::scene::Scene;
use crate::baseline::goals::Bound;

/// A situation in some variants.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    pub(crate) variants: Vec<Variant>,
    pub(crate) goals: Vec<Goal>,
}

/// One of them, to be run once in each round.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(super) run: Box<Run>,
}

type Run = dyn Fn(&Scene) -> Result<Figures>;

/// What was measured, by name; the unit is part of the name.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// What a figure of a variant is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(super) variant: &'static str,
    pub(super) figure: &'static str,
    pub(super) against: Against,
    pub(super) bound: Bound,
}

/// What a figure is divided by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Against {
    /// Nothing: it is looked at as it is.
    Nothing,
    /// The same figure of another variant, in the same round.
    Variant(&'static str),
    /// The same figure of that other variant whose median is the greatest.
    BestOther,
}

impl Variant {
    pub(crate) fn new(name: &'static str, run: impl Fn(&Scene) -> Result<Figures> + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }
}

impl Goal {
    pub(crate) const fn new(variant: &'static str, figure: &'static str, bound: Bound) -> Self {
        Self { variant, figure, against: Against::Nothing, bound }
    }

    pub(crate) const fn against(self, against: Against) -> Self {
        Self { against, ..self }
    }
}
