//! What ends a relay: something in its setup or in the kernel, with what to do about it.
//!
//! A fault of a peer (`Violation`) ends that connection, and a limit of ours is an answer of the protocol, not this.

use std::io;

use engine::listener::ListenError;

/// Why a relay cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// A listener cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The engine of a shard cannot be set up, or the kernel refuses to go on.
    #[error("shard {shard}: {source}")]
    Engine {
        /// Index of the shard.
        shard: usize,
        /// What went wrong, and what to do about it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread of a shard cannot be started.
    #[error("shard {shard}: cannot start its thread: {source}; raise the limit of processes (ulimit -u)")]
    Thread {
        /// Index of the shard.
        shard: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A shard panicked.
    #[error("shard {shard} panicked, which is a bug: please report it with these words: {message}")]
    Panicked {
        /// Index of the shard.
        shard: usize,
        /// What the panic said.
        message: String,
    },
    /// Signals cannot be caught, or not by a thread of their own.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
}
