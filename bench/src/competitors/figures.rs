//! What is measured of a subject in a round.

use serde::Serialize;

use crate::lab::round::Round;
use crate::traffic::sample::{RoundTrip, Sample};

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
    /// What became of it in the last round, of which it is the number.
    pub(super) fn last(rounds: &[f64]) -> String {
        let is_last = |fate: &Self| rounds.last() == Some(&f64::from(*fate as u8));
        match [Self::Free, Self::Held, Self::CutOff].into_iter().find(is_last) {
            Some(Self::Free) => "free to go on",
            Some(Self::Held) => "held",
            Some(Self::CutOff) => "cut off",
            None => "-",
        }
        .to_owned()
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

/// Bytes of a message to a reader that stands still.
pub(super) const STALLED_SIZE: usize = 4 << 10;

/// Names of figures beside those of a sample.
pub(super) const LOST: &str = "lost";
pub(super) const LOST_MIB: &str = "lost MiB";
pub(super) const PEAK: &str = "RSS peak MiB";
pub(super) const CAPACITY: &str = "can carry/s";
pub(super) const KIB_EACH: &str = "KiB each";
pub(super) const ALONE: &str = "alone: trips/s";
pub(super) const ALONE_P99: &str = "alone: p99 us";
pub(super) const BESIDE: &str = "beside: trips/s";
pub(super) const BESIDE_P99: &str = "beside: p99 us";
pub(super) const FATE: &str = "fate of the writer";
pub(super) const TAKEN: &str = "taken MiB";
pub(super) const GROWTH: &str = "RSS growth MiB";

impl From<Figures> for Round {
    fn from(of: Figures) -> Self {
        let whole = serde_json::to_value(&of).expect("figures are numbers and a word");
        let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
        let mut figures = of.sample.figures();
        figures.extend([
            (LOST, of.lost as f64),
            (LOST_MIB, mebibytes((of.lost * STALLED_SIZE as u64) as f64)),
            (PEAK, mebibytes(of.memory_peak_bytes as f64)),
        ]);
        figures.extend(of.capacity_per_s.map(|capacity| (CAPACITY, capacity)));
        figures.extend(of.sample.bytes_each.map(|bytes| (KIB_EACH, bytes / 1024.0)));
        if let Some(stalled) = of.stalled {
            figures.extend([
                (ALONE, stalled.alone_per_s),
                (ALONE_P99, stalled.alone.p99_ns / 1e3),
                (BESIDE, stalled.beside_per_s),
                (BESIDE_P99, stalled.beside.p99_ns / 1e3),
                (FATE, f64::from(stalled.fate as u8)),
                (TAKEN, mebibytes(stalled.taken_bytes)),
                (GROWTH, mebibytes(stalled.memory_growth_bytes)),
            ]);
        }
        Self { figures, whole }
    }
}
