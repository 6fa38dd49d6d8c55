//! What a shard uses again instead of asking for memory anew: batches, backlogs and their blocks. So nothing is allocated
//! for a message, be its reader quick or slow.

use crate::bus::address::LegAddr;
use crate::engine::batch::Batch;

use super::backlog::{Backlog, Chunks};

/// Batches kept for the next use. As many as ports usually write in one tick; no tuning so far.
const BATCHES_MAX: usize = 64;

/// Backlogs kept for the next use. As many as the halves that usually fall behind in turns; no tuning so far.
const BACKLOGS_MAX: usize = 64;

/// Bytes of blocks kept for the next use. As many as the receive buffers have, twice; no tuning so far.
const BLOCKS_BYTES_MAX: usize = 8 << 20;

/// What nobody uses, kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "the driver takes them boxed, since the kernel keeps pointers into them")]
    batches: Vec<Box<Batch>>,
    backlogs: Vec<Backlog>,
    blocks: Vec<Vec<u8>>,
    /// The capacity of all blocks.
    blocks_bytes: usize,
}

impl Pool {
    /// An empty batch.
    pub(super) fn batch(&mut self) -> Box<Batch> {
        self.batches.pop().unwrap_or_default()
    }

    /// Takes a batch back with all that it holds.
    pub(super) fn give_back_batch(&mut self, mut batch: Box<Batch>) {
        batch.clear(|block| self.give_back_block(block));
        if self.batches.len() < BATCHES_MAX {
            self.batches.push(batch);
        }
    }

    /// An empty backlog of payload from this leg.
    pub(super) fn backlog(&mut self, from: LegAddr) -> Backlog {
        match self.backlogs.pop() {
            Some(backlog) => backlog.anew(from),
            None => Backlog::new(from),
        }
    }

    /// Takes a backlog back with all that it holds.
    pub(super) fn give_back_backlog(&mut self, mut backlog: Backlog) {
        while let Some((chunks, _)) = backlog.take() {
            if let Chunks::Copied(block) = chunks {
                self.give_back_block(block);
            }
        }
        if self.backlogs.len() < BACKLOGS_MAX {
            self.backlogs.push(backlog);
        }
    }

    /// An empty block with room for so many bytes.
    pub(super) fn block(&mut self, bytes: usize) -> Vec<u8> {
        let mut block = self.blocks.pop().unwrap_or_default();
        self.blocks_bytes -= block.capacity();
        block.reserve(bytes);
        block
    }

    fn give_back_block(&mut self, mut block: Vec<u8>) {
        if self.blocks_bytes + block.capacity() <= BLOCKS_BYTES_MAX {
            self.blocks_bytes += block.capacity();
            block.clear();
            self.blocks.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_went_out_comes_back_with_its_memory() {
        let mut pool = Pool::default();
        let mut block = pool.block(1_000);
        block.extend_from_slice(b"payload");
        let (memory, capacity) = (block.as_ptr(), block.capacity());
        let mut batch = pool.batch();
        batch.block(block);
        pool.give_back_batch(batch);
        let again = pool.block(1_000);
        assert_eq!((again.as_ptr(), again.capacity(), again.len()), (memory, capacity, 0));
        assert_eq!(pool.blocks_bytes, 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pool = Pool::default();
        for _ in 0..10_000 {
            pool.give_back_block(Vec::with_capacity(16 << 10));
        }
        assert!(pool.blocks_bytes <= BLOCKS_BYTES_MAX && pool.blocks.len() < 10_000);
        assert!(pool.block(1).capacity() >= 16 << 10);
    }
}
