//! VarU64, the integer of the protocol: small values are one byte, larger ones say how many bytes follow.
//!
//! A first byte below 248 is the value. Else `(first & 7) + 1` bytes follow and hold it, big-endian. Only the
//! shortest form is valid, so that each value has one encoding and each first byte one length.

use crate::violation::Violation;

/// The longest encoding, in bytes.
pub const LEN_MAX: usize = 9;

/// The first byte that says "the value follows".
const FIRST_LONG: u8 = 248;

/// What a decoding attempt found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The value, and how many bytes it took.
    Value(u64, usize),
    /// The input ends within the integer.
    Incomplete,
}

/// The number of bytes that `value` takes.
#[must_use]
pub const fn len(value: u64) -> usize {
    if value < FIRST_LONG as u64 { 1 } else { 1 + big_endian_len(value) }
}

/// The number of bytes of the shortest big-endian form of `value`, at least one.
#[must_use]
pub const fn big_endian_len(value: u64) -> usize {
    let bits = 64 - value.leading_zeros() as usize;
    if bits == 0 { 1 } else { bits.div_ceil(8) }
}

/// Reads one integer from the front of `input`.
///
/// # Errors
/// [`Violation::VarintNotShortest`].
#[inline]
pub fn parse(input: &[u8]) -> Result<Parsed, Violation> {
    match input.first() {
        None => Ok(Parsed::Incomplete),
        Some(&first) if first < FIRST_LONG => Ok(Parsed::Value(u64::from(first), 1)),
        Some(&first) => parse_long(first, &input[1..]),
    }
}

fn parse_long(first: u8, rest: &[u8]) -> Result<Parsed, Violation> {
    let bytes = usize::from(first & 7) + 1;
    let Some(digits) = rest.get(..bytes) else { return Ok(Parsed::Incomplete) };
    let value = big_endian(digits);
    if len(value) == bytes + 1 { Ok(Parsed::Value(value, bytes + 1)) } else { Err(Violation::VarintNotShortest) }
}

/// The value of at most eight big-endian bytes.
#[must_use]
pub fn big_endian(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, &digit| value << 8 | u64::from(digit))
}

/// An encoded integer, held in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    bytes: [u8; LEN_MAX],
    len: u8,
}

impl Encoded {
    /// Encodes `value`.
    #[must_use]
    #[inline]
    pub fn new(value: u64) -> Self {
        let mut bytes = [0; LEN_MAX];
        if value < u64::from(FIRST_LONG) {
            bytes[0] = value as u8;
            return Self { bytes, len: 1 };
        }
        let digits = big_endian_len(value);
        bytes[0] = FIRST_LONG | (digits - 1) as u8;
        bytes[1..=digits].copy_from_slice(&value.to_be_bytes()[8 - digits..]);
        Self { bytes, len: digits as u8 + 1 }
    }

    /// The bytes that go on the wire.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Appends `value` to `out`.
#[inline]
pub fn put(value: u64, out: &mut Vec<u8>) {
    if value < u64::from(FIRST_LONG) {
        out.push(value as u8);
    } else {
        out.extend_from_slice(Encoded::new(value).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_forms() {
        let check = |value: u64, hex: &[u8]| {
            assert_eq!(Encoded::new(value).as_bytes(), hex, "encoding {value}");
            assert_eq!(parse(hex), Ok(Parsed::Value(value, hex.len())), "decoding {value}");
            assert_eq!(len(value), hex.len());
        };
        check(0, &[0]);
        check(247, &[247]);
        check(248, &[248, 248]);
        check(255, &[248, 255]);
        check(256, &[249, 1, 0]);
        check(65_535, &[249, 255, 255]);
        check(65_536, &[250, 1, 0, 0]);
        check(1 << 32, &[252, 1, 0, 0, 0, 0]);
        check(u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn longer_forms_are_violations() {
        for hex in [&[248u8, 247][..], &[248, 0], &[249, 0, 255], &[255, 0, 255, 255, 255, 255, 255, 255, 255]] {
            assert_eq!(parse(hex), Err(Violation::VarintNotShortest), "{hex:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_value_survives_any_cut(value: u64) {
            let encoded = Encoded::new(value);
            let bytes = encoded.as_bytes();
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), Ok(Parsed::Incomplete));
            }
            assert_eq!(parse(bytes), Ok(Parsed::Value(value, bytes.len())));
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(out, bytes);
        }
    }
}
