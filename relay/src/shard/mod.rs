//! Shards, where bus and engine meet: thread-per-core event loops, each with an io_uring of its own, and the connections
//! that they serve.
//!
//! - [`Relay`] all shards, from outside
//! - `shard` the tick; `acceptor` new connections, `admission` how many; `reading` from buffers to sessions, `splicing`
//!   past them; `conn`, `outbox`, `backlog` from sessions to sockets; `pool` what is used again; `inbox` the messages
//!   between shards; `timer` when to look again, `clock` what time it is; `contest` who gets a name; `ending` how a
//!   connection ends, `stopping` how all do

mod accepting;
mod acceptor;
mod admission;
mod backlog;
mod blocks;
mod ceiling;
mod clock;
mod conn;
mod contest;
mod core;
mod ending;
// Seen from outside for its benchmark alone.
#[doc(hidden)]
pub mod inbox;
mod kernel_memory;
mod leftover;
mod life;
mod outbox;
mod overhead;
mod pool;
mod ranks;
mod reading;
mod relay;
#[expect(clippy::module_inception, reason = "a shard is what this folder is about")]
mod shard;
mod spin;
mod splicer;
mod splicing;
mod stats_pages;
mod stop;
mod stopping;
#[cfg(test)]
mod tests;
mod timer;

pub use ceiling::Ceiling;
pub use relay::{Relay, Stopper};
