//! An allocator for tests that counts the memory of one party among several in a thread: what is allocated while that one
//! is at work counts until it is freed, whoever frees it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

thread_local! {
    /// Whether the one that is counted is at work.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    /// What it has allocated and nobody has freed, in bytes.
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with a word before each block that says whether it is counted.
#[derive(Debug)]
pub struct CountingAllocator;

/// Where that word stands in what precedes a block.
const WORD_BYTES: usize = size_of::<usize>();

/// Counts what is allocated meanwhile, or does not; returns what `act` does.
pub fn counting<R>(counts: bool, act: impl FnOnce() -> R) -> R {
    let before = COUNTS.replace(counts);
    let result = act();
    COUNTS.set(before);
    result
}

/// What this thread has allocated while it was counted and nobody has freed, in bytes.
#[must_use]
pub fn live_bytes() -> isize {
    LIVE_BYTES.get()
}

/// The layout with room before the block for the word, and how much room that is. None for more than there can be.
fn with_word(layout: Layout) -> Option<(Layout, usize)> {
    let before = layout.align().max(WORD_BYTES);
    Some((Layout::from_size_align(layout.size().checked_add(before)?, before).ok()?, before))
}

// SAFETY: every block is one of the system's, from which so many bytes are left out at the front that what follows is
// aligned as asked for; a block is freed with the layout with which it was allocated.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, before)) = with_word(layout) else { return null_mut() };
        // SAFETY: the size is not zero, since there is the word.
        let block = unsafe { System.alloc(whole) };
        if block.is_null() {
            return block;
        }
        let counts = COUNTS.get();
        if counts {
            LIVE_BYTES.set(LIVE_BYTES.get() + layout.size() as isize);
        }
        // SAFETY: there is room for the word right before what is handed out, aligned for it.
        unsafe {
            let given = block.add(before);
            given.sub(WORD_BYTES).cast::<usize>().write(usize::from(counts));
            given
        }
    }

    unsafe fn dealloc(&self, given: *mut u8, layout: Layout) {
        let Some((whole, before)) = with_word(layout) else { return };
        // SAFETY: it was handed out by `alloc`, which has written the word.
        if unsafe { given.sub(WORD_BYTES).cast::<usize>().read() } != 0 {
            LIVE_BYTES.set(LIVE_BYTES.get() - layout.size() as isize);
        }
        // SAFETY: this is the block of the system's, with its layout.
        unsafe { System.dealloc(given.sub(before), whole) }
    }

    unsafe fn realloc(&self, given: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: it was handed out by `alloc`. What grows belongs to whom it has belonged to.
        let counts = unsafe { given.sub(WORD_BYTES).cast::<usize>().read() } != 0;
        // SAFETY: the caller answers for size and alignment.
        let grown = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as the caller says.
        let moved = counting(counts, || unsafe { self.alloc(grown) });
        if !moved.is_null() {
            // SAFETY: both are as long as is copied, and apart; the old one is freed with its layout.
            unsafe {
                moved.copy_from_nonoverlapping(given, layout.size().min(size));
                self.dealloc(given, layout);
            }
        }
        moved
    }
}
