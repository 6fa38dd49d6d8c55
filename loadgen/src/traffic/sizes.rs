//! How long messages are. The size of each follows from its channel and its number, so that the reader knows it too.

use super::content::mix;

/// The longest message, in bytes.
pub(crate) const SIZE_MAX: usize = 64 << 20;

/// A distribution of sizes, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// All of them the same.
    Fixed(usize),
    /// Each from the least to the most, both included, as often.
    Uniform(usize, usize),
    /// Sizes with the share of each: where in 2^32 it ends, in rising order.
    Weighted(Vec<(u64, usize)>),
}

impl Sizes {
    /// Sizes as often as their weights say.
    pub(crate) fn weighted(weights: &[(usize, f64)]) -> Self {
        let total: f64 = weights.iter().map(|&(_, weight)| weight).sum();
        let mut sum = 0.0;
        let shares = weights.iter().map(|&(size, weight)| {
            sum += weight;
            ((sum / total * (1u64 << 32) as f64) as u64, size)
        });
        Self::Weighted(shares.collect())
    }

    /// The size of message `sequence` of the channel `key`.
    #[inline]
    pub(crate) fn size(&self, key: u64, sequence: u64) -> usize {
        match self {
            Self::Fixed(size) => *size,
            Self::Uniform(min, max) => {
                let span = (max - min + 1) as u64;
                min + ((share(key, sequence) * span) >> 32) as usize
            }
            Self::Weighted(shares) => {
                let share = share(key, sequence);
                let index = shares.partition_point(|&(end, _)| end <= share);
                shares[index.min(shares.len() - 1)].1
            }
        }
    }

    /// The size, if all are the same.
    #[inline]
    pub(crate) fn fixed(&self) -> Option<usize> {
        if let Self::Fixed(size) = self { Some(*size) } else { None }
    }
}

/// A number below 2^32, as good as random.
#[inline]
fn share(key: u64, sequence: u64) -> u64 {
    mix(key.rotate_left(17) ^ sequence) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_often_as_they_should_be() {
        let count = |sizes: &Sizes, size| (0..10_000).filter(|&sequence| sizes.size(7, sequence) == size).count();
        let uniform = Sizes::Uniform(16, 19);
        for size in 16..=19 {
            assert!((2_300..2_700).contains(&count(&uniform, size)), "{size}: {}", count(&uniform, size));
        }
        let weighted = Sizes::weighted(&[(64, 90.0), (4096, 9.0), (65_536, 1.0)]);
        assert!((8_800..9_200).contains(&count(&weighted, 64)));
        assert!((800..1_000).contains(&count(&weighted, 4096)));
        assert!((60..140).contains(&count(&weighted, 65_536)));
    }

    #[test]
    fn the_same_message_has_the_same_size_and_channels_differ() {
        let sizes = Sizes::Uniform(16, 100_000);
        assert_eq!(sizes.size(1, 5), sizes.size(1, 5));
        assert!((0..10).any(|sequence| sizes.size(1, sequence) != sizes.size(2, sequence)));
    }
}
