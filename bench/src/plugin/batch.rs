//! What a plugin writes: messages that are encoded once.

use bpmux::{Flags, Kind, chunk};

/// The most that goes into one write, in bytes, unless one message is longer.
const BATCH_BYTES: usize = 64 << 10;

/// Plain messages of one size on one half.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    size: usize,
    stride: usize,
}

impl Batch {
    /// Messages of `size` bytes for the half `id`, whose writer is of this kind: as many as go into a write, or
    /// `count` of them.
    pub(crate) fn new(kind: Kind, id: u64, size: usize, count: Option<usize>) -> Self {
        let mut message = Vec::new();
        chunk::put_payload_head(kind, Flags::NONE, id, size as u64, &mut message);
        message.resize(message.len() + size, 0x5a);
        let stride = message.len();
        let count = count.unwrap_or((BATCH_BYTES / stride).max(1));
        Self { bytes: message.repeat(count), size, stride }
    }

    /// Payload of a message.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Bytes of a message, its head included.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Bytes of its head.
    pub(crate) fn head_len(&self) -> usize {
        self.stride - self.size
    }

    /// How many messages it holds.
    pub(crate) fn count(&self) -> usize {
        self.bytes.len() / self.stride
    }

    /// The first `count` messages on the wire.
    pub(crate) fn messages(&self, count: usize) -> &[u8] {
        &self.bytes[..count * self.stride]
    }

    /// Payload of the first message.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.head_len()..self.stride]
    }
}
