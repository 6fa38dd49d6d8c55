//! The I/O engine: the io_uring a shard runs on, its receive buffers and its vectored sends, and pipes for what is not to
//! be copied.
//!
//! The engine knows nothing of chunks or of the bus, and is the only place with `unsafe`. A shard talks to it through
//! [`driver::Driver`]; [`ring::Ring`] is the driver for real sockets.

pub mod affinity;
mod alarm;
pub mod batch;
pub mod buffers;
pub mod driver;
pub mod head_arena;
mod kind;
mod listen_error;
pub mod listener;
pub mod pipes;
pub mod probe;
mod push;
mod queues;
pub mod registry;
pub mod ring;
pub mod ring_settings;
pub mod signals;
pub mod socket;
mod socket_file;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
