//! The Min-Bus relay, and its daemon `minbusd`.

pub mod config;
pub mod daemon;
pub mod engine;
pub mod error;
pub mod limits;
pub mod shard;
