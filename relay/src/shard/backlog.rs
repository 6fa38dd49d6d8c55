//! The backlog of a half: payload for a plugin that is behind, as whole chunks, in blocks.
//!
//! What cannot go out of the buffer in which it came is copied here, so that the buffer can go back at once. Chunks
//! get their heads on the way in; a block always ends with a chunk, so that the chunks of several halves can take turns.

use std::collections::VecDeque;

use crate::bus::address::LegAddr;
use crate::limits::{BACKLOG_HEAD_BYTES_MAX, QUANTUM_BYTES};

use super::pool::Pool;

/// Whole chunks, and what they owe.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    payload_bytes: u64,
}

/// What waits for one half.
#[derive(Debug)]
pub(super) struct Backlog {
    /// The leg that it comes from.
    from: LegAddr,
    blocks: VecDeque<Block>,
    payload_bytes: u64,
    head_bytes: u64,
    /// Memory that the blocks take.
    blocks_bytes: usize,
    /// Bytes that it may send in its turn; below zero what it has sent beyond that.
    pub(super) deficit: i64,
    /// Whether the port that it comes from has been told to pause.
    pub(super) pausing: bool,
}

impl Backlog {
    pub(super) fn new(from: LegAddr) -> Self {
        Self {
            from,
            blocks: VecDeque::new(),
            payload_bytes: 0,
            head_bytes: 0,
            blocks_bytes: 0,
            deficit: 0,
            pausing: false,
        }
    }

    /// The same without anything in it, for another leg.
    pub(super) fn anew(mut self, from: LegAddr) -> Self {
        self.blocks.clear();
        Self { blocks: self.blocks, ..Self::new(from) }
    }

    pub(super) fn from(&self) -> LegAddr {
        self.from
    }

    pub(super) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Appends chunks that hold `payload_bytes` of payload: `write` puts at most about `bytes_max` bytes.
    pub(super) fn append(
        &mut self,
        bytes_max: usize,
        payload_bytes: u64,
        pool: &mut Pool,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let fits = self.blocks.back().is_some_and(|block| block.bytes.len() + bytes_max <= QUANTUM_BYTES);
        if !fits {
            let bytes = pool.block(bytes_max.max(QUANTUM_BYTES));
            self.blocks.push_back(Block { bytes, payload_bytes: 0 });
        }
        let block = self.blocks.back_mut().expect("a block was just made sure of");
        let (before, capacity) = (block.bytes.len(), if fits { block.bytes.capacity() } else { 0 });
        write(&mut block.bytes);
        if !fits {
            // The most that it might have been is often much more than it is.
            block.bytes.shrink_to(QUANTUM_BYTES);
        }
        self.blocks_bytes = self.blocks_bytes + block.bytes.capacity() - capacity;
        let head_bytes = (block.bytes.len() - before) as u64 - payload_bytes;
        block.payload_bytes += payload_bytes;
        self.payload_bytes += payload_bytes;
        self.head_bytes += head_bytes;
    }

    /// The next block, and the payload in it.
    pub(super) fn take(&mut self) -> Option<(Vec<u8>, u64)> {
        let block = self.blocks.pop_front()?;
        self.payload_bytes -= block.payload_bytes;
        self.blocks_bytes -= block.bytes.capacity();
        self.head_bytes -= block.bytes.len() as u64 - block.payload_bytes;
        Some((block.bytes, block.payload_bytes))
    }

    /// What it takes beside the payload, in bytes.
    pub(super) fn overhead_bytes(&self) -> usize {
        size_of::<Self>() + self.blocks_bytes.saturating_sub(self.payload_bytes as usize)
    }

    /// Whether the writer must wait, because of what costs it no credit.
    pub(super) fn is_overfull(&self) -> bool {
        self.head_bytes > BACKLOG_HEAD_BYTES_MAX
    }

    /// Whether a writer that waits may go on.
    pub(super) fn has_room(&self) -> bool {
        self.head_bytes <= BACKLOG_HEAD_BYTES_MAX / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::address::{LegId, PortAddr};

    #[test]
    fn chunks_stay_whole_and_in_order() {
        let leg = LegAddr { port: PortAddr { shard: 0, port: 0 }, leg: LegId { slot: 0, generation: 0 } };
        let (mut backlog, mut pool) = (Backlog::new(leg), Pool::default());
        let chunk = |n: usize| vec![n as u8; 1 + n * 997 % 40_000];
        let mut expected = Vec::new();
        for n in 0..100 {
            let chunk = chunk(n);
            backlog.append(chunk.len(), chunk.len() as u64 - 1, &mut pool, |out| out.extend_from_slice(&chunk));
            expected.extend_from_slice(&chunk);
        }
        let mut got = Vec::new();
        let mut payload = 0;
        while let Some((block, payload_bytes)) = backlog.take() {
            assert_ne!(block.first(), got.last(), "a chunk was cut");
            got.extend_from_slice(&block);
            payload += payload_bytes;
        }
        assert!(got == expected && payload == expected.len() as u64 - 100);
        assert!(backlog.is_empty() && backlog.payload_bytes() == 0 && backlog.head_bytes == 0);
    }

    #[test]
    fn heads_without_payload_are_bounded() {
        let leg = LegAddr { port: PortAddr { shard: 0, port: 0 }, leg: LegId { slot: 0, generation: 0 } };
        let (mut backlog, mut pool) = (Backlog::new(leg), Pool::default());
        let mut messages = 0;
        while !backlog.is_overfull() {
            backlog.append(3, 0, &mut pool, |out| out.extend_from_slice(&[0x50, 1, 0]));
            messages += 1;
        }
        assert_eq!(messages, BACKLOG_HEAD_BYTES_MAX / 3 + 1);
        while !backlog.has_room() {
            backlog.take().expect("there is more");
        }
        assert!(!backlog.is_empty());
    }
}
