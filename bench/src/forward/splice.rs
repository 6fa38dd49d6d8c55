//! Without a copy: what is received moves into a pipe and on from there, page by page.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

/// What the pipe holds.
const PIPE_BYTES: usize = 1 << 20;

/// Forwards until the end. The calls block: there is nothing else to do.
pub(super) fn forward(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let (reader, writer) = pipe()?;
    fcntl_setpipe_size(&writer, PIPE_BYTES).context("cannot have a pipe of 1 MiB")?;
    loop {
        let mut left = splice(from, None, &writer, None, PIPE_BYTES, SpliceFlags::MOVE)?;
        if left == 0 {
            return Ok(());
        }
        while left > 0 {
            left -= splice(&reader, None, to, None, left, SpliceFlags::MOVE)?;
        }
    }
}
