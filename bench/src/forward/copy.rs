//! The plainest way: read and write.

use std::os::fd::BorrowedFd;

use anyhow::Result;

use super::BUFFER_BYTES;

/// Forwards until the end.
pub(super) fn forward(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let len = rustix::io::read(from, &mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(to, rest)?..];
        }
    }
}
