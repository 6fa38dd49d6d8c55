//! Blocks for what waits: a slab allocator of a few size classes, so that nothing is allocated for a message.

use limits::QUANTUM_BYTES;

/// Bytes of blocks kept for the next use. As many as the receive buffers have, twice; no tuning so far.
const BLOCKS_BYTES_MAX: usize = 8 << 20;

/// Sizes of blocks that are kept: up to 4 MiB, more than anything that comes at once.
const CLASSES: usize = 9;

/// Blocks that nobody uses, kept for their memory.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// By the class of their size.
    blocks: [Vec<Vec<u8>>; CLASSES],
    /// The capacity of all of them.
    bytes: usize,
}

impl Blocks {
    /// The most that is kept, in bytes.
    pub(super) const BYTES_MAX: u64 = BLOCKS_BYTES_MAX as u64;

    /// The capacity of what is kept, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// An empty block with room for so many bytes, and for no more than twice as many or a quantum.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<u8> {
        let class = class(bytes);
        let Some(block) = self.blocks.get_mut(class).and_then(Vec::pop) else { return Vec::with_capacity(room(bytes)) };
        self.bytes -= block.capacity();
        block
    }

    pub(super) fn give_back(&mut self, mut block: Vec<u8>) {
        let capacity = block.capacity();
        let class = class(capacity);
        if capacity == room(capacity) && class < CLASSES && self.bytes + capacity <= BLOCKS_BYTES_MAX {
            self.bytes += capacity;
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
    fn what_is_kept_is_bounded() {
        let mut blocks = Blocks::default();
        for _ in 0..10_000 {
            blocks.give_back(Vec::with_capacity(16 << 10));
        }
        assert!(blocks.bytes <= BLOCKS_BYTES_MAX && blocks.blocks[0].len() < 10_000);
        let bytes = blocks.bytes;
        assert_eq!(blocks.take(1).capacity(), 16 << 10);
        assert_eq!(blocks.bytes, bytes - (16 << 10));
    }

    #[test]
    fn little_is_not_held_by_much() {
        let mut blocks = Blocks::default();
        for bytes in [1, 16 << 10, (16 << 10) + 1, 100_000, 1 << 20, 3 << 20, 10 << 20] {
            let block = blocks.take(bytes);
            assert!(block.capacity() >= bytes && block.capacity() <= (2 * bytes).max(16 << 10), "{bytes}");
            blocks.give_back(block);
        }
        blocks.give_back(Vec::with_capacity(20_000));
        assert_eq!(blocks.take(17_000).capacity(), 32 << 10, "not what is smaller than its class");
        assert_eq!(blocks.take(1).capacity(), 16 << 10);
    }
}
