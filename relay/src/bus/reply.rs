//! A message that the relay itself writes: the answer to a query, or one message of a watch. It goes out in as many
//! parts as the credit allows.

use bpmux::{HalfKey, Link};

use crate::limits::REPLY_PART_BYTES_MAX;

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Reply {
    bytes: Vec<u8>,
    written: usize,
}

impl Reply {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, written: 0 }
    }

    /// Whether there is room in `out` for anything at all.
    pub(super) fn has_room(out: &[u8], len_max: usize) -> bool {
        out.len() + bpmux::chunk::HEAD_LEN_MAX < len_max
    }

    /// Writes as much as credit and room allow; returns whether the message is all out.
    pub(super) fn write<U>(&mut self, link: &mut Link<U>, half: HalfKey, out: &mut Vec<u8>, len_max: usize) -> bool
    where
        U: Copy + Default,
    {
        let left = self.bytes.len() - self.written;
        let room = len_max.saturating_sub(out.len() + bpmux::chunk::HEAD_LEN_MAX).min(REPLY_PART_BYTES_MAX);
        let credit = usize::try_from(link.may_send(half)).unwrap_or(usize::MAX);
        let len = left.min(credit).min(room);
        if (len == 0 && left > 0) || !Self::has_room(out, len_max) {
            return false;
        }
        link.put_part(half, self.bytes.len() as u64, len as u64, out);
        out.extend_from_slice(&self.bytes[self.written..self.written + len]);
        self.written += len;
        self.written == self.bytes.len()
    }
}
