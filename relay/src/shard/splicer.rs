//! What zero-copy needs of a shard: pipes, an arena for heads, and the batch that is on its way in a pipe.

use std::sync::Arc;

use crate::config::Engine;
use bus::session::Parts;
use engine::head_arena::HeadArena;
use engine::pipes::{Pipe, Pipes};
use limits::PIPED_BYTES_MIN;

/// What a shard has for zero-copy.
#[derive(Debug)]
pub(super) struct Splicer {
    /// The least length of a body that is worth it.
    pub(super) body_bytes_min: u64,
    /// The least that is moved of one, if it is not as long itself.
    pub(super) moved_bytes_min: usize,
    /// The most bytes taken in at once.
    pub(super) rx_pipe_bytes: usize,
    /// Empty between two turns.
    pub(super) rx_pipe: Option<Pipe>,
    /// A head and what came with it.
    pub(super) head: Vec<u8>,
    /// The heads that are in pipes.
    pub(super) head_arena: HeadArena,
}

impl Splicer {
    pub(super) fn new(engine: &Engine) -> Self {
        let body_bytes_min = if engine.splice { engine.splice_min_bytes } else { u64::MAX };
        let moved_bytes_min = PIPED_BYTES_MIN.min(usize::try_from(body_bytes_min).unwrap_or(usize::MAX));
        Self {
            body_bytes_min,
            moved_bytes_min,
            rx_pipe_bytes: engine.pipe_bytes,
            rx_pipe: None,
            head: Vec::new(),
            head_arena: HeadArena::new(),
        }
    }

    /// An empty pipe to take bytes in with, if one is to be had.
    pub(super) fn rx_pipe(&mut self, pipes: &Arc<Pipes>) -> Option<Pipe> {
        self.rx_pipe.take().or_else(|| pipes.take())
    }
}

/// Parts of messages of one leg on their way.
#[derive(Debug)]
pub(super) struct SpliceBatch {
    pub(super) parts: Parts,
    pub(super) pipe: Pipe,
}
