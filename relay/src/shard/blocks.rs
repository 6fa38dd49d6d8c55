//! Blocks for what waits: a slab allocator of a few size classes, so that nothing is allocated for a message.

use limits::QUANTUM_BYTES;

/// Bytes of blocks kept for the next use. As many as the receive buffers have, twice; no tuning so far.
const BLOCKS_BYTES_MAX: usize = 8 << 20;

/// Sizes of blocks below a quantum: most halves that fall behind do so by a few messages, and they may be very many.
const SMALL_BYTES: [usize; 2] = [1 << 10, 4 << 10];

/// Sizes of blocks that are kept: up to 4 MiB, more than anything that comes at once.
const CLASSES: usize = SMALL_BYTES.len() + 9;

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

    /// An empty block with room for so many bytes, and for no more than four times as many or the least that there is.
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

/// The class of a block for so many bytes: a small one, or one of a quantum, twice, four times, ... as much.
const fn class(bytes: usize) -> usize {
    if bytes <= SMALL_BYTES[0] {
        0
    } else if bytes <= SMALL_BYTES[1] {
        1
    } else {
        SMALL_BYTES.len() + bytes.div_ceil(QUANTUM_BYTES).next_power_of_two().trailing_zeros() as usize
    }
}

/// The room of a block for so many bytes. Memory for large chunks and for small ones is kept apart, so that little is held
/// by much.
pub(super) const fn room(bytes: usize) -> usize {
    let class = class(bytes);
    if class < SMALL_BYTES.len() { SMALL_BYTES[class] } else { QUANTUM_BYTES << (class - SMALL_BYTES.len()) }
}

/// The room of the block that is to follow one of this room, unless more is needed: up to a quantum in steps, so that a half
/// that is behind by much has few blocks.
pub(super) const fn next_room(room_bytes: usize) -> usize {
    if room_bytes < QUANTUM_BYTES { room(room_bytes + 1) } else { QUANTUM_BYTES }
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
        assert!(blocks.bytes <= BLOCKS_BYTES_MAX && blocks.blocks[class(16 << 10)].len() < 10_000);
        let bytes = blocks.bytes;
        assert_eq!(blocks.take(5_000).capacity(), 16 << 10);
        assert_eq!(blocks.bytes, bytes - (16 << 10));
    }

    #[test]
    fn little_is_not_held_by_much() {
        let mut blocks = Blocks::default();
        for bytes in [1, 1_024, 1_025, 5_000, 16 << 10, (16 << 10) + 1, 100_000, 1 << 20, 3 << 20, 10 << 20] {
            let block = blocks.take(bytes);
            assert!(block.capacity() >= bytes && block.capacity() <= (4 * bytes).max(1_024), "{bytes}");
            blocks.give_back(block);
        }
        blocks.give_back(Vec::with_capacity(20_000));
        assert_eq!(blocks.take(17_000).capacity(), 32 << 10, "not what is smaller than its class");
        assert_eq!(blocks.take(1).capacity(), 1 << 10);
        assert_eq!([0, 1 << 10, 4 << 10, 16 << 10, 64 << 10].map(next_room), [1, 4, 16, 16, 16].map(|kib| kib << 10));
    }
}
