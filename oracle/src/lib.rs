//! A second reading of the protocol, to test the first one against: a codec, and a model of one end of a connection.
//!
//! It is written from the protocol alone and shares no code with the implementation, so that a misreading on one side
//! shows as a failure instead of agreeing with itself. It has to be plainly right, not quick.

#![forbid(unsafe_code)]

pub mod audit;
pub mod entry;
pub mod vectors;
pub mod wire;
