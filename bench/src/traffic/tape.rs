//! What a reader is to receive: messages that differ in one byte, their number, over and over. Comparing is so fast that
//! all of it is compared, and a message that is missing is noticed where it is.

use anyhow::{Result, ensure};

/// Bytes of a cycle, at the most, unless two messages are more.
const CYCLE_BYTES_MAX: usize = 1 << 20;

/// The number is a byte.
const NUMBERS: usize = 256;

/// How many messages of so many bytes stand in a cycle.
pub(crate) fn cycle(stride: usize) -> usize {
    (CYCLE_BYTES_MAX / stride).clamp(2, NUMBERS)
}

/// Writes its number into a message.
pub(crate) fn stamp(payload: &mut [u8], number: usize) {
    payload[0] = number as u8;
}

/// A reader's place in what it expects.
#[derive(Debug)]
pub(crate) struct Tape {
    cycle: Vec<u8>,
    stride: usize,
    /// Where in a message its number stands.
    number_at: usize,
    /// How far it has come in the cycle.
    at: usize,
    received: u64,
    missing: u64,
}

impl Tape {
    /// Messages that look like this one, with their number there.
    pub(crate) fn new(message: &[u8], number_at: usize) -> Self {
        let stride = message.len();
        let mut cycle = message.repeat(cycle(stride));
        for (number, message) in cycle.chunks_exact_mut(stride).enumerate() {
            stamp(&mut message[number_at..], number);
        }
        Self { cycle, stride, number_at, at: 0, received: 0, missing: 0 }
    }

    /// Bytes of a message.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Messages that have come whole.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Messages that were passed over, as far as their numbers tell: not those after which none came.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// Takes what has come. Returns how much of it is as expected: all of it, or what stands before something else between
    /// two messages.
    pub(crate) fn take(&mut self, input: &[u8]) -> Result<usize> {
        let mut rest = input;
        while !rest.is_empty() {
            let expected = &self.cycle[self.at..];
            let len = rest.len().min(expected.len());
            if rest[..len] == expected[..len] {
                self.advance(len);
                rest = &rest[len..];
                continue;
            }
            let same = rest.iter().zip(expected).take_while(|(one, other)| one == other).count();
            self.advance(same);
            rest = &rest[same..];
            let place = self.at % self.stride;
            if place == 0 {
                break;
            }
            ensure!(place == self.number_at, "what came is not what was sent, at byte {place} of a message");
            self.skip_to(usize::from(rest[0]))?;
        }
        Ok(input.len() - rest.len())
    }

    fn advance(&mut self, len: usize) {
        let before = self.at / self.stride;
        self.received += ((self.at + len) / self.stride - before) as u64;
        self.at = (self.at + len) % self.cycle.len();
    }

    /// The message that has come is another one.
    fn skip_to(&mut self, number: usize) -> Result<()> {
        let count = self.cycle.len() / self.stride;
        ensure!(number < count, "a message has the number {number}, and there are {count}");
        let expected = self.at / self.stride;
        self.missing += ((number + count - expected) % count) as u64;
        self.at = number * self.stride + self.number_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(numbers: impl Iterator<Item = usize>) -> Vec<u8> {
        numbers.flat_map(|number| [b'm', b':', number as u8, b'x']).collect()
    }

    #[test]
    fn all_is_counted_however_it_is_cut() {
        let input = sent((0..600).map(|number| number % 256));
        for cut in [1, 3, 4, 1000] {
            let mut tape = Tape::new(b"m:_x", 2);
            for part in input.chunks(cut) {
                assert_eq!(tape.take(part).expect("it is as expected"), part.len());
            }
            assert_eq!((tape.received(), tape.missing(), tape.at), (600, 0, (600 % 256) * 4));
        }
    }

    #[test]
    fn missing_messages_are_noticed() {
        let mut tape = Tape::new(b"m:_x", 2);
        let input = sent([0, 1, 4, 5, 2].into_iter());
        assert_eq!(tape.take(&input).expect("all of them are messages"), input.len());
        assert_eq!((tape.received(), tape.missing()), (5, 2 + 252));
    }

    #[test]
    fn something_else_is_left_and_damage_is_an_error() {
        let mut tape = Tape::new(b"m:_x", 2);
        let input = [&sent(0..2)[..], b"PING"].concat();
        assert_eq!(tape.take(&input).expect("it ends between messages"), 8);
        assert!(tape.take(b"m:\x02y").is_err());
    }
}
