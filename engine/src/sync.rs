//! Atomics and memory, which the model checker `loom` replaces by its own under `cfg(loom)`.
//!
//! They are used where threads meet without a lock: in the stack of returned receive buffers. The tests named `loom` run each
//! order of their steps that the memory model allows.

#[cfg(not(loom))]
pub(crate) use std::alloc::{alloc_zeroed, dealloc};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicIsize, AtomicU32, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::alloc::{alloc_zeroed, dealloc};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicIsize, AtomicU32, Ordering, fence};
