//! The acceptor: listeners of the shard that has them, and how new connections are spread over the shards.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use engine::driver::{Driver, Token};
use limits::ACCEPT_RETRY_MS;

/// A listening socket to be served.
#[derive(Debug)]
pub(super) struct ListenSocket {
    pub(super) socket: OwnedFd,
    pub(super) tcp: bool,
}

/// All listeners of a shard.
#[derive(Debug, Default)]
pub(super) struct Acceptor {
    waiting: Vec<ListenSocket>,
    /// Those that the driver has, and whether they are TCP.
    pub(super) open: Vec<(Token, bool)>,
    /// Those on which accepting failed, and when it is tried again.
    failed: Vec<(Instant, Token)>,
    /// Whether the last attempt to accept failed.
    pub(super) in_want: bool,
    /// The shard that the next connection goes to.
    pub(super) next_shard: usize,
}

impl Acceptor {
    pub(super) fn new(sockets: Vec<ListenSocket>) -> Self {
        Self { waiting: sockets, ..Self::default() }
    }

    pub(super) fn open(&mut self, driver: &mut impl Driver) {
        for socket in self.waiting.drain(..) {
            let token = driver.listen(socket.socket);
            driver.accept(token);
            self.open.push((token, socket.tcp));
        }
    }

    pub(super) fn close(&mut self, driver: &mut impl Driver) {
        self.failed.clear();
        self.open.iter().for_each(|(token, _)| driver.close(*token));
    }

    pub(super) fn handle_closed(&mut self, token: Token) {
        self.open.retain(|(open, _)| *open != token);
    }

    pub(super) fn are_closed(&self) -> bool {
        self.open.is_empty()
    }

    /// Accepting failed, most likely for want of descriptors. Waiting ones stay in the queue of the kernel; it is tried
    /// again soon, rather than at once and for ever.
    pub(super) fn handle_failed(&mut self, listener: Token, error: &io::Error, now: Instant) {
        // Once for each time of want, not for each attempt in it.
        if !std::mem::replace(&mut self.in_want, true) {
            tracing::error!(%error, retry_ms = ACCEPT_RETRY_MS, "cannot accept connections; trying again");
        }
        self.failed.push((now + Duration::from_millis(ACCEPT_RETRY_MS), listener));
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.failed.first().map(|(at, _)| *at)
    }

    pub(super) fn retry(&mut self, now: Instant, driver: &mut impl Driver) {
        self.failed.retain(|(at, token)| {
            let due = *at <= now;
            if due {
                driver.accept(*token);
            }
            !due
        });
    }
}
