//! A response of the relay's own, under flow control: the answer to a query, or one message of a watch. It goes out in as many
//! parts as the credit allows.

use bpmux::{HalfKey, Link};

use super::super::listing::Listing;
use limits::REPLY_PART_BYTES_MAX;

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Reply {
    content: Content,
    /// How long it is.
    len: usize,
}

#[derive(Debug)]
enum Content {
    /// With so many bytes that are written.
    Bytes(Vec<u8>, usize),
    Listing(Listing),
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// How much of it has been written now.
    pub(super) bytes: usize,
    /// Whether it is all out.
    pub(super) done: bool,
}

impl Reply {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { len: bytes.len(), content: Content::Bytes(bytes, 0) }
    }

    pub(super) fn listing(listing: Listing) -> Self {
        Self { len: listing.left(), content: Content::Listing(listing) }
    }

    /// Whether it tells all names.
    pub(super) fn is_listing(&self) -> bool {
        matches!(self.content, Content::Listing(_))
    }

    /// The memory that it takes beside itself, in bytes; what others have as well does not count.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes, _) => bytes.capacity(),
            Content::Listing(listing) => listing.memory_bytes(),
        }
    }

    fn left(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes, written) => bytes.len() - written,
            Content::Listing(listing) => listing.left(),
        }
    }

    /// Whether there is room in `out` for anything at all.
    pub(super) fn has_room(out: &[u8], len_max: usize) -> bool {
        out.len() + bpmux::chunk::HEAD_LEN_MAX < len_max
    }

    /// Writes as much as credit and room allow.
    pub(super) fn write<U>(&mut self, link: &mut Link<U>, half: HalfKey, out: &mut Vec<u8>, len_max: usize) -> Written
    where
        U: Copy + Default,
    {
        let left = self.left();
        let room = len_max.saturating_sub(out.len() + bpmux::chunk::HEAD_LEN_MAX).min(REPLY_PART_BYTES_MAX);
        let credit = usize::try_from(link.may_send(half)).unwrap_or(usize::MAX);
        let len = left.min(credit).min(room);
        if (len == 0 && left > 0) || !Self::has_room(out, len_max) {
            return Written { bytes: 0, done: false };
        }
        link.put_part(half, self.len as u64, len as u64, out);
        match &mut self.content {
            Content::Bytes(bytes, written) => {
                out.extend_from_slice(&bytes[*written..*written + len]);
                *written += len;
            }
            Content::Listing(listing) => listing.take(len, out),
        }
        Written { bytes: len, done: len == left }
    }
}
