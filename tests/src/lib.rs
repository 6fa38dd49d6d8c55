//! The harness of the suite: processes, a daemon, a plugin that speaks raw chunks, and a codec of its own.
//!
//! Everything here is written from the protocol alone and shares no code with the implementation, so that a misreading
//! on one side shows as a failure instead of agreeing with itself.

#![forbid(unsafe_code)]

pub mod bus;
pub mod daemon;
pub mod descriptors;
pub mod directory;
pub mod flood;
pub mod pair;
pub mod peer;
pub mod pipes;
pub mod places;
pub mod process;
mod socket;
pub mod stats;

pub use oracle::{audit, wire};
