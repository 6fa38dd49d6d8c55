//! What the relay is to reach, and whether it does.

/// Something that a subject is to reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) subject: &'static str,
    pub(super) figure: Figure,
    pub(super) bound: Bound,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    /// CPU time for each message, as a multiple of the baseline's.
    Cpu,
    /// Messages in a second, as a part of the baseline's.
    Rate,
    /// Median and tail of round trips, as multiples of the baseline's.
    P50,
    P99,
    /// Bytes for each thing held.
    Memory,
}

/// How much it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(super) const fn new(subject: &'static str, figure: Figure, bound: Bound) -> Self {
        Self { subject, figure, bound }
    }

    /// What it is called.
    pub(super) fn what(&self) -> &'static str {
        match self.figure {
            Figure::Cpu => "CPU for each message / baseline",
            Figure::Rate => "messages/s / baseline",
            Figure::P50 => "p50 / baseline",
            Figure::P99 => "p99 / baseline",
            Figure::Memory => "bytes each",
        }
    }
}

impl Bound {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    pub(crate) fn text(self) -> String {
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
