//! Pipes, for zero-copy by `splice(2)`: payload gets from one socket to another by moving references to the pages that hold
//! it, from a socket into a pipe, from pipe to pipe, and on to a socket.
//!
//! A pipe belongs to no shard, for it is two descriptors and a number. One that is empty goes back to the common pool
//! when it is dropped, wherever that is; one that is not is closed, so that nobody ever finds what another has left.
//! Sockets stay blocking ones (see `ring`), and a splice waits or not as the *socket* says, whatever its own flags: so
//! a socket is made non-blocking for the time of a call. Nobody else uses it meanwhile, for its ring has the same thread.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::pipe::{
    IoSliceRaw, PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice, vmsplice,
};

use super::head_arena::HeadArena;

/// The least that a pipe must hold to be of use: what Linux gives without being asked, unless the user has too many.
const PIPE_BYTES_MIN: usize = 64 << 10;
/// How many wishes for a pipe are refused, after the kernel has refused one, before it is asked again.
const REFUSALS: usize = 1_024;

/// The pipes of a process, as many as there may be.
#[derive(Debug)]
pub struct Pipes {
    free: ArrayQueue<Ends>,
    /// Pipes that are open, be they in use or not.
    open: AtomicUsize,
    pipe_bytes: usize,
    /// Wishes that are still to be refused.
    refusals: AtomicUsize,
}

#[derive(Debug)]
struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
    capacity: usize,
}

impl Pipes {
    /// A pool of at most `pipes_max` pipes which hold `pipe_bytes` each, if the kernel allows it. None are made before
    /// they are needed.
    #[must_use]
    pub fn new(pipes_max: usize, pipe_bytes: usize) -> Arc<Pipes> {
        Arc::new(Pipes {
            free: ArrayQueue::new(pipes_max.max(1)),
            open: AtomicUsize::new(0),
            pipe_bytes,
            refusals: AtomicUsize::new(0),
        })
    }

    /// An empty pipe, if one is to be had.
    #[must_use]
    pub fn take(self: &Arc<Pipes>) -> Option<Pipe> {
        let ends = self.free.pop().or_else(|| self.open_another())?;
        Some(Pipe { ends: Some(ends), len: 0, beside: Vec::new(), beside_sent: 0, pool: Arc::clone(self) })
    }

    /// Whether most pipes are in use, so that none should wait in one.
    #[must_use]
    pub fn are_scarce(&self) -> bool {
        let in_use = self.open.load(Ordering::Relaxed).saturating_sub(self.free.len());
        in_use > self.free.capacity() * 3 / 4
    }

    fn open_another(&self) -> Option<Ends> {
        let (order, one_less) = (Ordering::Relaxed, |left: usize| left.checked_sub(1));
        if self.refusals.fetch_update(order, order, one_less).is_ok() {
            return None;
        }
        if self.open.fetch_add(1, Ordering::Relaxed) < self.free.capacity() {
            if let Some(ends) = open(self.pipe_bytes) {
                return Some(ends);
            }
            self.refusals.store(REFUSALS, Ordering::Relaxed);
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

/// A pipe as large as it may be, up to `wanted` bytes: a user may have so many pages in pipes.
fn open(wanted: usize) -> Option<Ends> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    let mut size = wanted;
    while size > PIPE_BYTES_MIN && fcntl_setpipe_size(&writer, size).is_err() {
        size /= 2;
    }
    let capacity = fcntl_getpipe_size(&writer).ok()?;
    (capacity >= PIPE_BYTES_MIN).then_some(Ends { reader, writer, capacity })
}

/// Bytes in a pipe, in order. It takes as many as are put in: what the kernel has no room for is kept beside.
pub struct Pipe {
    /// Always there, until it is dropped.
    ends: Option<Ends>,
    /// Bytes in the kernel's pipe.
    len: usize,
    /// The bytes behind those.
    beside: Vec<u8>,
    beside_sent: usize,
    pool: Arc<Pipes>,
}

impl Pipe {
    /// How many bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len + self.beside.len() - self.beside_sent
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are best in it at most; fewer when they come in small parts.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ends().capacity
    }

    /// Whether the kernel's pipe is full, so that more would be copied.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.beside.is_empty() || self.len >= self.capacity()
    }

    /// Appends a copy of bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while self.beside.is_empty() && !rest.is_empty() {
            match rustix::io::write(&self.ends().writer, rest) {
                Ok(n) => {
                    self.len += n;
                    rest = &rest[n..];
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.beside.extend_from_slice(rest);
    }

    /// Appends a copy of a few bytes that is kept on a arena: it takes no page of its own.
    pub fn append_head(&mut self, bytes: &[u8], head_arena: &mut HeadArena) {
        let mut taken = 0;
        if self.beside.is_empty()
            && let Some(written) = head_arena.write(bytes)
        {
            let slices = [IoSliceRaw::from_slice(written)];
            // SAFETY: what is on a arena is never changed, so it is no matter for how long the pipe refers to it.
            taken = unsafe { vmsplice(&self.ends().writer, &slices, SpliceFlags::NONBLOCK) }.unwrap_or(0);
            self.len += taken;
        }
        self.put(&bytes[taken..]);
    }

    /// Moves the first `len` bytes of another pipe behind those that are in this one.
    ///
    /// # Panics
    /// When the other one holds fewer.
    pub fn take_from(&mut self, other: &mut Pipe, len: usize) {
        assert!(len <= other.len(), "bytes are taken from a pipe that has them");
        let mut left = len;
        while self.beside.is_empty() && left > 0 && other.len > 0 {
            let wanted = left.min(other.len);
            match splice(&other.ends().reader, None, &self.ends().writer, None, wanted, SpliceFlags::NONBLOCK) {
                Ok(n @ 1..) => {
                    self.len += n;
                    other.len -= n;
                    left -= n;
                }
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
        let kept = self.beside.len();
        self.beside.resize(kept + left, 0);
        other.read(&mut self.beside[kept..]);
    }

    /// Moves all that another pipe holds behind what is in this one, if there is room; else hands it back.
    ///
    /// # Errors
    /// There is no room.
    pub fn join(&mut self, mut other: Pipe) -> Result<(), Pipe> {
        let len = other.len();
        if self.is_full() || self.len() + len > self.capacity() {
            return Err(other);
        }
        self.take_from(&mut other, len);
        Ok(())
    }

    /// Takes bytes off the front: as many as `out` has room for.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn read(&mut self, out: &mut [u8]) {
        assert!(out.len() <= self.len(), "bytes are read from a pipe that has them");
        let mut done = 0;
        while done < out.len() && self.len > 0 {
            match rustix::io::read(&self.ends().reader, &mut out[done..]) {
                Ok(n @ 1..) => {
                    done += n;
                    self.len -= n;
                }
                Err(Errno::INTR) => {}
                result => panic!("a pipe gives what is in it, and not {result:?}"),
            }
        }
        let from = self.beside_sent;
        self.beside_sent += out.len() - done;
        out[done..].copy_from_slice(&self.beside[from..self.beside_sent]);
        self.forget_sent();
    }

    /// Takes all bytes out and appends them to `out`.
    pub fn copy_to(&mut self, out: &mut Vec<u8>) {
        let before = out.len();
        out.resize(before + self.len(), 0);
        self.read(&mut out[before..]);
    }

    /// Moves what a socket has received, up to `len` bytes, into the pipe. 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock`: there is nothing, or no room. Else the socket is broken.
    pub(super) fn fill(&mut self, socket: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
        debug_assert!(self.beside.is_empty(), "what is kept beside would be overtaken");
        let writer = &self.ends().writer;
        let n = without_waiting(socket, || splice(socket, None, writer, None, len, SpliceFlags::NONBLOCK))?;
        self.len += n;
        Ok(n)
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// `WouldBlock`: the socket has taken some and is full now. Else it is broken.
    pub(super) fn drain(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        while self.len > 0 {
            let (reader, wanted) = (&self.ends().reader, self.len);
            let n = without_waiting(socket, || splice(reader, None, socket, None, wanted, SpliceFlags::NONBLOCK))?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.len -= n;
        }
        while self.beside_sent < self.beside.len() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(socket, &self.beside[self.beside_sent..], flags) {
                Ok(n) => self.beside_sent += n,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.forget_sent();
        Ok(())
    }

    fn forget_sent(&mut self) {
        if self.beside_sent == self.beside.len() {
            self.beside = Vec::new();
            self.beside_sent = 0;
        }
    }

    fn ends(&self) -> &Ends {
        self.ends.as_ref().expect("a pipe has ends until it is dropped")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let Some(ends) = self.ends.take() else { return };
        if self.len == 0 && self.pool.free.push(ends).is_ok() {
            return;
        }
        self.pool.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Makes a call in which the socket must not wait.
fn without_waiting(socket: BorrowedFd<'_>, mut call: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    rustix::io::ioctl_fionbio(socket, true)?;
    let result = rustix::io::retry_on_intr(&mut call);
    rustix::io::ioctl_fionbio(socket, false)?;
    Ok(result?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the kernel has refused one, as many wishes are refused as is said, and no more, whoever has them.
    #[test]
    fn refusals_come_to_an_end() {
        const WISHES: usize = 5;
        for _ in 0..200 {
            let pipes = Pipes::new(4, PIPE_BYTES_MIN);
            pipes.refusals.store(WISHES, Ordering::Relaxed);
            let barrier = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        barrier.wait();
                        (0..WISHES).for_each(|_| drop(pipes.take()));
                    });
                }
            });
            assert_eq!(pipes.refusals.load(Ordering::Relaxed), 0);
            assert!(pipes.take().is_some());
        }
    }
}
