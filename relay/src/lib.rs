//! The Min-Bus relay: plugins find each other by name and talk through it; and its daemon, `minbusd`.
//!
//! - [`bus`] what Min-Bus means, without a socket in it; [`engine`] sockets and the kernel, without a bus in it
//! - [`shard`] the one place where both meet: a thread, its ports, its tick
//! - [`config`] and [`limits`] what may be set and what bounds it; [`daemon`] the process around it all

pub mod bus;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod error;
pub mod limits;
pub mod shard;
mod sync;
#[cfg(test)]
mod testing;
