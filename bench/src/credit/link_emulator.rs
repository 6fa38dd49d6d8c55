//! A long way to the relay: what a plugin writes arrives later, and no faster than a line carries it, and so does what it
//! hears.

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::net::{RecvFlags, recv};

/// Bytes that are sent on at once, at the most.
const PIECE_BYTES: usize = 16 << 10;

/// Pieces that may be on their way. Far more than any line of ours holds: it is there so that a side that stops reading
/// stops the other.
const PIECES_MAX: usize = 4096;

/// What a sleep that took too long may have put a line behind: that much is caught up with.
const SLACK: Duration = Duration::from_millis(2);

/// What a way is like, in each of both directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkEmulator {
    pub(super) delay: Duration,
    /// What it carries, in bytes for each second.
    pub(super) bytes_per_s: f64,
}

/// Threads that carry what is on its way. They end when both sides are closed.
pub(super) struct Carriers(Vec<JoinHandle<()>>);

/// Bytes, and when they arrive.
type Piece = (Instant, Vec<u8>);

impl LinkEmulator {
    /// Puts a way of this kind in front of a connection. Returns the other end of it.
    pub(super) fn before(self, connection: OwnedFd) -> Result<(OwnedFd, Carriers)> {
        let (outer, inner) = UnixStream::pair()?;
        let (inner, relay) = (Arc::new(inner), Arc::new(UnixStream::from(connection)));
        let mut carriers = Vec::new();
        for (from, to) in [(&inner, &relay), (&relay, &inner)] {
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            let (sender, receiver) = sync_channel(PIECES_MAX);
            carriers.push(thread::spawn(move || self.take(&from, &sender)));
            carriers.push(thread::spawn(move || deliver(&to, &receiver)));
        }
        Ok((outer.into(), Carriers(carriers)))
    }

    /// Reads what comes, as fast as the line carries it.
    fn take(self, from: &UnixStream, sender: &SyncSender<Piece>) {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut free_at = Instant::now();
        while let Ok((len, _)) = recv(from, &mut buffer[..], RecvFlags::empty()) {
            let now = Instant::now();
            free_at = now.checked_sub(SLACK).map_or(free_at, |earliest| free_at.max(earliest))
                + Duration::from_secs_f64(len as f64 / self.bytes_per_s);
            if len == 0 || sender.send((free_at + self.delay, buffer[..len].to_vec())).is_err() {
                return;
            }
            thread::sleep(free_at.saturating_duration_since(now));
        }
    }
}

/// Writes what has arrived, until nothing more comes.
fn deliver(to: &UnixStream, receiver: &Receiver<Piece>) {
    while let Ok((at, piece)) = receiver.recv() {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if (&mut &*to).write_all(&piece).is_err() {
            break;
        }
    }
    // It may be closed already.
    let _ = to.shutdown(Shutdown::Both);
}

impl Carriers {
    /// Waits until both sides are closed and all has arrived.
    pub(super) fn join(self) {
        self.0.into_iter().for_each(|carrier| carrier.join().expect("a carrier does not panic"));
    }
}
