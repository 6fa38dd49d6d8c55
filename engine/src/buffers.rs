//! The provided buffer ring: one region of memory that the kernel fills, and leases on what it has filled.
//!
//! The region has a home, the driver of one shard. A [`Lease`] is a range of one buffer that nobody else can reach; it
//! may be split, and may travel to other threads. When the last range of a buffer dies, wherever that is, the buffer is
//! pushed on its home's stack of returned buffers, which the home takes over whole.
//!
//! The kernel takes buffers in the order in which it got them, so giving it all of them would walk through the whole
//! region and miss the cache each time. The home therefore keeps what is free on a stack of its own and hands out only
//! as many as can be used next, those used last first.

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU16;

use io_uring::types::BufRingEntry;

use crate::sync::{AtomicIsize, AtomicU32, Ordering, alloc_zeroed, dealloc, fence};

use super::registry::Waker;

/// The most buffers that a kernel ring of buffers can hold.
pub(super) const BUFFERS_MAX: u16 = 1 << 15;
const PAGE_BYTES: usize = 4096;

/// No buffer has been returned.
const EMPTY: u32 = u32::MAX;
/// None has been returned, and the home sleeps until one is.
const STARVED: u32 = u32::MAX - 1;
/// The home is gone: whoever returns the last buffer frees the memory.
const CLOSED: u32 = u32::MAX - 2;

/// What home and leases share.
struct Pool {
    memory: Memory,
    data: NonNull<u8>,
    slots: Box<[Slot]>,
    waker: Option<Waker>,
    /// Buffers not yet returned after the home is gone; below zero while more have come back than it has counted.
    orphans: AtomicIsize,
    returned: Returned,
}

/// The top of the stack of returned buffers, linked through [`Slot::next`], or one of the three words above.
#[repr(align(64))]
struct Returned(AtomicU32);

/// The state of one buffer, on a cache line of its own because any two buffers may be in use by different threads.
#[repr(align(64))]
struct Slot {
    /// Living ranges of the buffer.
    ranges: AtomicU32,
    /// The buffer returned before this one.
    next: AtomicU32,
}

enum Memory {
    Region { start: NonNull<u8>, layout: Layout },
    Bytes { start: NonNull<u8>, capacity: usize },
}

impl Pool {
    fn leak(self) -> NonNull<Pool> {
        NonNull::from(Box::leak(Box::new(self)))
    }

    fn slots(count: usize) -> Box<[Slot]> {
        (0..count).map(|_| Slot { ranges: AtomicU32::new(0), next: AtomicU32::new(EMPTY) }).collect()
    }

    /// Brings a buffer home. Takes a pointer, because the pool may be freed by another thread as soon as it is done.
    ///
    /// # Safety
    /// The pool lives, and no range of `slot` does.
    unsafe fn give_back(this: NonNull<Pool>, slot: u32) {
        // SAFETY: a pool lives at least until each of its buffers is given back, which this one is at the exchange below.
        let pool = unsafe { this.as_ref() };
        let mut top = pool.returned.0.load(Ordering::Acquire);
        loop {
            if top == CLOSED {
                // SAFETY: the caller's promise is passed on, and the home is gone.
                unsafe { Pool::settle(this, -1) };
                return;
            }
            let starved = if top == STARVED { pool.waker.clone() } else { None };
            let next = if top == STARVED { EMPTY } else { top };
            pool.slots[slot as usize].next.store(next, Ordering::Relaxed);
            match pool.returned.0.compare_exchange_weak(top, slot, Ordering::AcqRel, Ordering::Acquire) {
                // From here on the home may free the pool: it is not to be touched.
                Ok(_) => {
                    if let Some(home) = starved {
                        home.wake();
                    }
                    return;
                }
                Err(current) => top = current,
            }
        }
    }

    /// Counts buffers that are out after the home is gone, and frees the pool when all are back.
    ///
    /// # Safety
    /// The home is gone. Each buffer is settled once with -1, and all together once with their number.
    unsafe fn settle(this: NonNull<Pool>, change: isize) {
        // SAFETY: nobody frees the pool before the count comes to zero, and it cannot without this change.
        let before = unsafe { this.as_ref() }.orphans.fetch_add(change, Ordering::AcqRel);
        if before + change == 0 {
            // SAFETY: the pool came from `leak`, and this was the last of all changes: nobody else can reach it.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Shows the model that the slots are ours: all that others did with them must have happened before.
        #[cfg(loom)]
        self.slots.iter_mut().for_each(|slot| slot.ranges.with_mut(|_| ()));
        match self.memory {
            // SAFETY: allocated with this layout, and no lease is left.
            Memory::Region { start, layout } => unsafe { dealloc(start.as_ptr(), layout) },
            // SAFETY: these are the parts of a vector that was given up for them; bytes need no drop.
            Memory::Bytes { start, capacity } => drop(unsafe { Vec::from_raw_parts(start.as_ptr(), 0, capacity) }),
        }
    }
}

/// The home of a region of receive buffers: the side that the driver owns.
pub(super) struct Buffers {
    pool: NonNull<Pool>,
    buffer_bytes: usize,
    /// The kernel's ring of buffers, at the start of the region.
    ring: NonNull<BufRingEntry>,
    ring_entries: u16,
    tail: u16,
    /// Buffers handed to the kernel whose completion has not been seen.
    provided: usize,
    /// Free buffers that the kernel does not have, the one used last on top.
    free: Vec<u16>,
}

impl Buffers {
    /// What is kept for each buffer beside its bytes: a place in the kernel's ring, its state, its number.
    pub(super) const BYTES_BESIDE: u64 = (size_of::<BufRingEntry>() + size_of::<Slot>() + size_of::<u16>()) as u64;

    /// Makes `count` buffers of `buffer_bytes` each; `waker` wakes their home.
    pub(super) fn new(count: u16, buffer_bytes: u32, waker: Waker) -> Buffers {
        let count = count.clamp(1, BUFFERS_MAX);
        let buffer_bytes = buffer_bytes.max(1) as usize;
        let ring_entries = count.next_power_of_two();
        let ring_bytes = (usize::from(ring_entries) * size_of::<BufRingEntry>()).next_multiple_of(PAGE_BYTES);
        let bytes = ring_bytes + usize::from(count) * buffer_bytes;
        let layout = Layout::from_size_align(bytes, PAGE_BYTES).expect("2^15 buffers of 2^32 bytes are a valid layout");
        // SAFETY: the layout is not empty.
        let Some(start) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
        let pool = Pool {
            memory: Memory::Region { start, layout },
            // SAFETY: the buffers lie behind the ring, within the region.
            data: unsafe { start.add(ring_bytes) },
            slots: Pool::slots(usize::from(count)),
            waker: Some(waker),
            orphans: AtomicIsize::new(0),
            returned: Returned(AtomicU32::new(EMPTY)),
        };
        Buffers {
            pool: pool.leak(),
            buffer_bytes,
            ring: start.cast(),
            ring_entries,
            tail: 0,
            provided: 0,
            free: (0..count).rev().collect(),
        }
    }

    /// Where the kernel's ring of buffers is, for registering it.
    pub(super) fn ring_address(&self) -> u64 {
        self.ring.as_ptr().expose_provenance() as u64
    }

    /// How many entries the kernel's ring of buffers has.
    pub(super) fn ring_entries(&self) -> u16 {
        self.ring_entries
    }

    /// The bytes of one buffer.
    pub(super) fn buffer_bytes(&self) -> u32 {
        self.buffer_bytes as u32
    }

    /// Buffers that no lease holds.
    pub(super) fn free(&mut self) -> usize {
        self.collect();
        self.free.len() + self.provided
    }

    /// Whether there is a free buffer that the kernel does not have yet.
    pub(super) fn has_spare(&mut self) -> bool {
        self.collect();
        !self.free.is_empty()
    }

    /// Takes a whole free buffer that the kernel does not have, with whatever bytes are in it.
    pub(super) fn take_spare(&mut self) -> Option<Lease> {
        self.collect();
        let slot = self.free.pop()?;
        Some(self.lease(slot, self.buffer_bytes))
    }

    /// Hands buffers to the kernel until it has `wanted`, or all that are free.
    pub(super) fn provide(&mut self, wanted: usize) {
        if self.provided >= wanted {
            return;
        }
        self.collect();
        let mask = self.ring_entries - 1;
        // SAFETY: data and ring are parts of the region, which lives as long as `self`. The kernel reads an entry only
        // after the tail has passed it, and an entry is free again when the completion of its buffer has been seen: there
        // are never more buffers than entries.
        unsafe {
            let data = self.pool.as_ref().data;
            while self.provided < wanted {
                let Some(slot) = self.free.pop() else { break };
                let entry = self.ring.add(usize::from(self.tail & mask)).as_mut();
                entry.set_addr(data.add(usize::from(slot) * self.buffer_bytes).as_ptr().expose_provenance() as u64);
                entry.set_len(self.buffer_bytes as u32);
                entry.set_bid(slot);
                self.tail = self.tail.wrapping_add(1);
                self.provided += 1;
            }
            let tail = BufRingEntry::tail(self.ring.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }

    /// Takes over a buffer that the kernel has used, with the bytes it put there.
    ///
    /// # Safety
    /// The kernel has just reported this buffer as used, with at least `len` bytes, and has not before since it was
    /// provided.
    pub(super) unsafe fn take(&mut self, slot: u16, len: usize) -> Lease {
        assert!(len <= self.buffer_bytes, "the kernel filled no more than the buffer");
        self.provided -= 1;
        self.lease(slot, len)
    }

    /// The first lease on a buffer that nobody else has.
    fn lease(&self, slot: u16, len: usize) -> Lease {
        // SAFETY: the home keeps the pool alive.
        let pool = unsafe { self.pool.as_ref() };
        pool.slots[usize::from(slot)].ranges.store(1, Ordering::Relaxed);
        // SAFETY: the slot exists (checked by the line above), so its buffer lies within the region.
        let start = unsafe { pool.data.add(usize::from(slot) * self.buffer_bytes) };
        Lease { start, len: len as u32, slot: u32::from(slot), pool: self.pool }
    }

    /// Announces that the home is about to sleep for want of buffers. Says no when one has come back meanwhile; else
    /// the next one to come back wakes it.
    pub(super) fn starve(&mut self) -> bool {
        // SAFETY: the home keeps the pool alive.
        let returned = unsafe { &self.pool.as_ref().returned.0 };
        returned.compare_exchange(EMPTY, STARVED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes back [`Buffers::starve`]: the home is awake.
    pub(super) fn wake_up(&mut self) {
        // SAFETY: the home keeps the pool alive.
        let returned = unsafe { &self.pool.as_ref().returned.0 };
        // Fails when a buffer has come back, which has ended the state as well.
        let _ = returned.compare_exchange(STARVED, EMPTY, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Takes over all buffers that have come back.
    fn collect(&mut self) {
        // SAFETY: the home keeps the pool alive.
        let pool = unsafe { self.pool.as_ref() };
        if pool.returned.0.load(Ordering::Relaxed) >= CLOSED {
            return;
        }
        let mut next = pool.returned.0.swap(EMPTY, Ordering::Acquire);
        while let Some(slot) = pool.slots.get(next as usize) {
            self.free.push(next as u16);
            next = slot.next.load(Ordering::Relaxed);
        }
    }
}

impl Drop for Buffers {
    /// The ring of buffers is no longer registered with the kernel by now; leases may still be out.
    fn drop(&mut self) {
        // SAFETY: the home has kept the pool alive until here.
        let pool = unsafe { self.pool.as_ref() };
        let mut next = pool.returned.0.swap(CLOSED, Ordering::AcqRel);
        let mut home = self.free.len() + self.provided;
        while let Some(slot) = pool.slots.get(next as usize) {
            home += 1;
            next = slot.next.load(Ordering::Relaxed);
        }
        let out = pool.slots.len() - home;
        // SAFETY: the home is gone with this, and `out` is what has not come back before it went.
        unsafe { Pool::settle(self.pool, out as isize) };
    }
}

/// Sole ownership of a range of a receive buffer, to read and to change.
///
/// The buffer goes back to its home when the last range of it is dropped, on whatever thread.
pub struct Lease {
    start: NonNull<u8>,
    len: u32,
    slot: u32,
    pool: NonNull<Pool>,
}

// SAFETY: a lease is the only way to its range, and all that it shares with others is atomic.
unsafe impl Send for Lease {}
// SAFETY: a shared lease only gives out shared bytes.
unsafe impl Sync for Lease {}

impl Lease {
    /// A lease on plain bytes: dropping it frees them.
    ///
    /// # Panics
    /// When there are 4 GiB or more.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Lease {
        let len = u32::try_from(bytes.len()).expect("a lease is shorter than 4 GiB");
        let mut bytes = ManuallyDrop::new(bytes);
        // SAFETY: the pointer of a vector is never null.
        let start = unsafe { NonNull::new_unchecked(bytes.as_mut_ptr()) };
        let pool = Pool {
            memory: Memory::Bytes { start, capacity: bytes.capacity() },
            data: start,
            slots: Pool::slots(1),
            waker: None,
            orphans: AtomicIsize::new(1),
            returned: Returned(AtomicU32::new(CLOSED)),
        };
        pool.slots[0].ranges.store(1, Ordering::Relaxed);
        Lease { start, len, slot: 0, pool: pool.leak() }
    }

    /// The bytes of the range.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether no byte is left in the range. It still holds its buffer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it holds a receive buffer, rather than plain bytes.
    #[must_use]
    pub fn is_of_a_driver(&self) -> bool {
        // SAFETY: a pool lives until all leases on it are gone.
        matches!(unsafe { self.pool.as_ref() }.memory, Memory::Region { .. })
    }

    /// Takes the first `n` bytes off as a lease of their own.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use = "the bytes are gone from this lease"]
    pub fn split_to(&mut self, n: usize) -> Lease {
        assert!(n <= self.len(), "split a lease within its length");
        self.slot().ranges.fetch_add(1, Ordering::Relaxed);
        let head = Lease { start: self.start, len: n as u32, slot: self.slot, pool: self.pool };
        self.advance(n);
        head
    }

    /// Gives up the first `n` bytes.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.len(), "advance a lease within its length");
        // SAFETY: no further than to the end of the range.
        self.start = unsafe { self.start.add(n) };
        self.len -= n as u32;
    }

    /// Gives up all but the first `n` bytes, if there are more.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// Appends a range that begins where this one ends; hands back any other.
    pub(super) fn join(&mut self, next: Lease) -> Result<(), Lease> {
        // SAFETY: the end of the range is within the region or right behind it.
        let end = unsafe { self.start.add(self.len()) };
        if next.pool != self.pool || next.slot != self.slot || next.start != end {
            return Err(next);
        }
        self.len += next.len;
        Ok(())
    }

    fn slot(&self) -> &Slot {
        // SAFETY: a pool lives until all leases on it are gone.
        &unsafe { self.pool.as_ref() }.slots[self.slot as usize]
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range is initialised memory of the region (zeroed at first, then filled by the kernel), and ours.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len()) }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`; ranges of one buffer never overlap.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len()) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let ranges = &self.slot().ranges;
        // A lone range needs no locked instruction: nobody else could split it.
        if ranges.load(Ordering::Acquire) != 1 {
            if ranges.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        // SAFETY: this was the last range of the slot, and it has kept the pool alive.
        unsafe { Pool::give_back(self.pool, self.slot) };
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("len", &self.len).field("slot", &self.slot).finish_non_exhaustive()
    }
}
