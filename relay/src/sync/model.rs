//! Stand-ins for what `loom` has no model of: sequentially consistent flags, and the bounded queue of crossbeam.
//!
//! Loom takes a `SeqCst` access for `AcqRel`, but knows `SeqCst` fences. A write with such a fence behind it is what
//! compilers make of a `SeqCst` write, so it stands for one here; one with a weaker ordering gets none.

use std::collections::VecDeque;

use loom::sync::Mutex;
use loom::sync::atomic::{self, AtomicUsize, Ordering, fence};

fn fence_behind(order: Ordering) {
    if order == Ordering::SeqCst {
        fence(Ordering::SeqCst);
    }
}

/// A flag whose `SeqCst` writes are ordered before the reads behind them.
#[derive(Debug)]
pub(crate) struct AtomicBool(atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn new(value: bool) -> Self {
        Self(atomic::AtomicBool::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> bool {
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: bool, order: Ordering) {
        self.0.store(value, order);
        fence_behind(order);
    }

    pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
        let before = self.0.swap(value, order);
        fence_behind(order);
        before
    }
}

/// A bounded queue with one writer and one reader, no stronger ordered than crossbeam's: whether it is empty or full is
/// read from a count, without the lock on what is in it.
#[derive(Debug)]
pub(crate) struct ArrayQueue<T> {
    items: Mutex<VecDeque<T>>,
    count: AtomicUsize,
    capacity: usize,
}

impl<T> ArrayQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { items: Mutex::new(VecDeque::new()), count: AtomicUsize::new(0), capacity }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        if self.len() == self.capacity {
            return Err(item);
        }
        self.items.lock().expect("no test panics in the queue").push_back(item);
        self.count.fetch_add(1, Ordering::SeqCst);
        fence_behind(Ordering::SeqCst);
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let item = self.items.lock().expect("no test panics in the queue").pop_front();
        self.count.fetch_sub(1, Ordering::SeqCst);
        fence_behind(Ordering::SeqCst);
        item
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
