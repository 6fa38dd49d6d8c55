//! Blocking input and output that gives up on a server that says and takes nothing.

use std::cell::RefCell;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, recv};

/// Time without a word from the server, or without room for ours, after which we give up: longer than any machine is too busy
/// for that.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes to read at once.
const INPUT_BYTES: usize = 256 << 10;

thread_local! {
    /// What all sockets of a thread read into, so that a thousand of them do not fill the caches with it.
    static INPUT: RefCell<Vec<u8>> = RefCell::new(vec![0; INPUT_BYTES]);
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    pub(crate) fn new(socket: OwnedFd) -> Result<Self> {
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, Some(PATIENCE))?;
        }
        Ok(Self(socket))
    }

    /// Reads what has come, or waits for it, and has it digested. At the end it is nothing.
    pub(crate) fn read<R>(&self, digest: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        match self.receive(RecvFlags::empty(), digest)? {
            Some(digested) => Ok(digested),
            None => bail!("the server has said nothing for {} s", PATIENCE.as_secs()),
        }
    }

    /// Reads what has come, if anything has.
    pub(crate) fn try_read<R>(&self, digest: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        self.receive(RecvFlags::DONTWAIT, digest)
    }

    fn receive<R>(&self, flags: RecvFlags, digest: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        INPUT.with_borrow_mut(|input| match recv(&self.0, &mut input[..], flags) {
            Ok((len, _)) => digest(&input[..len]).map(Some),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).context("cannot read from the server"),
        })
    }

    /// Writes `head` and then `body`, all of it.
    pub(crate) fn write(&self, mut head: &[u8], mut body: &[u8]) -> Result<()> {
        while !head.is_empty() || !body.is_empty() {
            let slices = [IoSlice::new(head), IoSlice::new(body)];
            match rustix::io::writev(&self.0, &slices[usize::from(head.is_empty())..]) {
                Ok(len) => {
                    let of_head = len.min(head.len());
                    head = &head[of_head..];
                    body = &body[len - of_head..];
                }
                Err(Errno::AGAIN) => bail!("the server has taken nothing for {} s", PATIENCE.as_secs()),
                Err(error) => return Err(error).context("cannot write to the server"),
            }
        }
        Ok(())
    }
}
