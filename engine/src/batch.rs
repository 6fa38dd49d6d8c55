//! A vectored send: staged bytes, leased ranges and the contents of pipes, in the order in which they go out.
//!
//! Staged bytes lie in one vector that may move while it grows, so the batch keeps lengths alone and makes addresses
//! only when the kernel is about to read them. The batch belongs to the driver from then until its completion.

use std::fmt;
use std::ptr;

use super::buffers::Lease;
use super::pipes::Pipe;

/// Staged bytes that [`Batch::trim`] leaves room for.
const STAGING_KEPT_BYTES: usize = 64 * 1024;
/// Parts that [`Batch::trim`] leaves room for.
const PARTS_KEPT: usize = 1024;
/// The most parts that the kernel takes at once (`IOV_MAX`).
const GATHER_PARTS_MAX: usize = 1024;
/// The most bytes of a part that go into one operation; within what the kernel takes at once.
const GATHER_BYTES_MAX: usize = 1 << 30;

/// Bytes to be sent as one.
#[derive(Default)]
pub struct Batch {
    staging: Vec<u8>,
    /// How much of `staging` stands in `parts`; what lies behind is one more part, still open.
    sealed: usize,
    /// Bytes of the parts that are not staged.
    beside: usize,
    parts: Vec<Part>,
    /// How many of the parts are pipes.
    pipes: usize,
    cursor: Cursor,
    iovecs: Vec<libc::iovec>,
    header: Option<libc::msghdr>,
}

// SAFETY: the pointers in `iovecs` and `header` lead into what the batch owns, and are only handed to the kernel right
// after they were made.
unsafe impl Send for Batch {}

enum Part {
    /// So many of the staged bytes.
    Staged(usize),
    Leased(Lease),
    Block(Vec<u8>),
    Static(&'static [u8]),
    Piped(Pipe),
}

/// Where the sending stands.
#[derive(Clone, Copy, Default)]
struct Cursor {
    /// Bytes still to be taken by the kernel.
    left: usize,
    part: usize,
    /// Where the staged bytes of the part, or of the next staged one, begin.
    staged: usize,
    /// Bytes of the part that the kernel has taken.
    taken: usize,
}

/// What to ask of the kernel. The addresses are good until the batch is touched.
pub(super) enum Gather<'a> {
    /// One part, by a plain send.
    One { start: *const u8, len: u32 },
    /// Several, by one gathered send.
    Many(*const libc::msghdr),
    /// What a pipe holds.
    Piped(&'a mut Pipe),
}

impl Batch {
    /// The memory that it takes beside the bytes in it, in bytes.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn spare_bytes(&self) -> usize {
        let Self { staging, parts, iovecs, sealed: _, beside: _, pipes: _, cursor: _, header: _ } = self;
        let lists = parts.capacity() * size_of::<Part>() + iovecs.capacity() * size_of::<libc::iovec>();
        size_of::<Self>() + staging.capacity() - staging.len() + lists
    }

    /// The most memory that an empty one has after [`Batch::trim`], in bytes.
    pub const KEPT_BYTES_MAX: usize = size_of::<Self>()
        + STAGING_KEPT_BYTES
        + PARTS_KEPT * size_of::<Part>()
        + GATHER_PARTS_MAX * size_of::<libc::iovec>();

    /// An empty batch.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Appends a copy of bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        self.staging.extend_from_slice(bytes);
    }

    /// The vector behind [`Batch::put`], for encoders to append to. Nothing in it may be changed or taken out.
    pub fn staged(&mut self) -> &mut Vec<u8> {
        &mut self.staging
    }

    /// How many bytes stand in that vector.
    #[must_use]
    pub fn staged_bytes(&self) -> usize {
        self.staging.len()
    }

    /// Appends a leased range; it goes back to its home when the batch is cleared or dropped.
    pub fn lease(&mut self, lease: Lease) {
        if lease.is_empty() {
            return;
        }
        self.seal();
        self.beside += lease.len();
        // Neighbours in one buffer go out as one part.
        let lease = match self.parts.last_mut() {
            Some(Part::Leased(last)) => match last.join(lease) {
                Ok(()) => return,
                Err(lease) => lease,
            },
            _ => lease,
        };
        self.parts.push(Part::Leased(lease));
    }

    /// Appends bytes without copying them. [`Batch::clear`] hands them back.
    pub fn block(&mut self, block: Vec<u8>) {
        if block.is_empty() {
            return;
        }
        self.seal();
        self.beside += block.len();
        self.parts.push(Part::Block(block));
    }

    /// Appends bytes that live for ever, without copying them.
    pub fn put_static(&mut self, bytes: &'static [u8]) {
        if bytes.is_empty() {
            return;
        }
        self.seal();
        self.beside += bytes.len();
        self.parts.push(Part::Static(bytes));
    }

    /// Appends what a pipe holds.
    pub fn pipe(&mut self, pipe: Pipe) {
        if pipe.is_empty() {
            return;
        }
        self.seal();
        self.beside += pipe.len();
        let pipe = match self.parts.last_mut() {
            Some(Part::Piped(last)) => match last.join(pipe) {
                Ok(()) => return,
                Err(pipe) => pipe,
            },
            _ => pipe,
        };
        self.pipes += 1;
        self.parts.push(Part::Piped(pipe));
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.staging.len() + self.beside
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many parts the kernel has to gather.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len() + usize::from(self.open() > 0)
    }

    /// Empties it: gives back the leases, hands back the blocks, and keeps its memory for the next bytes.
    pub fn clear(&mut self, mut reclaim: impl FnMut(Vec<u8>)) {
        self.staging.clear();
        for part in self.parts.drain(..) {
            if let Part::Block(block) = part {
                reclaim(block);
            }
        }
        self.pipes = 0;
        self.sealed = 0;
        self.beside = 0;
    }

    /// Gives up memory that an empty one need not keep.
    pub fn trim(&mut self) {
        self.staging.shrink_to(STAGING_KEPT_BYTES);
        self.parts.shrink_to(PARTS_KEPT);
    }

    /// Copies the bytes to `out`, in the order in which they go out, for tests and simulation. Pipes are empty then.
    pub fn copy_to(&mut self, out: &mut Vec<u8>) {
        let mut staged = &self.staging[..];
        for part in &mut self.parts {
            match part {
                Part::Leased(lease) => out.extend_from_slice(lease),
                Part::Block(block) => out.extend_from_slice(block),
                Part::Static(bytes) => out.extend_from_slice(bytes),
                Part::Staged(len) => {
                    let (bytes, rest) = staged.split_at(*len);
                    out.extend_from_slice(bytes);
                    staged = rest;
                }
                Part::Piped(pipe) => pipe.copy_to(out),
            }
        }
        out.extend_from_slice(staged);
    }

    /// Begins the sending at the first byte.
    pub(super) fn start(&mut self) {
        self.seal();
        self.cursor = Cursor { left: self.len(), ..Cursor::default() };
    }

    /// Whether some of it is in pipes, so that it takes more than one operation.
    pub(super) fn has_pipes(&self) -> bool {
        self.pipes > 0
    }

    /// The next operation: as much of what is left as the kernel takes at once.
    pub(super) fn gather(&mut self) -> Gather<'_> {
        let Cursor { part, staged, taken, .. } = self.cursor;
        if matches!(self.parts.get(part), Some(Part::Piped(_))) {
            let Some(Part::Piped(pipe)) = self.parts.get_mut(part) else { unreachable!("the part is a pipe") };
            return Gather::Piped(pipe);
        }
        self.iovecs.clear();
        for bytes in slices(&self.parts[part..], &self.staging[staged..]).take(GATHER_PARTS_MAX) {
            self.iovecs.push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
        }
        if let Some(first) = self.iovecs.first_mut() {
            first.iov_base = first.iov_base.wrapping_byte_add(taken);
            first.iov_len -= taken;
        }
        if let [only] = self.iovecs[..] {
            return Gather::One { start: only.iov_base.cast(), len: only.iov_len.min(GATHER_BYTES_MAX) as u32 };
        }
        // SAFETY: a message header is plain data, for which zeros stand for nothing.
        let header = self.header.insert(unsafe { std::mem::zeroed() });
        header.msg_iov = self.iovecs.as_mut_ptr();
        header.msg_iovlen = self.iovecs.len() as _;
        Gather::Many(ptr::from_ref(header))
    }

    /// Whether something comes behind what [`Batch::gather`] has gathered.
    pub(super) fn has_more(&self) -> bool {
        self.iovecs.iter().map(|part| part.iov_len).sum::<usize>() < self.cursor.left
    }

    /// Counts bytes that the kernel has taken; says whether that was all.
    pub(super) fn taken(&mut self, n: usize) -> bool {
        let cursor = &mut self.cursor;
        cursor.left = cursor.left.saturating_sub(n);
        if cursor.left == 0 {
            return true;
        }
        if let Some(Part::Piped(pipe)) = self.parts.get(cursor.part) {
            cursor.part += usize::from(pipe.is_empty());
            return false;
        }
        cursor.taken += n;
        while let Some(part) = self.parts.get(cursor.part) {
            let (len, staged) = match part {
                Part::Leased(lease) => (lease.len(), 0),
                Part::Block(block) => (block.len(), 0),
                Part::Static(bytes) => (bytes.len(), 0),
                Part::Staged(len) => (*len, *len),
                Part::Piped(pipe) => (pipe.len(), 0),
            };
            if cursor.taken < len {
                break;
            }
            cursor.taken -= len;
            cursor.staged += staged;
            cursor.part += 1;
        }
        false
    }

    /// Staged bytes that stand in no part yet.
    fn open(&self) -> usize {
        self.staging.len() - self.sealed
    }

    fn seal(&mut self) {
        if self.open() > 0 {
            self.parts.push(Part::Staged(self.open()));
            self.sealed = self.staging.len();
        }
    }
}

/// The bytes of `parts`, the staged ones of which begin with `staged`, as far as the first pipe.
fn slices<'a>(parts: &'a [Part], mut staged: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    parts.iter().map_while(move |part| match part {
        Part::Leased(lease) => Some(&lease[..]),
        Part::Block(block) => Some(&block[..]),
        Part::Static(bytes) => Some(*bytes),
        Part::Staged(len) => {
            let (bytes, rest) = staged.split_at(*len);
            staged = rest;
            Some(bytes)
        }
        Part::Piped(_) => None,
    })
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).field("parts", &self.parts()).finish_non_exhaustive()
    }
}
