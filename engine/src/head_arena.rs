//! An arena for heads of chunks: memory that is written once, from front to back. Whatever has been written stays as it is, so
//! pipes may refer to it for as long as they like (zero-copy), instead of each having a page of its own for a few bytes: the
//! kernel keeps the pages until the last reader has had them, even if we have long let go of them.

use std::ptr::{self, NonNull};
use std::slice;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// How much is asked for at once: some hundred heads, for a call that takes as long as a few writes to a pipe.
const PAGE_BYTES: usize = 64 << 10;

/// Where the next bytes are written.
#[derive(Debug, Default)]
pub struct HeadArena {
    page: Option<Page>,
    /// How much of the page is written.
    written: usize,
}

/// Pages of our own that nobody else will ever get.
#[derive(Debug)]
struct Page {
    start: NonNull<u8>,
}

// SAFETY: a page is the only way to its memory, which is no thread's own.
unsafe impl Send for Page {}

impl HeadArena {
    /// One that has nothing written yet, and takes no memory before.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `bytes`, if there is memory for it and they are not too many.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        if bytes.len() > PAGE_BYTES {
            return None;
        }
        if self.page.is_none() || self.written + bytes.len() > PAGE_BYTES {
            self.page = Some(Page::new()?);
            self.written = 0;
        }
        let page = self.page.as_ref()?;
        let at = self.written;
        self.written += bytes.len();
        // SAFETY: the range lies within the page, and begins behind all that was ever written to it: nobody refers to it.
        unsafe {
            let start = page.start.add(at).as_ptr();
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
            Some(slice::from_raw_parts(start, bytes.len()))
        }
    }
}

impl Page {
    fn new() -> Option<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, where nothing is yet.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), PAGE_BYTES, access, MapFlags::PRIVATE) };
        Some(Self { start: NonNull::new(start.ok()?.cast())? })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the range is that of `new`, and no slice of it lives: slices borrow the arena. Pipes hold pages, not
        // this range.
        let result = unsafe { munmap(self.start.as_ptr().cast(), PAGE_BYTES) };
        debug_assert_eq!(result, Ok::<(), Errno>(()), "it is a whole mapping of ours");
    }
}
