//! The bus, sans-IO: what Min-Bus means by plugins, names, watches and channels. It has no clock, no file descriptor and no
//! payload; it says what is to be written and who is to be told, and the shard does it.
//!
//! - [`name`] the names of plugins; [`directory`] who is there
//! - [`session`] one plugin; `leg` its end of a channel to another plugin; [`msg`] what legs tell each other
//! - [`cap`] how much credit may be out; [`share`] how much of what is there for all one user may have
//! - [`waits`] what messages wait for; [`stats`] what is told of both
//! - [`catalogue`] all names in order; [`listing`] what one who asks is told of them; `reply` and `watch` what the relay
//!   itself writes

#![forbid(unsafe_code)]

pub mod address;
pub mod cap;
pub mod catalogue;
pub mod directory;
mod leg;
pub mod listing;
pub mod msg;
pub mod name;
mod reply;
pub mod session;
pub mod share;
pub mod stats;
pub mod waits;
mod watch;
