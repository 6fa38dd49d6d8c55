//! What a shard uses again instead of asking for memory anew: batches, backlogs and their blocks. So nothing is allocated
//! for a message, be its reader quick or slow.

use crate::bus::address::LegAddr;
use crate::engine::batch::Batch;

use super::backlog::{Backlog, Chunks};
use crate::limits::QUANTUM_BYTES;

/// Batches kept for the next use. As many as connections usually write in one tick; no tuning so far.
const BATCHES_MAX: usize = 64;

/// Backlogs kept for the next use. As many as the halves that usually fall behind in turns; no tuning so far.
const BACKLOGS_MAX: usize = 64;

/// Bytes of blocks kept for the next use. As many as the receive buffers have, twice; no tuning so far.
const BLOCKS_BYTES_MAX: usize = 8 << 20;

/// Sizes of blocks that are kept: up to 4 MiB, more than anything that comes at once.
const CLASSES: usize = 9;

/// What nobody uses, kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "the driver takes them boxed, since the kernel keeps pointers into them")]
    batches: Vec<Box<Batch>>,
    backlogs: Vec<Backlog>,
    /// By the class of their size.
    blocks: [Vec<Vec<u8>>; CLASSES],
    /// The capacity of all blocks.
    blocks_bytes: usize,
}

impl Pool {
    /// The most that is kept, in bytes.
    pub(super) const BYTES_MAX: u64 =
        (BATCHES_MAX * Batch::KEPT_BYTES_MAX + BACKLOGS_MAX * size_of::<Backlog>() + BLOCKS_BYTES_MAX) as u64;

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

    /// An empty block with room for so many bytes, and for no more than twice as many or a quantum.
    pub(super) fn block(&mut self, bytes: usize) -> Vec<u8> {
        let class = class(bytes);
        let Some(block) = self.blocks.get_mut(class).and_then(Vec::pop) else { return Vec::with_capacity(room(bytes)) };
        self.blocks_bytes -= block.capacity();
        block
    }

    fn give_back_block(&mut self, mut block: Vec<u8>) {
        let capacity = block.capacity();
        let class = class(capacity);
        if capacity == room(capacity) && class < CLASSES && self.blocks_bytes + capacity <= BLOCKS_BYTES_MAX {
            self.blocks_bytes += capacity;
            block.clear();
            self.blocks[class].push(block);
        }
    }
}

/// Blocks have room for a quantum, or twice, four times, ... as much: which of these so many bytes need.
const fn class(bytes: usize) -> usize {
    bytes.div_ceil(QUANTUM_BYTES).next_power_of_two().trailing_zeros() as usize
}

/// The room of a block for so many bytes. Memory for large chunks and for small ones is kept apart, so that little is held
/// by much.
pub(super) const fn room(bytes: usize) -> usize {
    QUANTUM_BYTES << class(bytes)
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
        assert!(pool.blocks_bytes <= BLOCKS_BYTES_MAX && pool.blocks[0].len() < 10_000);
        let bytes = pool.blocks_bytes;
        assert_eq!(pool.block(1).capacity(), 16 << 10);
        assert_eq!(pool.blocks_bytes, bytes - (16 << 10));
    }

    #[test]
    fn little_is_not_held_by_much() {
        let mut pool = Pool::default();
        for bytes in [1, 16 << 10, (16 << 10) + 1, 100_000, 1 << 20, 3 << 20, 10 << 20] {
            let block = pool.block(bytes);
            assert!(block.capacity() >= bytes && block.capacity() <= (2 * bytes).max(16 << 10), "{bytes}");
            pool.give_back_block(block);
        }
        pool.give_back_block(Vec::with_capacity(20_000));
        assert_eq!(pool.block(17_000).capacity(), 32 << 10, "not what is smaller than its class");
        assert_eq!(pool.block(1).capacity(), 16 << 10);
    }
}
