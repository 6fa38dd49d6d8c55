//! The engine's tests: `memory` and `loom` need no kernel, the others have the real one and real sockets.

mod ending;
#[cfg(loom)]
mod loom;
mod memory;
mod ring;
mod waiting;

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

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

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 251 + at * 7) as u8).collect()
}
