//! Receive buffers: boxes that the kernel fills, and the ring of entries in which it finds them.
//!
//! A buffer belongs either to the kernel or to somebody here, never to both. The kernel is given few of them at a time,
//! those used last first, so that they stay in the cache; it gets more when it says that it has run out.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// Bytes of a buffer. Longer ones fall out of the cache before they are read.
const BUFFER_BYTES: usize = 128 << 10;

/// The most buffers that the kernel has at once, a power of two.
const BUFFERS_MAX: u16 = 256;

/// How many it has to begin with.
const BUFFERS_FIRST: usize = 4;

const PAGE_BYTES: usize = 4096;

/// Bytes that came in.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
}

impl Buffer {
    /// Whether more would have come if there had been room.
    pub(super) fn is_full(&self) -> bool {
        self.len == self.bytes.len()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// All buffers of a ring.
#[derive(Debug)]
pub(super) struct Buffers {
    /// The kernel's ring of entries.
    entries: NonNull<BufRingEntry>,
    tail: u16,
    /// What the kernel has, by the number that it knows it by.
    lent: Box<[Option<NonNull<[u8]>>]>,
    /// Numbers that stand for nothing now.
    numbers: Vec<u16>,
    /// How many the kernel should have.
    wanted: usize,
    /// Buffers that nobody has, the one used last on top.
    spare: Vec<Box<[u8]>>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout()) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout()) };
        Self {
            entries: start.cast(),
            tail: 0,
            lent: vec![None; usize::from(BUFFERS_MAX)].into(),
            numbers: (0..BUFFERS_MAX).rev().collect(),
            wanted: BUFFERS_FIRST,
            spare: Vec::new(),
        }
    }

    /// Where the ring of entries is and how many there are, for registering it.
    pub(super) fn entries(&self) -> (u64, u16) {
        (self.entries.as_ptr().expose_provenance() as u64, BUFFERS_MAX)
    }

    /// The kernel has run out: from now on it gets more.
    pub(super) fn want_more(&mut self) {
        self.wanted = (2 * self.wanted).min(usize::from(BUFFERS_MAX));
    }

    /// Gives the kernel as many as it should have.
    pub(super) fn provide(&mut self) {
        while usize::from(BUFFERS_MAX) - self.numbers.len() < self.wanted
            && let Some(number) = self.numbers.pop()
        {
            let bytes = self.spare.pop().unwrap_or_else(|| vec![0; BUFFER_BYTES].into());
            let bytes = NonNull::from(Box::leak(bytes));
            self.lent[usize::from(number)] = Some(bytes);
            // SAFETY: the index is below the number of entries, all of which were zeroed. The kernel reads an entry only
            // after the tail has passed it, and there are never more buffers out than entries.
            let entry = unsafe { self.entries.add(usize::from(self.tail % BUFFERS_MAX)).as_mut() };
            entry.set_addr(bytes.as_ptr().cast::<u8>().expose_provenance() as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(number);
            self.tail = self.tail.wrapping_add(1);
        }
        // SAFETY: the tail lies within the first entry, is aligned, and is shared with the kernel alone.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Takes over a buffer that the kernel has filled.
    ///
    /// # Safety
    /// The kernel has just said so, of this buffer and of so many bytes.
    pub(super) unsafe fn take(&mut self, number: u16, len: usize) -> Buffer {
        let bytes = self.lent[usize::from(number)].take().expect("the kernel has had this buffer");
        self.numbers.push(number);
        // SAFETY: it was leaked from a box, and the kernel does not touch it any more.
        let bytes = unsafe { Box::from_raw(bytes.as_ptr()) };
        assert!(len <= bytes.len(), "the kernel filled no more than the buffer");
        Buffer { bytes, len }
    }

    /// Takes back a buffer that has been read.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        self.spare.push(buffer.bytes);
    }

    /// Leaves to the kernel for ever what it still has.
    pub(super) fn abandon(&mut self) {
        self.lent.fill(None);
        self.entries = NonNull::dangling();
    }
}

impl Drop for Buffers {
    /// The ring has been unregistered and no receive is under way, or it was abandoned.
    fn drop(&mut self) {
        for bytes in self.lent.iter().flatten() {
            // SAFETY: it was leaked from a box, and the kernel has let go of it.
            drop(unsafe { Box::from_raw(bytes.as_ptr()) });
        }
        if !ptr::eq(self.entries.as_ptr(), NonNull::dangling().as_ptr()) {
            // SAFETY: allocated with this layout, and unregistered.
            unsafe { dealloc(self.entries.as_ptr().cast(), layout()) };
        }
    }
}

fn layout() -> Layout {
    let bytes = usize::from(BUFFERS_MAX) * size_of::<BufRingEntry>();
    Layout::from_size_align(bytes, PAGE_BYTES).expect("a few pages are a valid layout")
}
