//! What clients do to a server that is measured, whoever it is.
//!
//! - [`end`] one end of a pair, whatever its protocol; [`client`], [`tape`] one that speaks a protocol of others, [`wire`] what
//!   such a protocol must say
//! - [`flow`] one way, as fast as it goes or at a tempo; [`trips`] there and back; [`crowd`] many plugins at once; [`idle`] nothing
//! - [`sample`] the window in which it is measured, [`counting`] what is counted beside that

pub(crate) mod client;
pub(crate) mod counting;
pub(crate) mod crowd;
pub(crate) mod end;
pub(crate) mod flow;
pub(crate) mod idle;
pub(crate) mod sample;
pub(crate) mod tape;
pub(crate) mod trips;
pub(crate) mod wire;
