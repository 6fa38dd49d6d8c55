//! The I/O engine on io_uring.
//!
//! Sockets and the kernel: the io_uring a shard runs on, its receive buffers and its gathered sends, and pipes for what
//! is not to be copied.
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

pub use batch::Batch;
pub use buffers::Lease;
pub use driver::{Completion, Driver, Received, Token};
pub use pipes::{Pipe, Pipes};
pub use probe::RingError;
pub use registry::{RingRegistry, Waker};
pub use ring::Ring;
pub use ring_settings::RingSettings;
