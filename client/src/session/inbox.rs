//! An inbox: what has arrived on a half and was not taken by the program yet, as messages and as bytes.
//!
//! The bytes of all messages stand in one buffer, so that many small messages cost no allocation each. Where one ends
//! is noted in runs of equal length: empty messages cost their sender no credit, and must not cost us memory either.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// So many whole messages of the same length, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    len: u64,
    count: u64,
}

/// The message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail {
    total: u64,
    received: u64,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The next bytes of the message.
    pub bytes: Bytes,
    /// Bytes of the whole message, all parts together.
    pub total: u64,
    /// Whether the message ends here.
    pub last: bool,
}

/// What has arrived and was not taken.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: BytesMut,
    runs: VecDeque<Run>,
    tail: Option<Tail>,
    /// Bytes of the front message that were taken already.
    taken: u64,
}

impl Inbox {
    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a whole message is there.
    pub(crate) fn has_message(&self) -> bool {
        !self.runs.is_empty()
    }

    /// The length of the message under way, when no whole one is before it.
    pub(crate) fn front_under_way(&self) -> Option<u64> {
        self.tail.filter(|_| self.runs.is_empty()).map(|tail| tail.total)
    }

    // In.

    /// A piece of a message of `total` bytes has arrived.
    #[inline]
    pub(crate) fn push(&mut self, piece: &[u8], total: u64, last: bool) {
        self.bytes.extend_from_slice(piece);
        if last {
            self.tail = None;
            match self.runs.back_mut() {
                Some(run) if run.len == total => run.count += 1,
                _ => self.runs.push_back(Run { len: total, count: 1 }),
            }
        } else {
            let tail = self.tail.get_or_insert(Tail { total, received: 0 });
            tail.received += piece.len() as u64;
        }
    }

    /// The message under way is given up. Returns whether the program has taken a part of it.
    pub(crate) fn give_up_tail(&mut self) -> bool {
        let Some(tail) = self.tail.take() else { return false };
        let taken = if self.runs.is_empty() { std::mem::take(&mut self.taken) } else { 0 };
        let unread = (tail.received - taken) as usize;
        self.bytes.truncate(self.bytes.len() - unread);
        taken > 0
    }

    // Out.

    /// The next whole message, or what is left of it when parts of it were taken.
    #[inline]
    pub(crate) fn take_message(&mut self) -> Option<Bytes> {
        let run = self.runs.front_mut()?;
        let len = run.len - std::mem::take(&mut self.taken);
        run.count -= 1;
        if run.count == 0 {
            self.runs.pop_front();
        }
        Some(self.bytes.split_to(len as usize).freeze())
    }

    /// The next part: what is there of the front message.
    pub(crate) fn take_part(&mut self) -> Option<Part> {
        if let Some(&Run { len: total, .. }) = self.runs.front() {
            return self.take_message().map(|bytes| Part { bytes, total, last: true });
        }
        let total = self.tail?.total;
        if self.bytes.is_empty() {
            return None;
        }
        let bytes = self.bytes.split().freeze();
        self.taken += bytes.len() as u64;
        Some(Part { bytes, total, last: false })
    }

    /// The bytes at hand, whatever messages they are of.
    pub(crate) fn take_all(&mut self) -> Bytes {
        self.account(self.bytes.len() as u64);
        self.bytes.split().freeze()
    }

    /// Copies bytes, whatever messages they are of; returns how many.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> usize {
        let len = into.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut into[..len]);
        self.account(len as u64);
        len
    }

    /// `len` bytes were taken without regard to messages.
    fn account(&mut self, mut len: u64) {
        while let Some(run) = self.runs.front_mut() {
            let left = run.len - self.taken;
            if len < left {
                break;
            }
            len -= left;
            self.taken = 0;
            run.count -= 1;
            // All of a run at once, and empty messages with it.
            let more = len.checked_div(run.len).map_or(run.count, |whole| run.count.min(whole));
            run.count -= more;
            len -= more * run.len;
            if run.count == 0 {
                self.runs.pop_front();
            }
        }
        self.taken += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Inbox {
        fn is_empty(&self) -> bool {
            self.runs.is_empty() && self.bytes.is_empty()
        }
    }

    fn part(bytes: &'static [u8], total: u64, last: bool) -> Option<Part> {
        Some(Part { bytes: Bytes::from_static(bytes), total, last })
    }

    #[test]
    fn messages_keep_their_boundaries() {
        let mut inbox = Inbox::default();
        inbox.push(b"ab", 2, true);
        inbox.push(b"", 0, true);
        inbox.push(b"", 0, true);
        inbox.push(b"cd", 5, false);
        assert_eq!(inbox.front_under_way(), None);
        assert_eq!(inbox.take_message().unwrap(), "ab");
        assert_eq!(inbox.take_message().unwrap(), "");
        assert_eq!(inbox.take_message().unwrap(), "");
        assert_eq!(inbox.take_message(), None);
        assert_eq!(inbox.front_under_way(), Some(5));
        inbox.push(b"efg", 5, true);
        assert_eq!(inbox.take_message().unwrap(), "cdefg");
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_message_in_parts() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.take_part(), None);
        inbox.push(b"ab", 6, false);
        assert_eq!(inbox.take_part(), part(b"ab", 6, false));
        assert_eq!(inbox.take_part(), None);
        inbox.push(b"cd", 6, false);
        assert_eq!(inbox.take_part(), part(b"cd", 6, false));
        inbox.push(b"ef", 6, true);
        assert_eq!(inbox.take_message().unwrap(), "ef");
        inbox.push(b"", 0, true);
        assert_eq!(inbox.take_part(), part(b"", 0, true));
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_message_given_up_leaves_those_before_it() {
        let mut inbox = Inbox::default();
        inbox.push(b"whole", 5, true);
        inbox.push(b"par", 9, false);
        assert!(!inbox.give_up_tail());
        assert_eq!(inbox.held(), 5);
        assert_eq!(inbox.take_message().unwrap(), "whole");
        inbox.push(b"par", 9, false);
        inbox.take_part();
        inbox.push(b"t", 9, false);
        assert!(inbox.give_up_tail());
        assert!(inbox.is_empty());
        inbox.push(b"next", 4, true);
        assert_eq!(inbox.take_message().unwrap(), "next");
    }

    #[test]
    fn empty_messages_take_no_room() {
        let mut inbox = Inbox::default();
        for _ in 0..100_000 {
            inbox.push(b"", 0, true);
        }
        assert_eq!(inbox.runs.len(), 1);
        let mut none = [0; 4];
        assert_eq!(inbox.read(&mut none), 0);
        assert!(inbox.is_empty(), "readers of bytes never see them");
    }

    proptest::proptest! {
        /// Reading in any way gives the same bytes in the same order, and leaves the boundaries where they were.
        #[test]
        fn bytes_and_messages_agree(
            lens in proptest::collection::vec(0usize..6, 0..40),
            reads in proptest::collection::vec((0u8..4, 0usize..9), 0..60),
        ) {
            let mut inbox = Inbox::default();
            let mut expected = Vec::new();
            let mut ends = Vec::new();
            for len in lens {
                let start = expected.len();
                expected.extend((start..start + len).map(|at| at as u8));
                for at in start..expected.len().saturating_sub(1) {
                    inbox.push(&expected[at..=at], len as u64, false);
                }
                inbox.push(&expected[expected.len().saturating_sub(1).max(start)..], len as u64, true);
                ends.push(expected.len());
            }
            let mut got = Vec::new();
            for (how, len) in reads {
                match how {
                    0 => {
                        let mut bytes = vec![0; len];
                        let len = inbox.read(&mut bytes);
                        got.extend_from_slice(&bytes[..len]);
                    }
                    1 => got.extend_from_slice(&inbox.take_message().unwrap_or_default()),
                    2 => got.extend(inbox.take_part().map(|part| part.bytes).unwrap_or_default()),
                    _ => got.extend_from_slice(&inbox.take_all()),
                }
                if how == 1 || how == 2 {
                    assert!(got.is_empty() || ends.contains(&got.len()), "a message ends where it was cut");
                }
                assert_eq!(inbox.held(), expected.len() - got.len());
            }
            while let Some(message) = inbox.take_message() {
                got.extend_from_slice(&message);
            }
            assert_eq!(got, expected);
        }
    }
}
