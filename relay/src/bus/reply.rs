//! A message that the relay itself writes: the answer to a query, or one message of a watch. It goes out in as many
//! parts as the credit allows.

use bpmux::{HalfKey, Link};

use super::listing::Listing;
use crate::limits::REPLY_PART_BYTES_MAX;

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Reply {
    content: Content,
    written: usize,
}

#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    Listing(Listing),
}

impl Reply {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { content: Content::Bytes(bytes), written: 0 }
    }

    pub(super) fn listing(listing: Listing) -> Self {
        Self { content: Content::Listing(listing), written: 0 }
    }

    /// The memory that it takes beside itself, in bytes; what others have as well does not count.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes) => bytes.capacity(),
            Content::Listing(listing) => listing.memory_bytes(),
        }
    }

    fn len(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Listing(listing) => listing.len(),
        }
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
        let left = self.len() - self.written;
        let room = len_max.saturating_sub(out.len() + bpmux::chunk::HEAD_LEN_MAX).min(REPLY_PART_BYTES_MAX);
        let credit = usize::try_from(link.may_send(half)).unwrap_or(usize::MAX);
        let len = left.min(credit).min(room);
        if (len == 0 && left > 0) || !Self::has_room(out, len_max) {
            return false;
        }
        link.put_part(half, self.len() as u64, len as u64, out);
        let part = self.written..self.written + len;
        match &self.content {
            Content::Bytes(bytes) => out.extend_from_slice(&bytes[part]),
            Content::Listing(listing) => listing.copy(part, out),
        }
        self.written += len;
        self.written == self.len()
    }
}
