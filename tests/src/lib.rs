//! The harness of the suite: processes, a daemon, and plugins that speak raw chunks, which [`oracle`] writes, reads and judges.

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
