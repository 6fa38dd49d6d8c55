//! Cross-thread wake-ups: how the shards of one process reach each other, from another ring or from any thread.
//!
//! A ring must be built on the thread that uses it, so the registry is made first, with a [`Waker`] for each shard, and
//! each ring joins it later.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::event::{EventfdFlags, eventfd};

/// Wakes one shard out of its wait, from any thread. Costs a system call: shards wake each other through their rings.
#[derive(Clone, Debug)]
pub struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    /// A waker of nobody yet.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub(super) fn new() -> io::Result<Waker> {
        Ok(Waker { event: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?) })
    }

    /// Ends the wait the shard is in, or else its next one.
    pub fn wake(&self) {
        // Fails only when the counter is full, and then a wake is under way.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    pub(super) fn event_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

/// All shards of a process, by index.
#[derive(Debug)]
pub struct RingRegistry {
    entries: Box<[Entry]>,
}

#[derive(Debug)]
struct Entry {
    waker: Waker,
    /// The registry's own descriptor of the ring: its number cannot come to mean something else while shards send to it.
    ring: OnceLock<OwnedFd>,
    gone: AtomicBool,
}

impl RingRegistry {
    /// A registry of `shards` shards, none of which runs yet.
    ///
    /// # Errors
    /// No file descriptors are left.
    pub fn new(shards: usize) -> io::Result<Arc<RingRegistry>> {
        let entries = (0..shards)
            .map(|_| Ok(Entry { waker: Waker::new()?, ring: OnceLock::new(), gone: AtomicBool::new(false) }));
        Ok(Arc::new(RingRegistry { entries: entries.collect::<io::Result<_>>()? }))
    }

    /// The waker of one shard; of use even before the shard runs.
    ///
    /// # Panics
    /// When there is no such shard.
    #[must_use]
    pub fn waker(&self, shard: usize) -> Waker {
        self.entries[shard].waker.clone()
    }

    /// Lets the others reach a shard's ring.
    pub(super) fn join(&self, shard: usize, ring: BorrowedFd<'_>) -> io::Result<()> {
        let own = rustix::io::fcntl_dupfd_cloexec(ring, 0)?;
        self.entries[shard].ring.set(own).map_err(|_| io::Error::other("the shard has a ring already"))
    }

    /// Ends that: the ring is no longer in use.
    pub(super) fn leave(&self, shard: usize) {
        self.entries[shard].gone.store(true, Ordering::Relaxed);
    }

    /// The ring of a shard while it runs. One that does not run is not asleep either.
    pub(super) fn ring(&self, shard: usize) -> Option<BorrowedFd<'_>> {
        let entry = self.entries.get(shard).filter(|entry| !entry.gone.load(Ordering::Relaxed))?;
        entry.ring.get().map(AsFd::as_fd)
    }
}
