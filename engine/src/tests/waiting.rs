//! Sleeping and waking: by time, by threads, by other rings, and by buffers that come back.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{MOMENT, PATIENCE, SETTINGS, adopted, assert_quiet, next_data, next_received, pattern, ring, ring_with};
use crate::buffers::Lease;
use crate::driver::{Completion, Driver, Received, Token};
use crate::registry::RingRegistry;
use crate::ring::Ring;
use crate::ring_settings::RingSettings;

/// Sleeps until there is a free buffer.
fn wait_for_a_buffer(ring: &mut Ring) {
    while ring.buffers_free() == 0 {
        let end = Instant::now() + PATIENCE;
        ring.wait(true, Some(end)).unwrap();
        assert!(Instant::now() < end, "slept over the return of a buffer");
    }
}

/// A ring whose only buffer is leased, and a socket for which it had none.
fn starved() -> (Ring, Token, UnixStream, Lease) {
    let mut ring = ring_with(RingSettings { receive_buffers: 1, ..SETTINGS });
    let (token, mut peer) = adopted(&mut ring);
    peer.write_all(&[1; 5000]).unwrap();
    ring.receive(token);
    let lease = next_data(&mut ring);
    ring.receive(token);
    assert!(matches!(next_received(&mut ring).1, Received::NoBuffers));
    (ring, token, peer, lease)
}

#[test]
fn a_lease_dropped_elsewhere_wakes_the_starved_home() {
    for round in 0..60 {
        let (mut ring, token, _peer, lease) = starved();
        let far = thread::spawn(move || {
            thread::sleep(Duration::from_millis(round % 3));
            drop(lease);
        });
        // Whether the buffer comes back before, amid or after falling asleep: no wait may last for ever.
        wait_for_a_buffer(&mut ring);
        far.join().unwrap();
        ring.receive(token);
        assert_eq!(next_data(&mut ring).len(), 904);
    }
}

/// The one that came back first may be taken by somebody else: the next one must wake the home as well.
#[test]
fn a_home_that_is_starved_again_is_woken_again() {
    let (mut ring, _token, _peer, lease) = starved();
    drop(lease);
    assert_eq!(ring.buffers_free(), 1);
    let taken = ring.buffer().expect("it is free");
    let far = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        drop(taken);
    });
    wait_for_a_buffer(&mut ring);
    far.join().unwrap();
}

#[test]
fn two_buffers_that_die_elsewhere_are_enough_for_a_long_stream() {
    let mut ring = ring_with(RingSettings { receive_buffers: 2, receive_buffer_bytes: 100, ..SETTINGS });
    let (token, mut peer) = adopted(&mut ring);
    let bytes = pattern(1_000_000);
    let (far, leases) = mpsc::channel::<Lease>();
    let reader = thread::spawn(move || leases.iter().flat_map(|lease| lease.to_vec()).collect::<Vec<u8>>());
    let writer = {
        let bytes = bytes.clone();
        thread::spawn(move || peer.write_all(&bytes).unwrap())
    };
    let end = Instant::now() + PATIENCE;
    let mut parked = false;
    ring.receive(token);
    'stream: loop {
        ring.wait(true, Some(end)).unwrap();
        assert!(Instant::now() < end, "the stream stalled");
        if parked && ring.buffers_free() > 0 {
            parked = false;
            ring.receive(token);
        }
        while let Some(completion) = ring.next() {
            match completion {
                Completion::Received { received: Received::Data(lease), .. } => {
                    far.send(lease).unwrap();
                    ring.receive(token);
                }
                Completion::Received { received: Received::NoBuffers, .. } => parked = true,
                _ => break 'stream,
            }
        }
    }
    drop(far);
    writer.join().unwrap();
    assert!(reader.join().unwrap() == bytes);
}

#[test]
fn waits_no_longer_than_until() {
    let mut ring = ring();
    let end = Instant::now() + MOMENT;
    while Instant::now() < end {
        ring.wait(true, Some(end)).unwrap();
    }
    ring.wait(true, Some(end)).unwrap();
    ring.wait(false, None).unwrap();
    assert!(ring.next().is_none());
}

#[test]
fn a_nearer_deadline_counts_and_a_farther_one_is_not_forgotten() {
    let registry = RingRegistry::new(1).unwrap();
    let mut ring = Ring::new(SETTINGS, 0, &registry).unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        // The alarm is set for a time that is far away, by a wait that ends before it.
        registry.waker(0).wake();
        ring.wait(true, Some(start + PATIENCE * 2)).unwrap();
        for moments in 1..3 {
            let end = Instant::now() + MOMENT * moments;
            while Instant::now() < end {
                ring.wait(true, Some(end)).unwrap();
                assert!(start.elapsed() < PATIENCE, "slept past a deadline");
            }
        }
    }
}

#[test]
fn a_thread_wakes_a_shard() {
    let registry = RingRegistry::new(1).unwrap();
    let waker = registry.waker(0);
    // Before the ring is there, and twice in its life.
    waker.wake();
    let mut ring = Ring::new(SETTINGS, 0, &registry).unwrap();
    ring.wait(true, None).unwrap();
    for _ in 0..2 {
        assert_quiet(&mut ring);
        let waker = waker.clone();
        let far = thread::spawn(move || {
            thread::sleep(MOMENT);
            waker.wake();
        });
        ring.wait(true, None).unwrap();
        far.join().unwrap();
        assert!(ring.next().is_none());
    }
    // And itself.
    ring.wake(0);
    ring.wait(true, None).unwrap();
}

#[test]
fn rings_wake_each_other() {
    let registry = RingRegistry::new(3).unwrap();
    let (ready, is_ready) = mpsc::channel();
    let other = {
        let registry = Arc::clone(&registry);
        thread::spawn(move || {
            let mut ring = Ring::new(SETTINGS, 1, &registry).unwrap();
            for _ in 0..100 {
                ready.send(()).unwrap();
                ring.wait(true, None).unwrap();
                assert!(ring.next().is_none());
                ring.wake(0);
                ring.wait(false, None).unwrap();
            }
        })
    };
    let mut ring = Ring::new(SETTINGS, 0, &registry).unwrap();
    for _ in 0..100 {
        is_ready.recv_timeout(PATIENCE).unwrap();
        ring.wake(1);
        ring.wake(1);
        // A shard that does not run yet is no error.
        ring.wake(2);
        ring.wait(true, None).unwrap();
        assert!(ring.next().is_none());
    }
    other.join().unwrap();
    // Nor is one that runs no more.
    ring.wake(1);
    assert_quiet(&mut ring);
}

#[test]
fn an_idle_ring_uses_no_cpu() {
    let mut ring = ring();
    let sockets: Vec<_> = (0..10).map(|_| adopted(&mut ring)).collect();
    sockets.iter().for_each(|(token, _)| ring.receive(*token));
    let end = Instant::now() + MOMENT * 5;
    let mut waits = 0;
    while Instant::now() < end {
        ring.wait(true, Some(end)).unwrap();
        assert!(ring.next().is_none());
        waits += 1;
    }
    assert!(waits < 10, "woke {waits} times for nothing");
}
