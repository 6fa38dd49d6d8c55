//! Sends with pipes in them, never blocking. A ring would give a splice to another thread, so they are made by direct
//! calls, part by part.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::batch::{Batch, Gather};

/// Sends as much as the socket takes of what is left of a batch; all of it, unless there is an error.
///
/// # Errors
/// `WouldBlock`: the socket is full. Else it is broken.
pub(super) fn push(batch: &mut Batch, socket: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        let mut result = Ok(());
        let taken = match batch.gather() {
            Gather::Piped(pipe) => {
                let before = pipe.len();
                result = pipe.drain(socket);
                before - pipe.len()
            }
            Gather::One { start, len } => {
                let flags = flags(batch);
                // SAFETY: the bytes are the batch's, which nobody touches meanwhile.
                sent(unsafe { libc::send(socket.as_raw_fd(), start.cast(), len as usize, flags) })?
            }
            Gather::Many(header) => {
                let flags = flags(batch);
                // SAFETY: the header and all that it points to are the batch's, which nobody touches meanwhile.
                sent(unsafe { libc::sendmsg(socket.as_raw_fd(), header, flags) })?
            }
        };
        if batch.taken(taken) {
            return Ok(());
        }
        result?;
    }
}

fn flags(batch: &Batch) -> i32 {
    let more = if batch.has_more() { libc::MSG_MORE } else { 0 };
    libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | more
}

fn sent(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
