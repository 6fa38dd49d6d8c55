//! What is measured of a subject in a round.

use serde::Serialize;

use crate::baseline::sample::{RoundTrip, Sample};

/// The figures of one round.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Figures {
    #[serde(flatten)]
    pub(super) sample: Sample,
    /// Messages that were taken from their writer and have not come.
    pub(super) lost: u64,
    /// The most memory that the server had in RAM, in bytes.
    pub(super) memory_peak_bytes: u64,
    /// Requests that it carries in a second when many are in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capacity_per_s: Option<f64>,
    /// What somebody who does not read makes of a healthy pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stalled: Option<Stalled>,
}

/// A healthy pair, alone and then beside a reader that stands still.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Stalled {
    pub(super) alone: RoundTrip,
    pub(super) alone_per_s: f64,
    pub(super) beside: RoundTrip,
    pub(super) beside_per_s: f64,
    /// Bytes of payload that the server has taken for the reader before it began to read.
    pub(super) taken_bytes: f64,
    /// What became of the writer to it.
    pub(super) fate: Fate,
    /// By how much the memory of the server grew.
    pub(super) memory_growth_bytes: f64,
}

/// What became of somebody who writes to a reader that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fate {
    /// It wrote all that it wanted.
    Free,
    /// It had to wait.
    Held,
    /// It, or the reader, was cut off.
    CutOff,
}

impl Fate {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Free => "free to go on",
            Self::Held => "held",
            Self::CutOff => "cut off",
        }
    }
}

impl Figures {
    pub(super) fn of(sample: Sample) -> Self {
        Self { sample, ..Self::default() }
    }

    pub(super) fn stalled(stalled: Stalled, lost: u64) -> Self {
        Self { stalled: Some(stalled), lost, ..Self::default() }
    }
}
