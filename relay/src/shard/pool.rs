//! The object pools of a shard: batches, backlogs and their blocks are used again instead of asking for memory anew. So
//! nothing is allocated for a message, be its reader quick or slow.

use bus::address::LegAddr;
use engine::batch::Batch;

use super::backlog::{Backlog, Chunks};
use super::blocks::Blocks;

/// Batches kept for the next use. As many as connections usually write in one tick; no tuning so far.
const BATCHES_MAX: usize = 64;

/// Backlogs kept for the next use. As many as the halves that usually fall behind in turns; no tuning so far.
const BACKLOGS_MAX: usize = 64;

/// What nobody uses, kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "the driver takes them boxed, since the kernel keeps pointers into them")]
    batches: Vec<Box<Batch>>,
    backlogs: Vec<Backlog>,
    pub(super) blocks: Blocks,
}

impl Pool {
    /// The most that is kept, in bytes.
    pub(super) const BYTES_MAX: u64 =
        (BATCHES_MAX * Batch::KEPT_BYTES_MAX + BACKLOGS_MAX * Backlog::KEPT_BYTES_MAX) as u64 + Blocks::BYTES_MAX;

    /// What is kept, in bytes.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        let batches: usize = self.batches.iter().map(|batch| batch.spare_bytes()).sum();
        let lists = self.batches.capacity() * size_of::<Box<Batch>>();
        let backlogs: usize = self.backlogs.iter().map(Backlog::overhead_bytes).sum();
        batches + lists + backlogs + self.backlogs.capacity() * size_of::<Backlog>() + self.blocks.bytes()
    }

    /// An empty batch.
    pub(super) fn batch(&mut self) -> Box<Batch> {
        self.batches.pop().unwrap_or_default()
    }

    /// Takes a batch back with all that it holds.
    pub(super) fn give_back_batch(&mut self, mut batch: Box<Batch>) {
        batch.clear(|block| self.blocks.give_back(block));
        batch.trim();
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
                self.blocks.give_back(block);
            }
        }
        if self.backlogs.len() < BACKLOGS_MAX {
            backlog.trim();
            self.backlogs.push(backlog);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_went_out_comes_back_with_its_memory() {
        let mut pool = Pool::default();
        let mut block = pool.blocks.take(1_000);
        block.extend_from_slice(b"payload");
        let (memory, capacity) = (block.as_ptr(), block.capacity());
        let mut batch = pool.batch();
        batch.block(block);
        pool.give_back_batch(batch);
        let again = pool.blocks.take(1_000);
        assert_eq!((again.as_ptr(), again.capacity(), again.len()), (memory, capacity, 0));
        assert_eq!(pool.blocks.bytes(), 0);
    }
}
