//! bpmux/rel: multiplexing of many bidirectional streams with credit-based flow control over one reliable byte stream.
//!
//! This crate is the protocol and nothing else: bytes in, events out, and the other way round. It has no clock, no
//! file descriptor and no thread, so that the relay, the client and a simulation run the very same code.
//!
//! - [`varint`] the integers, [`chunk`] what stands on the wire, [`decoder`] the way from bytes to fields
//! - [`credit`] the only credit arithmetic, [`half`] one writer and one reader, [`ledger`] all halves of an endpoint
//! - [`link`] an endpoint: decoder and ledger together
//! - [`violation`] every rule a peer can break

#![forbid(unsafe_code)]

pub mod chunk;
pub mod credit;
pub mod decoder;
pub mod half;
mod ids;
pub mod ledger;
pub mod link;
mod run;
pub mod varint;
pub mod violation;

pub use chunk::{Flags, Kind};
pub use half::HalfKey;
pub use ledger::{DuplexKeys, Limits, OpenError};
pub use link::{Body, Event, Link, LinkError, Opened, Over, Piece, Step, What};
pub use run::{Rewrite, Run, copy_run};
pub use violation::Violation;
