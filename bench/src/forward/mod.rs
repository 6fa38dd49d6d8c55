//! Bare forwarders: each takes two connections and passes bytes from one to the other, both ways, without a look at
//! them. They are what a relay can at best cost.

mod copy;
mod splice;
mod tokio;
mod uring;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use anyhow::Result;
use clap::{Args, ValueEnum};
use minbus::Address;
use rustix::net::{Shutdown, shutdown};

use crate::connection::Listener;

/// What the forwarders that copy receive into, in bytes: as large as a receive buffer of the relay.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How to forward
    #[arg(long, value_enum)]
    kind: Kind,
    /// Where to listen for the two connections
    #[arg(long)]
    listen: Address,
}

/// A way to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// io_uring with two buffers of 64 KiB for each direction
    Uring,
    /// `splice` through a pipe of 1 MiB
    Splice,
    /// `read` and `write` in a thread for each direction
    Copy,
    /// A plain relay on tokio-uring
    TokioUring,
}

/// Forwards until both connections are over.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let listener = Listener::bind(&flags.listen)?;
    let (one, other) = (listener.accept_as_the_relay()?, listener.accept_as_the_relay()?);
    drop(listener);
    match flags.kind {
        Kind::Uring => uring::run(&one, &other),
        Kind::Splice => both_ways(&one, &other, splice::forward),
        Kind::Copy => both_ways(&one, &other, copy::forward),
        Kind::TokioUring => tokio::run(one, other),
    }
}

/// A thread for each direction, which ends the direction when it has no more to forward.
fn both_ways(one: &OwnedFd, other: &OwnedFd, forward: fn(BorrowedFd<'_>, BorrowedFd<'_>) -> Result<()>) -> Result<()> {
    let forward = |from: BorrowedFd<'_>, to: BorrowedFd<'_>| {
        let result = forward(from, to);
        // Whoever is gone already needs no word.
        let _ = shutdown(to, Shutdown::Write);
        result
    };
    thread::scope(|scope| {
        let back = scope.spawn(|| forward(other.as_fd(), one.as_fd()));
        let there = forward(one.as_fd(), other.as_fd());
        back.join().expect("forwarding does not panic").and(there)
    })
}
