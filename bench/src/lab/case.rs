//! What is compared: a case is variants of a situation, and what is to come out.

use anyhow::Result;

use super::round::Round;
use super::scene::Scene;

/// A situation in some variants.
pub(crate) struct Case {
    pub(crate) name: String,
    /// What it is, for people.
    pub(crate) title: String,
    /// The variant that the others are compared with, where that is one for all.
    pub(crate) baseline: Option<&'static str>,
    pub(crate) variants: Vec<Variant>,
    /// What people are shown of it: everything, if nothing is chosen.
    pub(crate) columns: Vec<Column>,
    pub(crate) goals: Vec<Goal>,
}

/// One of them, to be run once in each round.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// Why it cannot be run, if so.
    pub(super) missing: Option<String>,
    pub(super) run: Box<Run>,
}

type Run = dyn Fn(&Scene) -> Result<Round>;

/// A figure in a table.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(super) head: &'static str,
    pub(super) figure: &'static str,
    pub(super) against: Against,
    pub(super) shown: Shown,
}

/// How people are shown a figure.
#[derive(Clone, Copy)]
pub(crate) enum Shown {
    /// Its median.
    Median(fn(f64) -> String),
    /// Its median, with so many decimals, and in brackets the least and the greatest.
    Spread(usize),
    /// Something made of all rounds.
    Rounds(fn(&[f64]) -> String),
}

/// What a figure of a variant is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) variant: &'static str,
    pub(crate) figure: &'static str,
    pub(super) against: Against,
    pub(super) bound: Bound,
    pub(super) decimals: usize,
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

/// How much something may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Case {
    /// A case of which all figures are shown.
    pub(crate) fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        variants: Vec<Variant>,
        goals: Vec<Goal>,
    ) -> Self {
        Self { name: name.into(), title: title.into(), baseline: None, variants, columns: Vec::new(), goals }
    }
}

impl Variant {
    pub(crate) fn new<R: Into<Round>>(name: &'static str, run: impl Fn(&Scene) -> Result<R> + 'static) -> Self {
        Self { name, missing: None, run: Box::new(move |scene| run(scene).map(Into::into)) }
    }

    /// The same, which cannot be run if something is missing.
    pub(crate) fn unless(self, missing: Option<String>) -> Self {
        Self { missing, ..self }
    }
}

impl Column {
    pub(crate) const fn new(head: &'static str, figure: &'static str, shown: Shown) -> Self {
        Self { head, figure, against: Against::Nothing, shown }
    }

    /// The median of a figure under its name.
    pub(crate) const fn median(figure: &'static str, text: fn(f64) -> String) -> Self {
        Self::new(figure, figure, Shown::Median(text))
    }

    /// A figure as a multiple of that of a variant.
    pub(crate) const fn ratio(head: &'static str, figure: &'static str, other: &'static str) -> Self {
        Self { head, figure, against: Against::Variant(other), shown: Shown::Spread(2) }
    }
}

impl Goal {
    pub(crate) const fn new(variant: &'static str, figure: &'static str, bound: Bound) -> Self {
        Self { variant, figure, against: Against::Nothing, bound, decimals: 3 }
    }

    pub(crate) const fn against(self, against: Against) -> Self {
        Self { against, ..self }
    }

    /// With so many decimals rather than three.
    pub(crate) const fn decimals(self, decimals: usize) -> Self {
        Self { decimals, ..self }
    }
}

impl Bound {
    pub(super) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::AtLeast(bound) => format!("at least {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_on_their_side() {
        assert!(Bound::AtMost(1.35).is_met(1.35) && !Bound::AtMost(1.35).is_met(1.36));
        assert!(Bound::AtLeast(0.85).is_met(0.85) && !Bound::AtLeast(0.85).is_met(0.84));
        assert!(!Bound::AtMost(1.0).is_met(f64::NAN) && !Bound::AtLeast(1.0).is_met(f64::NAN));
    }
}
