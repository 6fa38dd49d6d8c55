//! Tells whether what arrives is what was sent: each byte of each message, each message once, in order.

use std::collections::BTreeMap;

use bpmux::Piece;
use bpmux::varint::{self, Parsed};
use serde::Serialize;

use crate::payload::{self, BLOCK, FILLING, STAMP};

/// Gaps in the sequence that are remembered, to tell a late message from a second copy. Past it a late message counts
/// as duplicated; the run has long failed by then.
const GAPS_MAX: usize = 4096;

/// What arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// Messages that arrived, the wrong ones included.
    pub(crate) received: u64,
    /// Messages that never arrived.
    pub(crate) lost: u64,
    /// Copies of messages that had arrived before.
    pub(crate) duplicated: u64,
    /// Messages that arrived behind a later one.
    pub(crate) reordered: u64,
    /// Messages of the wrong length or with a wrong byte.
    pub(crate) corrupted: u64,
}

impl Verdict {
    /// Whether each message arrived once, in order and as it was sent.
    pub(crate) fn is_clean(&self) -> bool {
        let Self { sent, received, lost, duplicated, reordered, corrupted } = *self;
        received == sent && [lost, duplicated, reordered, corrupted] == [0; 4]
    }
}

/// Reads a stream of messages of one size.
#[derive(Debug)]
pub(crate) struct Verifier {
    size: usize,
    /// The number that the next message should have.
    next: u64,
    /// Numbers that were skipped: first and one past the last.
    gaps: BTreeMap<u64, u64>,
    verdict: Verdict,
    arriving: Arriving,
}

/// A message that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
struct Arriving {
    /// Bytes that have come.
    at: usize,
    /// The first stamp, as far as it has come.
    first_stamp: [u8; STAMP],
    /// The number of the message, once its stamp has come and has proved to be right.
    sequence: Option<u64>,
    /// Whether some byte was wrong.
    wrong: bool,
}

impl Verifier {
    /// Expects messages of `size` bytes, from number 0.
    pub(crate) fn new(size: usize) -> Self {
        debug_assert!(size >= STAMP);
        Self { size, next: 0, gaps: BTreeMap::new(), verdict: Verdict::default(), arriving: Arriving::default() }
    }

    /// Messages that have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.verdict.received
    }

    /// Takes whole messages with their heads, as [`bpmux::Link::take_run`] yields them, with ids of `id_len` bytes.
    #[inline]
    pub(crate) fn run(&mut self, mut run: &[u8], id_len: usize) {
        while !run.is_empty() {
            let Ok(Parsed::Value(len, len_len)) = varint::parse(&run[1 + id_len..]) else {
                unreachable!("a run is well-formed")
            };
            let (message, rest) = run.split_at(1 + id_len + len_len + len as usize);
            self.message(&message[1 + id_len + len_len..]);
            run = rest;
        }
    }

    /// Takes a whole message.
    #[inline]
    fn message(&mut self, message: &[u8]) {
        let is_next = message.len() == self.size
            && message.len() <= BLOCK
            && message[..STAMP] == payload::stamp(self.next, 0)
            && message[STAMP..] == FILLING[STAMP..message.len()];
        if is_next {
            self.next += 1;
            self.verdict.received += 1;
        } else {
            self.part(message, true, true);
        }
    }

    /// Takes a piece of a message.
    pub(crate) fn piece(&mut self, piece: &Piece, bytes: &[u8]) {
        self.part(bytes, piece.first, piece.last);
    }

    fn part(&mut self, mut bytes: &[u8], first: bool, last: bool) {
        if first {
            self.arriving = Arriving::default();
        }
        while !bytes.is_empty() {
            bytes = self.arriving.compare(bytes);
        }
        if last {
            self.judge();
        }
    }

    /// The message that arrived is complete.
    fn judge(&mut self) {
        let Arriving { at, sequence, wrong, .. } = self.arriving;
        self.verdict.received += 1;
        if wrong || sequence.is_none() || at != self.size {
            self.verdict.corrupted += 1;
        }
        // One that does not say which it is stands most likely in its place.
        let sequence = sequence.unwrap_or(self.next);
        if sequence >= self.next {
            self.skip_to(sequence);
            self.next = sequence + 1;
        } else if self.fill_gap(sequence) {
            self.verdict.reordered += 1;
            self.verdict.lost -= 1;
        } else {
            self.verdict.duplicated += 1;
        }
    }

    fn skip_to(&mut self, sequence: u64) {
        if sequence > self.next {
            self.verdict.lost += sequence - self.next;
            if self.gaps.len() < GAPS_MAX {
                self.gaps.insert(self.next, sequence);
            }
        }
    }

    /// Takes a number out of the gaps, if it stands there.
    fn fill_gap(&mut self, sequence: u64) -> bool {
        let Some((&start, &end)) = self.gaps.range(..=sequence).next_back().filter(|&(_, &end)| sequence < end) else {
            return false;
        };
        self.gaps.remove(&start);
        if start < sequence {
            self.gaps.insert(start, sequence);
        }
        if sequence + 1 < end {
            self.gaps.insert(sequence + 1, end);
        }
        true
    }

    /// Nothing more comes, and `sent` messages were sent.
    pub(crate) fn finish(mut self, sent: u64) -> Verdict {
        self.verdict.sent = sent;
        self.verdict.lost += sent.saturating_sub(self.next);
        self.verdict
    }
}

impl Arriving {
    /// Compares the bytes up to the end of a stamp or of a filling; returns the rest.
    fn compare<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (block, within) = (self.at / BLOCK, self.at % BLOCK);
        let until = if within < STAMP { STAMP } else { BLOCK };
        let (part, rest) = bytes.split_at(bytes.len().min(until - within));
        let range = within..within + part.len();
        self.at += part.len();
        if within >= STAMP {
            self.wrong |= *part != FILLING[range];
        } else if block > 0 {
            self.wrong |= self.sequence.is_none_or(|sequence| *part != payload::stamp(sequence, block)[range]);
        } else {
            self.first_stamp[range.clone()].copy_from_slice(part);
            if range.end == STAMP {
                self.sequence = payload::sequence_in(&self.first_stamp);
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::payload;

    /// Sizes on both sides of each boundary, with and without a cut last stamp.
    const SIZES: [usize; 8] = [16, 17, 64, 4096, 4097, 4111, 4113, 65_536];

    /// What a reader finds that gets these messages, whole where it can, and again in pieces of `cut` bytes.
    fn verdict(size: usize, sent: u64, messages: &[Vec<u8>], cut: usize) -> Verdict {
        let mut whole = Verifier::new(size);
        let mut pieces = Verifier::new(size);
        for message in messages {
            whole.message(message);
            let count = message.len().div_ceil(cut).max(1);
            for index in 0..count {
                let part = &message[index * cut..message.len().min((index + 1) * cut)];
                pieces.part(part, index == 0, index + 1 == count);
            }
        }
        let verdict = whole.finish(sent);
        assert_eq!(verdict, pieces.finish(sent), "in pieces of {cut} bytes of {size}");
        verdict
    }

    fn check(change: impl Fn(&mut Vec<Vec<u8>>), expected: Verdict) {
        for size in SIZES {
            for cut in [1, 7, 4096] {
                let mut messages: Vec<_> = (0..6).map(|sequence| payload(sequence, size)).collect();
                change(&mut messages);
                assert_eq!(verdict(size, 6, &messages, cut), expected, "{size} bytes");
            }
        }
    }

    const CLEAN: Verdict = Verdict { sent: 6, received: 6, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };

    #[test]
    fn what_was_sent_is_clean() {
        check(|_| {}, CLEAN);
        assert!(CLEAN.is_clean());
    }

    #[test]
    fn a_missing_message_is_lost_wherever_it_stood() {
        for index in [0, 3, 5] {
            let expected = Verdict { received: 5, lost: 1, ..CLEAN };
            check(|messages| drop(messages.remove(index)), expected);
            assert!(!expected.is_clean());
        }
    }

    #[test]
    fn a_second_copy_is_duplicated() {
        let expected = Verdict { received: 7, duplicated: 1, ..CLEAN };
        check(|messages| messages.insert(4, messages[2].clone()), expected);
        assert!(!expected.is_clean());
    }

    #[test]
    fn a_late_message_is_reordered_and_not_lost() {
        let expected = Verdict { reordered: 1, ..CLEAN };
        check(|messages| messages.swap(2, 3), expected);
        assert!(!expected.is_clean());
        // The middle one of a gap of three, and then a second copy of it.
        let expected = Verdict { received: 5, lost: 2, reordered: 1, duplicated: 1, ..CLEAN };
        check(|messages| *messages = [0, 4, 5, 2, 2].map(|index: usize| messages[index].clone()).into(), expected);
    }

    #[test]
    fn any_wrong_byte_is_found() {
        for size in SIZES.into_iter().filter(|&size| size < BLOCK + BLOCK / 2) {
            for at in 0..size {
                let mut messages: Vec<_> = (0..3).map(|sequence| payload(sequence, size)).collect();
                messages[1][at] ^= 0x40;
                let expected = Verdict { sent: 3, received: 3, corrupted: 1, ..Verdict::default() };
                assert_eq!(verdict(size, 3, &messages, 1000), expected, "byte {at} of {size}");
            }
        }
    }

    #[test]
    fn a_wrong_length_is_found() {
        let expected = Verdict { corrupted: 1, ..CLEAN };
        check(|messages| messages[3].push(FILLING[0]), expected);
        check(|messages| messages[3].truncate(15), expected);
        check(|messages| messages[3].clear(), expected);
        assert!(!expected.is_clean());
    }

    #[test]
    fn blocks_of_another_message_or_place_are_found() {
        let expected = Verdict { sent: 2, received: 2, corrupted: 1, ..Verdict::default() };
        let size = 3 * BLOCK;
        let foreign = |messages: &mut Vec<Vec<u8>>| {
            let block = messages[0][BLOCK..2 * BLOCK].to_vec();
            messages[1][BLOCK..2 * BLOCK].copy_from_slice(&block);
        };
        let swapped = |messages: &mut Vec<Vec<u8>>| {
            let (one, two) = messages[1][BLOCK..].split_at_mut(BLOCK);
            one.swap_with_slice(two);
        };
        for change in [&foreign as &dyn Fn(&mut Vec<Vec<u8>>), &swapped] {
            let mut messages = vec![payload(0, size), payload(1, size)];
            change(&mut messages);
            assert_eq!(verdict(size, 2, &messages, 5000), expected);
        }
    }
}
