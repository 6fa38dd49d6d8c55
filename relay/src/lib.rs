//! The Min-Bus relay: plugins find each other by name and talk through it; and its daemon, `minbusd`.
//!
//! - [`bus`] what Min-Bus means, without a socket in it; [`engine`] sockets and the kernel, without a bus in it
//! - [`shard`] the one place where both meet: a thread, its connections, its tick
//! - [`config`] and [`limits`] what may be set and what bounds it; [`daemon`] the process around it all

#![forbid(unsafe_code)]

pub mod config;
pub mod daemon;
pub mod error;
pub mod shard;
mod sync;
