//! Many messages in one write: encoded once, and then only their stamps are written anew.

use std::ops::Range;

use bpmux::chunk;
use bpmux::{Flags, Kind};

use crate::payload;

/// Bytes of a batch, heads included; a batch holds at least one message. Longer ones do not fit the cache with all
/// else that passes through it.
const BATCH_BYTES: usize = 64 << 10;

/// Plain messages of one size on one half that we opened.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    head_len: usize,
    /// Head and payload of a message, in bytes.
    stride: usize,
}

impl Batch {
    /// Messages of `size` bytes for the half `id`.
    pub(crate) fn new(id: u64, size: usize) -> Self {
        let mut message = Vec::new();
        chunk::put_payload_head(Kind::OutSink, Flags::NONE, id, size as u64, &mut message);
        let head_len = message.len();
        message.resize(head_len + size, 0);
        payload::fill(&mut message[head_len..]);
        let stride = message.len();
        Self { bytes: message.repeat((BATCH_BYTES / stride).max(1)), head_len, stride }
    }

    /// How many messages it can hold.
    pub(crate) fn messages_max(&self) -> usize {
        self.bytes.len() / self.stride
    }

    /// The first `count` messages on the wire, numbered from `sequence`.
    pub(crate) fn numbered(&mut self, sequence: u64, count: usize) -> &[u8] {
        let batch = &mut self.bytes[..count * self.stride];
        for (number, message) in (sequence..).zip(batch.chunks_exact_mut(self.stride)) {
            payload::put_stamps(number, &mut message[self.head_len..]);
        }
        batch
    }

    /// A range of the payload of the first message, as it was numbered last.
    pub(crate) fn payload(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[self.head_len..self.stride][range]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::Verifier;

    #[test]
    fn batches_are_what_the_verifier_expects() {
        for size in [16, 64, 247, 248, 5000, 65_536] {
            let mut batch = Batch::new(0, size);
            let count = batch.messages_max();
            let mut verifier = Verifier::new(size);
            verifier.run(batch.numbered(0, count), 1);
            verifier.run(batch.numbered(count as u64, 1), 1);
            assert!(verifier.finish(count as u64 + 1).is_clean(), "{size} bytes");
        }
    }
}
