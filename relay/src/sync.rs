//! Atomics and queues, which the model checker `loom` replaces by its own under `cfg(loom)`.
//!
//! They are used where threads meet without a lock: in the inboxes of shards. The tests named `loom` run each order of their
//! steps that the memory model allows.

#[cfg(loom)]
mod model;

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(not(loom))]
pub(crate) use crossbeam_queue::ArrayQueue;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::Ordering;
#[cfg(loom)]
pub(crate) use model::{ArrayQueue, AtomicBool};
