//! The engine's tests: `memory` and `loom` need no kernel, the others have the real one and real sockets.

mod ending;
#[cfg(loom)]
mod loom;
mod memory;
mod ring;
mod waiting;

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::batch::Batch;
use crate::buffers::Lease;
use crate::driver::{Completion, Driver, Received, Token};
use crate::registry::RingRegistry;
use crate::ring::Ring;
use crate::ring_settings::RingSettings;

/// Long enough for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for something that must not happen to show.
const MOMENT: Duration = Duration::from_millis(100);

const SETTINGS: RingSettings =
    RingSettings { entries: 64, connections: 64, receive_buffers: 8, receive_buffer_bytes: 4096 };

fn ring() -> Ring {
    ring_with(SETTINGS)
}

fn ring_with(settings: RingSettings) -> Ring {
    Ring::new(settings, 0, &RingRegistry::new(1).unwrap()).unwrap()
}

/// The next completion; fails the test when none comes.
fn next(ring: &mut Ring) -> Completion {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(completion) = ring.next() {
            return completion;
        }
        assert!(Instant::now() < end, "no completion came");
        ring.wait(true, Some(end)).unwrap();
    }
}

/// Fails the test when anything completes within a moment.
fn assert_quiet(ring: &mut Ring) {
    let end = Instant::now() + MOMENT;
    while Instant::now() < end {
        ring.wait(true, Some(end)).unwrap();
        if let Some(completion) = ring.next() {
            panic!("{completion:?} came out of nothing");
        }
    }
}

fn next_received(ring: &mut Ring) -> (Token, Received) {
    match next(ring) {
        Completion::Received { token, received } => (token, received),
        other => panic!("{other:?} instead of a receive"),
    }
}

fn next_data(ring: &mut Ring) -> Lease {
    match next_received(ring) {
        (_, Received::Data(lease)) => lease,
        (_, other) => panic!("{other:?} instead of data"),
    }
}

/// A connected socket in the ring, and its peer outside.
fn adopted(ring: &mut Ring) -> (Token, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    (ring.adopt(ours.into()), theirs)
}

/// The same over TCP.
fn adopted_tcp(ring: &mut Ring) -> (Token, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    (ring.adopt(listener.accept().unwrap().0.into()), theirs)
}

fn batch_of(bytes: &[u8]) -> Box<Batch> {
    let mut batch = Box::new(Batch::new());
    batch.put(bytes);
    batch
}

/// Closes a socket of which nothing is under way.
fn close(ring: &mut Ring, token: Token) {
    ring.close(token);
    assert!(matches!(next(ring), Completion::Closed { token: closed } if closed == token));
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 251 + at * 7) as u8).collect()
}
