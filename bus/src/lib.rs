//! The bus, sans-IO: what Min-Bus means by plugins, names, watches and channels. It has no clock, no file descriptor and no
//! payload; it says what is to be written and who is to be told, and the shard does it.
//!
//! - [`name`] the names of plugins; [`directory`] who is there
//! - [`session`] one plugin, of which all parts share `plugin`: `requests` what it asks the relay, `channel` its ends of
//!   channels to other plugins; `rate_limiter` who pays for what is to be done
//! - [`effects`] what sessions cause elsewhere; [`msg`] what the two ends of a channel tell each other; `context` what a
//!   session needs around it
//! - [`cap`] how much credit may be out; [`share`] how much of what is there for all one user may have
//! - [`waits`] what messages wait for; [`stats`] what is told of both
//! - [`catalogue`] all names in order; [`listing`] what one who asks is told of them

#![forbid(unsafe_code)]

pub mod address;
#[cfg(any(test, feature = "testing"))]
mod audit;
pub mod cap;
pub mod catalogue;
mod channel;
mod context;
pub mod directory;
pub mod effects;
pub mod listing;
pub mod memory;
pub mod msg;
pub mod name;
mod plugin;
mod rate_limiter;
mod requests;
pub mod session;
pub mod share;
pub mod stats;
pub mod waits;
