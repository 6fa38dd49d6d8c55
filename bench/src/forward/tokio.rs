//! As one would write it with tokio-uring, without thinking of speed.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;

use anyhow::Result;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::UnixStream;

use super::BUFFER_BYTES;

/// Forwards until both ways are over.
pub(super) fn run(one: OwnedFd, other: OwnedFd) -> Result<()> {
    tokio_uring::start(async {
        // It does the same on any stream socket: the type only says how one connects.
        let [one, other] = [one, other].map(|socket| Rc::new(UnixStream::from_std(StdUnixStream::from(socket))));
        let back = tokio_uring::spawn(forward(Rc::clone(&other), Rc::clone(&one)));
        let there = forward(one, other).await;
        back.await?.and(there)
    })
}

async fn forward(from: Rc<UnixStream>, to: Rc<UnixStream>) -> Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (result, read_into) = from.read(buffer).await;
        let len = result?;
        if len == 0 {
            // Whoever is gone already needs no word.
            let _ = to.shutdown(Shutdown::Write);
            return Ok(());
        }
        let (result, written) = to.write_all(read_into.slice(..len)).await;
        result?;
        buffer = written.into_inner();
    }
}
