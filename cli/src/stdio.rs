//! Reads and writes of the standard streams as they were given to us. They may be shared with other processes: so one that
//! somebody has made non-blocking is waited for, and stays as it is.

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::stderr;

/// Writes all of it.
pub(crate) fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    let fd = fd.as_fd();
    while !bytes.is_empty() {
        match retry(fd, PollFlags::OUT, || rustix::io::write(fd, bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            len => bytes = &bytes[len..],
        }
    }
    Ok(())
}

/// Reads what there is, at least one byte; none at the end.
pub(crate) fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = fd.as_fd();
    retry(fd, PollFlags::IN, || rustix::io::read(fd, &mut *buffer))
}

/// Says something on the standard error, in a line of the tool's. Where that fails there is nobody to tell.
pub(crate) fn complain(what: impl Display) {
    let _ = write_all(stderr(), format!("minbus: {what}\n").as_bytes());
}

/// Waits until whoever has the other end is gone.
pub(crate) fn wait_for_hangup(fd: impl AsFd) -> io::Result<()> {
    // These are always told, whatever is asked for.
    wait(fd.as_fd(), PollFlags::empty())
}

/// Tries again as long as the descriptor is not ready.
fn retry(fd: BorrowedFd<'_>, ready: PollFlags, mut attempt: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match attempt() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(fd, ready)?,
            result => return Ok(result?),
        }
    }
}

fn wait(fd: BorrowedFd<'_>, ready: PollFlags) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(fd, ready)], None) {
            Err(Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}
