//! Tells whether what arrives is what was sent: each byte of each message, each message once, in order.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use bpmux::Piece;
use bpmux::varint::{self, Parsed};
use serde::{Deserialize, Serialize};

use super::content::{self, BLOCK, FILLING, STAMP};
use super::sizes::Sizes;

/// Gaps in the sequence that are remembered, to tell a late message from a second copy. Past it a late message counts
/// as duplicated; the run has long failed by then.
const GAPS_MAX: usize = 4096;

/// The longest message of which whole runs are compared at once.
const RUN_SIZE_MAX: usize = 4096;

/// What arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        self.received == self.sent && self.is_faultless()
    }

    /// Whether nothing is wrong with what arrived.
    pub(crate) fn is_faultless(&self) -> bool {
        [self.lost, self.duplicated, self.reordered, self.corrupted] == [0; 4]
    }
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
    }
}

/// Reads the messages of one channel in one direction.
#[derive(Debug)]
pub(crate) struct Verifier {
    key: u64,
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
    /// Expects the messages of the channel `key`, from number 0.
    pub(crate) fn new(key: u64) -> Self {
        Self { key, next: 0, gaps: BTreeMap::new(), verdict: Verdict::default(), arriving: Arriving::default() }
    }

    /// What has arrived so far. Messages that are missing at the end are not lost yet.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Takes `messages` whole messages with their heads, as [`bpmux::Link::take_run`] yields them, tag and id `head_len`
    /// bytes long.
    #[inline]
    pub(crate) fn run(&mut self, sizes: &Sizes, run: &[u8], messages: u64, head_len: usize) {
        let like = match sizes.fixed() {
            Some(size) if size <= RUN_SIZE_MAX => self.run_is_right(run, messages, head_len, size),
            _ => false,
        };
        if like {
            self.next += messages;
            self.verdict.received += messages;
        } else {
            self.messages(sizes, run, head_len);
        }
    }

    /// Whether the run is exactly what comes next. Differences are gathered without a branch for each message.
    #[inline]
    fn run_is_right(&self, run: &[u8], messages: u64, head_len: usize, size: usize) -> bool {
        let len = varint::Encoded::new(size as u64);
        let head_len = head_len + len.as_bytes().len();
        let stride = head_len + size;
        if run.len() as u64 != messages * stride as u64 {
            return false;
        }
        if size == 64 && head_len == 3 {
            // The size that is measured most, known to the compiler.
            return Self::compare(self.key, self.next, run, 3, 64, len.as_bytes());
        }
        Self::compare(self.key, self.next, run, head_len, size, len.as_bytes())
    }

    #[inline(always)]
    fn compare(key: u64, next: u64, run: &[u8], head_len: usize, size: usize, len: &[u8]) -> bool {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let filling = &FILLING[STAMP..size];
        let mut wrong = 0;
        for (sequence, message) in (next..).zip(run.chunks_exact(head_len + size)) {
            let (head, payload) = message.split_at(head_len);
            for (one, other) in head[head_len - len.len()..].iter().zip(len) {
                wrong |= u64::from(one ^ other);
            }
            let (number, check) = content::stamp_words(key, sequence, 0);
            wrong |= (number ^ word(&payload[..8])) | (check ^ word(&payload[8..16]));
            let payload = &payload[STAMP..];
            if size > 256 {
                wrong |= u64::from(payload != filling);
                continue;
            }
            let (words, rest) = (payload.chunks_exact(8), payload.len() / 8 * 8);
            for (one, other) in words.zip(filling.chunks_exact(8)) {
                wrong |= word(one) ^ word(other);
            }
            for (one, other) in payload[rest..].iter().zip(&filling[rest..]) {
                wrong |= u64::from(one ^ other);
            }
        }
        wrong == 0
    }

    /// Takes whole messages one by one.
    fn messages(&mut self, sizes: &Sizes, mut run: &[u8], head_len: usize) {
        while !run.is_empty() {
            let Ok(Parsed::Value(len, len_len)) = varint::parse(&run[head_len..]) else {
                unreachable!("a run is well-formed")
            };
            let (message, rest) = run.split_at(head_len + len_len + len as usize);
            self.part(sizes, &message[head_len + len_len..], true, true);
            run = rest;
        }
    }

    /// Takes a piece of a message.
    pub(crate) fn piece(&mut self, sizes: &Sizes, piece: &Piece, bytes: &[u8]) {
        self.part(sizes, bytes, piece.first, piece.last);
    }

    fn part(&mut self, sizes: &Sizes, mut bytes: &[u8], first: bool, last: bool) {
        if first {
            self.arriving = Arriving::default();
        }
        while !bytes.is_empty() {
            bytes = self.arriving.compare(self.key, bytes);
        }
        if last {
            self.judge(sizes);
        }
    }

    /// The message that arrived is complete.
    fn judge(&mut self, sizes: &Sizes) {
        let Arriving { at, sequence, wrong, .. } = self.arriving;
        self.verdict.received += 1;
        // One that does not say which it is stands most likely in its place.
        let number = sequence.unwrap_or(self.next);
        if wrong || sequence.is_none() || at != sizes.size(self.key, number) {
            self.verdict.corrupted += 1;
        }
        if number >= self.next {
            self.skip_to(number);
            self.next = number + 1;
        } else if self.fill_gap(number) {
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
    pub(crate) fn finish(&mut self, sent: u64) {
        self.verdict.lost += sent.saturating_sub(self.next);
        self.next = self.next.max(sent);
    }
}

impl Arriving {
    /// Compares the bytes up to the end of a stamp or of a filling; returns the rest.
    fn compare<'a>(&mut self, key: u64, bytes: &'a [u8]) -> &'a [u8] {
        let (block, within) = (self.at / BLOCK, self.at % BLOCK);
        let until = if within < STAMP { STAMP } else { BLOCK };
        let (part, rest) = bytes.split_at(bytes.len().min(until - within));
        let range = within..within + part.len();
        self.at += part.len();
        if within >= STAMP {
            self.wrong |= *part != FILLING[range];
        } else if block > 0 {
            self.wrong |= self.sequence.is_none_or(|sequence| *part != content::stamp(key, sequence, block)[range]);
        } else {
            self.first_stamp[range.clone()].copy_from_slice(part);
            if range.end == STAMP {
                self.sequence = content::sequence_in(key, &self.first_stamp);
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use bpmux::{Flags, Kind, chunk};

    use super::*;
    use crate::traffic::content::payload;

    const KEY: u64 = 0x1234;

    /// Sizes on both sides of each boundary, with and without a cut last stamp.
    const SIZES: [usize; 9] = [16, 17, 64, 251, 4096, BLOCK, BLOCK + 1, BLOCK + 17, 4 * BLOCK];

    /// What a reader finds that gets these messages in one run, and again in pieces of `cut` bytes.
    fn verdict(size: usize, sent: u64, messages: &[Vec<u8>], cut: usize) -> Verdict {
        let sizes = Sizes::Fixed(size);
        let (mut whole, mut pieces) = (Verifier::new(KEY), Verifier::new(KEY));
        let mut run = Vec::new();
        for message in messages {
            chunk::put_payload_head(Kind::OutSink, Flags::NONE, 5, message.len() as u64, &mut run);
            run.extend_from_slice(message);
            let count = message.len().div_ceil(cut).max(1);
            for index in 0..count {
                let part = &message[index * cut..message.len().min((index + 1) * cut)];
                pieces.part(&sizes, part, index == 0, index + 1 == count);
            }
        }
        whole.run(&sizes, &run, messages.len() as u64, 2);
        whole.finish(sent);
        pieces.finish(sent);
        assert_eq!(whole.verdict(), pieces.verdict(), "in pieces of {cut} bytes of {size}");
        Verdict { sent, ..whole.verdict() }
    }

    fn check(change: impl Fn(&mut Vec<Vec<u8>>), expected: Verdict) {
        for size in SIZES {
            for cut in [1, 7, 4096] {
                let mut messages: Vec<_> = (0..6).map(|sequence| payload(KEY, sequence, size)).collect();
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
        for size in [16, 17, 64, 65, 251, 300, 4097] {
            for at in 0..size {
                let mut messages: Vec<_> = (0..3).map(|sequence| payload(KEY, sequence, size)).collect();
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
        // Two that are wrong together, so that the run is as long as it should be.
        let expected = Verdict { corrupted: 2, ..CLEAN };
        let mut messages: Vec<_> = (0..6).map(|sequence| payload(KEY, sequence, 100)).collect();
        messages[2].push(FILLING[0]);
        messages[3].pop();
        assert_eq!(verdict(100, 6, &messages, 7), expected);
    }

    #[test]
    fn messages_of_another_channel_are_found() {
        let expected = Verdict { corrupted: 1, ..CLEAN };
        check(|messages| messages[3] = payload(KEY + 1, 3, messages[3].len()), expected);
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
            let mut messages = vec![payload(KEY, 0, size), payload(KEY, 1, size)];
            change(&mut messages);
            assert_eq!(verdict(size, 2, &messages, 5000), expected);
        }
    }
}
