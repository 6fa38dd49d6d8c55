//! The backlog of a half: a ring of blocks, from slabs of size classes, for one direction of a duplex whose reader is behind.
//!
//! What cannot go out of the buffer in which it came is copied here, so that the buffer can go back at once. Chunks
//! get their heads on the way in; a block always ends with a chunk, so that the chunks of several halves can take turns.
//! A few pipes may wait in it as they are, for what is in them need not be copied to set anything free.

use std::collections::VecDeque;

use bpmux::chunk::HEAD_LEN_MAX;

use bus::address::LegAddr;
use engine::pipes::Pipe;
use limits::{BACKLOG_HEAD_BYTES_MAX, BACKLOG_PIPES_MAX, QUANTUM_BYTES};

use super::blocks::{Blocks, next_room, room};

/// How much memory payload takes in blocks of a quantum or more, at the most: two neighbours hold more than one of them has
/// room for, and a chunk for which a quantum is too little fills more than half of its block. What smaller blocks take beyond
/// that counts as overhead.
pub(super) const BLOCKS_PER_PAYLOAD: u64 = 2;

/// Where whole chunks are.
#[derive(Debug)]
pub(super) enum Chunks {
    Copied(Vec<u8>),
    Piped(Pipe),
}

impl Chunks {
    /// How long they are, heads included.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Copied(bytes) => bytes.len(),
            Self::Piped(pipe) => pipe.len(),
        }
    }
}

/// Whole chunks, and what they owe.
#[derive(Debug)]
struct Block {
    chunks: Chunks,
    payload_bytes: u64,
}

/// What waits for one half.
#[derive(Debug)]
pub(super) struct Backlog {
    /// The leg that it comes from.
    from: LegAddr,
    blocks: VecDeque<Block>,
    /// How many of the blocks are pipes.
    pipes: usize,
    payload_bytes: u64,
    head_bytes: u64,
    /// The room of all blocks, and the payload that is in them.
    room_bytes: usize,
    copied_bytes: u64,
    /// Bytes that it may send in its turn; below zero what it has sent beyond that.
    pub(super) deficit: i64,
    /// Whether the connection that it comes from has been told to pause.
    pub(super) pausing: bool,
}

/// Blocks that an empty backlog keeps places for, so that none are asked for while messages flow: as many as a cap of 1 MiB
/// fills.
const BLOCKS_KEPT: usize = 64;

impl Backlog {
    /// The most memory that an empty one has after [`Backlog::trim`], in bytes.
    pub(super) const KEPT_BYTES_MAX: usize = size_of::<Self>() + BLOCKS_KEPT * size_of::<Block>();

    /// Gives up memory that an empty one need not keep.
    pub(super) fn trim(&mut self) {
        self.blocks.shrink_to(BLOCKS_KEPT);
    }

    pub(super) fn new(from: LegAddr) -> Self {
        Self {
            from,
            blocks: VecDeque::new(),
            pipes: 0,
            payload_bytes: 0,
            head_bytes: 0,
            room_bytes: 0,
            copied_bytes: 0,
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
        spare: &mut Blocks,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let last_room = match self.blocks.back() {
            Some(Block { chunks: Chunks::Copied(bytes), .. }) => bytes.capacity(),
            _ => 0,
        };
        let len = match self.blocks.back_mut() {
            Some(Block { chunks: Chunks::Copied(bytes), payload_bytes: in_block })
                if bytes.len() + bytes_max <= last_room.min(QUANTUM_BYTES) =>
            {
                let before = bytes.len();
                write(bytes);
                *in_block += payload_bytes;
                self.room_bytes += bytes.capacity() - last_room;
                bytes.len() - before
            }
            _ => {
                let wanted = next_room(last_room);
                let mut bytes = spare.take(bytes_max.max(wanted));
                write(&mut bytes);
                // The most that it might have been is sometimes much more than it is.
                let len = bytes.len();
                if bytes.capacity() > room(len.max(wanted)) {
                    bytes.shrink_to(room(len.max(wanted)));
                }
                self.room_bytes += bytes.capacity();
                self.blocks.push_back(Block { chunks: Chunks::Copied(bytes), payload_bytes });
                len
            }
        };
        self.payload_bytes += payload_bytes;
        self.copied_bytes += payload_bytes;
        self.head_bytes += len as u64 - payload_bytes;
    }

    /// Appends chunks that are in a pipe, or hands it back when no further pipe may wait here.
    pub(super) fn append_pipe(&mut self, pipe: Pipe, payload_bytes: u64) -> Result<(), Pipe> {
        let head_bytes = pipe.len() as u64 - payload_bytes;
        let pipe = match self.blocks.back_mut() {
            Some(Block { chunks: Chunks::Piped(last), payload_bytes: in_block }) => {
                let joined = last.join(pipe);
                *in_block += if joined.is_ok() { payload_bytes } else { 0 };
                joined.err()
            }
            _ => Some(pipe),
        };
        if let Some(pipe) = pipe {
            if self.pipes >= BACKLOG_PIPES_MAX {
                return Err(pipe);
            }
            self.pipes += 1;
            self.blocks.push_back(Block { chunks: Chunks::Piped(pipe), payload_bytes });
        }
        self.payload_bytes += payload_bytes;
        self.head_bytes += head_bytes;
        Ok(())
    }

    /// The next chunks, and the payload in them.
    pub(super) fn take(&mut self) -> Option<(Chunks, u64)> {
        let Block { chunks, payload_bytes } = self.blocks.pop_front()?;
        match &chunks {
            Chunks::Copied(bytes) => {
                self.room_bytes -= bytes.capacity();
                self.copied_bytes -= payload_bytes;
            }
            Chunks::Piped(_) => self.pipes -= 1,
        }
        self.payload_bytes -= payload_bytes;
        self.head_bytes -= chunks.len() as u64 - payload_bytes;
        Some((chunks, payload_bytes))
    }

    /// What it takes beside itself and what its payload may take, in bytes: room for heads, and of a block of which little is
    /// used.
    pub(super) fn overhead_bytes(&self) -> usize {
        let paid_bytes = (BLOCKS_PER_PAYLOAD * self.copied_bytes) as usize;
        // A list doubles when it grows; places that are kept from its uses by others are the pool's.
        let list_bytes = 2 * self.blocks.len() * size_of::<Block>();
        list_bytes + self.room_bytes.saturating_sub(paid_bytes)
    }

    /// Heads of more than there can be of messages with payload, in bytes.
    fn unpaid_bytes(&self) -> u64 {
        self.head_bytes.saturating_sub(self.payload_bytes.saturating_mul(HEAD_LEN_MAX as u64))
    }

    /// Whether the writer must wait, because of what costs it no credit.
    pub(super) fn is_overfull(&self) -> bool {
        self.unpaid_bytes() > BACKLOG_HEAD_BYTES_MAX
    }

    /// Whether a writer that waits may go on.
    pub(super) fn has_room(&self) -> bool {
        self.unpaid_bytes() <= BACKLOG_HEAD_BYTES_MAX / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::address::{ConnId, LegId};

    const LEG: LegAddr = LegAddr { conn: ConnId { shard: 0, token: 0 }, leg: LegId { slot: 0, generation: 0 } };

    #[test]
    fn chunks_stay_whole_and_in_order() {
        let (mut backlog, mut pool) = (Backlog::new(LEG), Blocks::default());
        let chunk = |n: usize| vec![n as u8; 1 + n * 997 % 40_000];
        let mut expected = Vec::new();
        for n in 0..100 {
            let chunk = chunk(n);
            backlog.append(chunk.len(), chunk.len() as u64 - 1, &mut pool, |out| out.extend_from_slice(&chunk));
            expected.extend_from_slice(&chunk);
        }
        let mut got = Vec::new();
        let mut payload = 0;
        while let Some((Chunks::Copied(block), payload_bytes)) = backlog.take() {
            assert_ne!(block.first(), got.last(), "a chunk was cut");
            got.extend_from_slice(&block);
            payload += payload_bytes;
        }
        assert!(got == expected && payload == expected.len() as u64 - 100);
        assert!(backlog.is_empty() && backlog.payload_bytes() == 0 && backlog.head_bytes == 0);
        assert!(backlog.room_bytes == 0 && backlog.copied_bytes == 0);
    }

    /// The bound of the memory that payload may take: see [`BLOCKS_PER_PAYLOAD`].
    #[test]
    fn small_backlogs_take_small_blocks_and_large_ones_little_beside_payload() {
        for bytes in [1, 60, 500, 900, 3_000, 9_000, 20_000, 40_000] {
            let (mut backlog, mut pool) = (Backlog::new(LEG), Blocks::default());
            for messages in 1..=100 {
                backlog.append(bytes, bytes as u64, &mut pool, |out| out.resize(out.len() + bytes, 7));
                let (room_bytes, payload_bytes) = (backlog.room_bytes, messages * bytes);
                let last = next_room(room_bytes.saturating_sub(1)).max(room(bytes));
                assert!(room_bytes <= 2 * payload_bytes + last, "{room_bytes} for {messages} of {bytes}");
            }
        }
        let (mut backlog, mut pool) = (Backlog::new(LEG), Blocks::default());
        backlog.append(60, 60, &mut pool, |out| out.resize(60, 7));
        assert_eq!(backlog.room_bytes, 1 << 10);
    }

    #[test]
    fn heads_without_payload_are_bounded() {
        let (mut backlog, mut pool) = (Backlog::new(LEG), Blocks::default());
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
