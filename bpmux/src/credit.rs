//! Credit, the currency of flow control: how many payload bytes may still be sent. The only place that does arithmetic on it.

use crate::violation::Violation;

/// Payload bytes that may still be spent on one half in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit(u64);

impl Credit {
    /// What may still be spent, in bytes.
    #[must_use]
    #[inline]
    pub const fn left(self) -> u64 {
        self.0
    }

    /// Adds `amount` bytes.
    ///
    /// # Errors
    /// [`Violation::CreditOverflow`] when the sum would pass 2^64-1.
    #[inline]
    pub fn give(&mut self, amount: u64) -> Result<(), Violation> {
        self.0 = self.0.checked_add(amount).ok_or(Violation::CreditOverflow)?;
        Ok(())
    }

    /// Takes `amount` bytes off.
    ///
    /// # Errors
    /// [`Violation::CreditExceeded`] when there is less.
    #[inline]
    pub fn spend(&mut self, amount: u64) -> Result<(), Violation> {
        self.0 = self.0.checked_sub(amount).ok_or(Violation::CreditExceeded)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_to_the_last_byte() {
        let mut credit = Credit::default();
        assert_eq!(credit.spend(1), Err(Violation::CreditExceeded));
        credit.give(u64::MAX).unwrap();
        assert_eq!(credit.give(1), Err(Violation::CreditOverflow));
        credit.spend(u64::MAX).unwrap();
        assert_eq!(credit.left(), 0);
        credit.spend(0).unwrap();
    }
}
