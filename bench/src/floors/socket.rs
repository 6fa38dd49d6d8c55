//! Blocking input and output that gives up on a server that says and takes nothing.

use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, recv};

/// Time without a word from the server, or without room for ours, after which we give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn new(socket: OwnedFd) -> Result<Self> {
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, Some(PATIENCE))?;
        }
        Ok(Self(socket))
    }

    /// Reads what has come, or waits for it. Returns how much that is, 0 at the end.
    pub(super) fn read(&self, input: &mut [u8]) -> Result<usize> {
        match recv(&self.0, input, RecvFlags::empty()) {
            Ok((len, _)) => Ok(len),
            Err(Errno::AGAIN) => bail!("the server has said nothing for {} s", PATIENCE.as_secs()),
            Err(error) => Err(error).context("cannot read from the server"),
        }
    }

    /// Reads what has come, if anything has.
    pub(super) fn try_read(&self, input: &mut [u8]) -> Result<Option<usize>> {
        match recv(&self.0, input, RecvFlags::DONTWAIT) {
            Ok((len, _)) => Ok(Some(len)),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).context("cannot read from the server"),
        }
    }

    /// Writes `head` and then `body`, all of it.
    pub(super) fn write(&self, mut head: &[u8], mut body: &[u8]) -> Result<()> {
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
