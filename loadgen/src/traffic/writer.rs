//! Writes the messages of one half: many small ones at once, long ones straight from the filling, in parts where the
//! credit does not cover a whole one.

use std::ops::Range;

use bpmux::{Flags, HalfKey, Kind, Link, chunk};
use engine::batch::Batch;

use super::content::{self, BLOCK, FILLING, STAMP};
use super::copies::Copies;
use super::sizes::Sizes;

/// Bytes that a send should have before it leaves, if there is so much to say.
pub(crate) const SEND_BYTES: usize = 128 << 10;

/// The shortest message, in bytes, that goes in parts where the credit does not cover all of it. A shorter one waits.
const PARTS_SIZE_MIN: usize = 4096;

/// Bytes of one chunk, at the most: more would take too many slices.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// The shortest piece of the filling that is sent in place rather than copied.
const SHARED_BYTES_MIN: usize = 2048;

/// The least messages that are worth keeping as copies.
const COPIES_MIN: u64 = 8;

/// What became of an attempt to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// So many messages are complete; perhaps none, but a part.
    Messages(u64),
    /// There is no credit for more.
    NoCredit,
}

/// The writing side of a half.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    pub(crate) half: HalfKey,
    /// What messages on it are called on the wire.
    kind: Kind,
    /// The content's.
    key: u64,
    /// Messages that are complete, and the number of the next.
    pub(crate) sent: u64,
    /// Bytes of the next message that are gone already.
    pub(crate) part: usize,
}

impl Writer {
    /// A half of a channel that we opened or accepted, with content of its own `key`.
    pub(crate) fn new(half: HalfKey, opened: bool, key: u64) -> Self {
        Self { half, kind: if opened { Kind::OutSink } else { Kind::InSink }, key, sent: 0, part: 0 }
    }

    /// Writes up to `allowed` messages, as far as credit and the room in `out` go. What is under way goes on first.
    pub(crate) fn write(
        &mut self,
        link: &mut Link<u32>,
        sizes: &Sizes,
        allowed: u64,
        out: &mut Batch,
        copies: &mut Copies,
    ) -> Wrote {
        let size = sizes.size(self.key, self.sent);
        let credit = link.may_send(self.half);
        if self.part == 0
            && let Some(size) = sizes.fixed()
            && size <= SEND_BYTES / COPIES_MIN as usize
        {
            let room = SEND_BYTES.saturating_sub(out.len()) / size;
            let count = allowed.min(credit / size as u64).min(room.max(1) as u64);
            if count >= COPIES_MIN {
                out.block(self.copies(link, size, count, copies));
                return Wrote::Messages(count);
            }
        }
        let left = size - self.part;
        let len = left.min(CHUNK_BYTES_MAX).min(usize::try_from(credit).unwrap_or(usize::MAX));
        if len == 0 || (len < left && size < PARTS_SIZE_MIN) {
            return Wrote::NoCredit;
        }
        link.put_part(self.half, size as u64, len as u64, out.staged());
        put_content(self.key, self.sent, self.part..self.part + len, out);
        self.part += len;
        if self.part < size {
            return Wrote::Messages(0);
        }
        self.part = 0;
        self.sent += 1;
        Wrote::Messages(1)
    }

    /// Writes many messages of one size, of which only the stamps are new.
    fn copies(&mut self, link: &mut Link<u32>, size: usize, count: u64, copies: &mut Copies) -> Vec<u8> {
        let mut head = Vec::with_capacity(chunk::HEAD_LEN_MAX);
        let id = link.id(self.half).expect("a half with credit is there");
        chunk::put_payload_head(self.kind, Flags::NONE, id, size as u64, &mut head);
        link.spend_on_run(self.half, count * size as u64);
        let stride = head.len() + size;
        let mut messages = copies.take(&head, size, count as usize);
        if size == 64 && head.len() == 3 {
            // The size that is measured most, known to the compiler.
            put_all_stamps(self.key, self.sent, &mut messages, 3, 67);
        } else {
            put_all_stamps(self.key, self.sent, &mut messages, head.len(), stride);
        }
        self.sent += count;
        messages
    }
}

#[inline(always)]
fn put_all_stamps(key: u64, first: u64, messages: &mut [u8], head_len: usize, stride: usize) {
    for (sequence, message) in (first..).zip(messages.chunks_exact_mut(stride)) {
        content::put_stamps(key, sequence, &mut message[head_len..]);
    }
}

/// Appends a range of the payload of message `sequence`.
fn put_content(key: u64, sequence: u64, range: Range<usize>, out: &mut Batch) {
    let mut at = range.start;
    while at < range.end {
        let (block, within) = (at / BLOCK, at % BLOCK);
        let until = if within < STAMP { STAMP } else { BLOCK };
        let len = (until - within).min(range.end - at);
        if within < STAMP {
            out.put(&content::stamp(key, sequence, block)[within..within + len]);
        } else if len >= SHARED_BYTES_MIN {
            out.put_static(&FILLING[within..within + len]);
        } else {
            out.put(&FILLING[within..within + len]);
        }
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::content::payload;

    #[test]
    fn content_in_any_parts_is_the_payload() {
        for size in [16, 17, 4096, BLOCK, BLOCK + 7, 3 * BLOCK + 100] {
            for part in [1, 15, 5000, size] {
                let (mut out, mut bytes) = (Batch::new(), Vec::new());
                let mut at = 0;
                while at < size {
                    let end = size.min(at + part);
                    put_content(9, 3, at..end, &mut out);
                    at = end;
                }
                out.copy_to(&mut bytes);
                assert!(bytes == payload(9, 3, size), "{size} bytes in parts of {part}");
            }
        }
    }
}
