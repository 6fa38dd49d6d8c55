//! Support for whatever tests or measures real processes. It knows nothing of the protocol, and takes nothing of the
//! implementation but addresses.
//!
//! - [`process`] a child process; [`relay`] the relay as one, in a program that carries it
//! - [`proc`] what the kernel tells of processes and of the machine, [`cpus`] where threads run
//! - [`address`] connections and free ports, [`directory`] places for sockets, [`descriptors`] how many files may be open

#![forbid(unsafe_code)]

pub mod address;
pub mod cpus;
pub mod descriptors;
pub mod directory;
pub mod proc;
pub mod process;
pub mod relay;
