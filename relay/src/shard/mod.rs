//! Shards: thread-per-core event loops, each with its own io_uring.
//!
//! Where bus and engine meet: shards, each a thread with its own ring, and the connections that they serve.
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
mod contest;
mod core;
mod ending;
mod kernel_memory;
mod leftover;
mod life;
mod ranks;
mod splicer;
mod splicing;
mod stop;
// Seen from outside for its benchmark alone.
mod conn;
#[doc(hidden)]
pub mod inbox;
mod outbox;
mod overhead;
mod pool;
mod reading;
mod relay;
#[expect(clippy::module_inception, reason = "a shard is what this folder is about")]
mod shard;
mod spin;
mod stats_pages;
mod stopping;
#[cfg(test)]
mod tests;
mod timer;

pub use ceiling::Ceiling;
pub use relay::{Relay, Stopper};
