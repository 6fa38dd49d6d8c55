//! Atomics and what goes with them, which the model checker `loom` replaces by its own under `cfg(loom)`.
//!
//! The types here are used where threads meet without a lock: in the stack of returned receive buffers and in the inboxes
//! of shards. The tests named `loom` there run each order of their steps that the memory model allows.

#[cfg(loom)]
mod model;

#[cfg(not(loom))]
pub(crate) use std::alloc::{alloc_zeroed, dealloc};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU32, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use crossbeam_queue::ArrayQueue;

#[cfg(loom)]
pub(crate) use loom::alloc::{alloc_zeroed, dealloc};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicIsize, AtomicU32, Ordering, fence};
#[cfg(loom)]
pub(crate) use model::{ArrayQueue, AtomicBool};
