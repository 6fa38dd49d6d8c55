//! What plugins send each other and how it is judged. Sans-IO: bytes in, bytes out, and the time is an argument.
//!
//! - [`content`], [`sizes`] what messages say and how long they are; [`verifier`] whether they arrived
//! - [`flow`] many channels that do the same: when their messages are due, what was measured of them
//! - [`writer`] writes on a half, [`copies`] memory of messages that are much the same; [`end`] one end of a
//!   channel, which writes and reads; [`plugin`] one connection with its ends
//! - [`topology`] who is there, [`world`] what plugins of a thread share; [`arrivals`] when those came that come and go,
//!   [`presence`] the events of a watch

pub(crate) mod arrivals;
pub(crate) mod content;
pub(crate) mod copies;
pub(crate) mod end;
pub(crate) mod flow;
pub(crate) mod plugin;
pub(crate) mod presence;
pub(crate) mod recorder;
pub(crate) mod schedule;
pub(crate) mod sizes;
pub(crate) mod topology;
pub(crate) mod verifier;
pub(crate) mod world;
mod writer;

/// Nanoseconds since the epoch of a run.
pub(crate) type Time = u64;
