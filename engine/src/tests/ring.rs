//! What a ring does with sockets: receiving, sending, accepting, closing.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::{
    SETTINGS, adopted, adopted_tcp, assert_quiet, batch_of, close, next, next_data, next_received, pattern, ring,
    ring_with,
};
use crate::batch::Batch;
use crate::buffers::Lease;
use crate::driver::{Completion, Driver, Received, Token};
use crate::ring::Ring;
use crate::ring_settings::RingSettings;

fn next_sent(ring: &mut Ring) -> (Box<Batch>, std::io::Result<()>) {
    match next(ring) {
        Completion::Sent { batch, result, .. } => (batch, result),
        other => panic!("{other:?} instead of a send"),
    }
}

/// A connected socket of either kind, and its peer.
fn adopted_any(ring: &mut Ring, tcp: bool) -> (Token, File) {
    let (token, peer): (_, OwnedFd) = if tcp {
        let (token, peer) = adopted_tcp(ring);
        (token, peer.into())
    } else {
        let (token, peer) = adopted(ring);
        (token, peer.into())
    };
    (token, peer.into())
}

/// Waits for data of so many sockets, and asks again for those that came when there was no buffer.
fn receive_from_each(ring: &mut Ring, sockets: usize) {
    let mut data = 0;
    while data < sockets {
        match next_received(ring) {
            (_, Received::Data(_)) => data += 1,
            (token, Received::NoBuffers) => ring.receive(token),
            (_, other) => panic!("{other:?}"),
        }
    }
}

fn read_all(mut peer: impl Read + Send + 'static, pause: Duration) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let mut part = [0; 100_000];
        loop {
            thread::sleep(pause);
            match peer.read(&mut part) {
                Ok(0) | Err(_) => return all,
                Ok(n) => all.extend_from_slice(&part[..n]),
            }
        }
    })
}

#[test]
fn echoes_out_of_the_receive_buffer() {
    let mut ring = ring();
    let (token, mut peer) = adopted(&mut ring);
    for round in 0..100_u8 {
        peer.write_all(&[round; 100]).unwrap();
        ring.receive(token);
        let mut lease = next_data(&mut ring);
        lease[0] = 255;
        let mut batch = batch_of(b"head");
        let first = lease.split_to(40);
        batch.lease(first);
        batch.put(b"middle");
        batch.lease(lease);
        assert_eq!((batch.parts(), batch.len()), (4, 110));
        ring.send(token, batch);
        let (batch, result) = next_sent(&mut ring);
        result.unwrap();
        assert_eq!(ring.buffers_free(), 7);
        drop(batch);
        assert_eq!(ring.buffers_free(), 8);
        let mut echo = [0; 110];
        peer.read_exact(&mut echo).unwrap();
        let mut wanted = [round; 110];
        wanted[..5].copy_from_slice(b"head\xff");
        wanted[44..50].copy_from_slice(b"middle");
        assert_eq!(echo, wanted);
    }
}

#[test]
fn receives_and_sends_over_tcp() {
    let mut ring = ring();
    let (token, mut peer) = adopted_tcp(&mut ring);
    peer.write_all(b"question").unwrap();
    ring.receive(token);
    assert_eq!(&next_data(&mut ring)[..], b"question");
    ring.send(token, batch_of(b"answer"));
    next_sent(&mut ring).1.unwrap();
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
}

#[test]
fn an_idle_receive_holds_no_buffer() {
    let mut ring = ring();
    let sockets: Vec<_> = (0..20).map(|_| adopted(&mut ring)).collect();
    sockets.iter().for_each(|(token, _)| ring.receive(*token));
    assert_quiet(&mut ring);
    assert_eq!(ring.buffers_free(), 8);
    // All 20 at once, with 8 buffers: what is given back goes on to the others.
    for (_, peer) in &sockets {
        (&*peer).write_all(b"x").unwrap();
    }
    receive_from_each(&mut ring, 20);
    assert_eq!(ring.buffers_free(), 8);
}

#[test]
fn more_completions_than_fit_are_counted_and_come_all_the_same() {
    const SOCKETS: usize = 100;
    let mut ring = ring_with(RingSettings { entries: 4, connections: 1, ..SETTINGS });
    let sockets: Vec<_> = (0..SOCKETS).map(|_| adopted(&mut ring)).collect();
    sockets.iter().for_each(|(token, _)| ring.receive(*token));
    assert_quiet(&mut ring);
    assert_eq!(ring.overflows(), 0);
    sockets.iter().for_each(|(_, peer)| (&*peer).write_all(b"x").unwrap());
    receive_from_each(&mut ring, SOCKETS);
    assert!(ring.overflows() > 0, "the queue has room for fewer");
}

#[test]
fn runs_out_of_buffers_and_recovers() {
    let mut ring = ring();
    let (token, mut peer) = adopted(&mut ring);
    peer.write_all(&pattern(4096 * 9)).unwrap();
    let mut leases = Vec::new();
    for _ in 0..8 {
        ring.receive(token);
        leases.push(next_data(&mut ring));
    }
    assert_eq!(ring.buffers_free(), 0);
    ring.receive(token);
    assert!(matches!(next_received(&mut ring).1, Received::NoBuffers));
    assert_quiet(&mut ring);
    let range = leases[3].split_to(0);
    leases.push(range);
    drop(leases.remove(3));
    assert_eq!(ring.buffers_free(), 0, "a range of the buffer is still leased");
    leases.pop();
    assert_eq!(ring.buffers_free(), 1);
    ring.receive(token);
    assert_eq!(&next_data(&mut ring)[..], &pattern(4096 * 9)[4096 * 8..]);
}

#[test]
fn leases_outlive_their_ring() {
    let (lease, mut peer);
    {
        let mut ring = ring();
        let token;
        (token, peer) = adopted(&mut ring);
        peer.write_all(b"left behind").unwrap();
        ring.receive(token);
        lease = next_data(&mut ring);
    }
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "a dropped ring closes its sockets");
    thread::spawn(move || assert_eq!(&lease[..], b"left behind")).join().unwrap();
}

#[test]
fn sends_more_than_the_socket_holds_to_a_slow_reader() {
    let mut ring = ring();
    let (token, peer) = adopted(&mut ring);
    let bytes = pattern(3_000_000);
    let reader = read_all(peer, Duration::from_millis(2));
    let mut batch = batch_of(&bytes[..1_000_000]);
    batch.lease(Lease::from_vec(bytes[1_000_000..].to_vec()));
    ring.send(token, batch);
    next_sent(&mut ring).1.unwrap();
    // And as one part.
    ring.send(token, batch_of(&bytes));
    next_sent(&mut ring).1.unwrap();
    close(&mut ring, token);
    assert!(reader.join().unwrap() == [&bytes[..], &bytes].concat());
}

#[test]
fn sends_a_batch_of_thousands_of_parts() {
    let mut ring = ring();
    for tcp in [false, true] {
        let (token, peer) = adopted_any(&mut ring, tcp);
        let reader = read_all(peer, Duration::ZERO);
        let bytes = pattern(3000 * 700);
        let mut batch = Box::new(Batch::new());
        for (at, part) in bytes.chunks(700).enumerate() {
            if at % 2 == 0 { batch.put(part) } else { batch.lease(Lease::from_vec(part.to_vec())) }
        }
        assert_eq!(batch.parts(), 3000);
        ring.send(token, batch);
        let (mut batch, result) = next_sent(&mut ring);
        result.unwrap();
        batch.clear(drop);
        assert!(batch.is_empty() && batch.parts() == 0);
        close(&mut ring, token);
        assert!(reader.join().unwrap() == bytes);
    }
}

#[test]
fn an_empty_batch_comes_back_at_once() {
    let mut ring = ring();
    let (token, _peer) = adopted(&mut ring);
    ring.send(token, Box::new(Batch::new()));
    next_sent(&mut ring).1.unwrap();
}

#[test]
fn closing_brings_a_send_in_flight_back() {
    let mut ring = ring();
    for tcp in [false, true] {
        let (token, _peer) = adopted_any(&mut ring, tcp);
        ring.receive(token);
        ring.send(token, batch_of(&vec![0; 50_000_000]));
        assert_quiet(&mut ring);
        ring.close(token);
        ring.close(token);
        // Nothing more can be asked of it, and nothing is lost.
        ring.receive(token);
        ring.send(token, batch_of(b"too late"));
        let (late, result) = next_sent(&mut ring);
        assert!(late.len() == 8 && result.is_err());
        let (batch, result) = next_sent(&mut ring);
        assert!(batch.len() == 50_000_000 && result.is_err());
        assert!(matches!(next(&mut ring), Completion::Closed { token: closed } if closed == token));
        assert_quiet(&mut ring);
        assert_eq!(ring.buffers_free(), 8);
    }
}

#[test]
fn tokens_are_not_reused() {
    let mut ring = ring();
    let (old, _peer) = adopted(&mut ring);
    close(&mut ring, old);
    let (new, mut peer) = adopted(&mut ring);
    assert_ne!(old, new);
    ring.close(old);
    ring.receive(old);
    ring.send(old, batch_of(b"to nobody"));
    assert!(next_sent(&mut ring).1.is_err());
    peer.write_all(b"still there").unwrap();
    ring.receive(new);
    assert_eq!(&next_data(&mut ring)[..], b"still there");
}

#[test]
fn the_end_of_a_peer_is_seen() {
    let mut ring = ring();
    // Armed before the peer ends, and after; with and without bytes before the end.
    for (armed_first, bytes) in [(true, 0), (true, 10), (false, 0), (false, 10)] {
        let (token, mut peer) = adopted(&mut ring);
        if armed_first {
            ring.receive(token);
            ring.wait(false, None).unwrap();
        }
        peer.write_all(&vec![0; bytes]).unwrap();
        drop(peer);
        if !armed_first {
            ring.receive(token);
        }
        if bytes > 0 {
            assert_eq!(next_data(&mut ring).len(), bytes);
            ring.receive(token);
        }
        assert!(matches!(next_received(&mut ring), (from, Received::Eof) if from == token));
        ring.send(token, batch_of(b"anyone?"));
        assert!(next_sent(&mut ring).1.is_err());
    }
    let (token, peer) = adopted(&mut ring);
    ring.receive(token);
    assert_quiet(&mut ring);
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(matches!(next_received(&mut ring).1, Received::Eof));
    assert_eq!(ring.buffers_free(), 8);
}

#[test]
fn a_reset_fails_the_receive() {
    let mut ring = ring();
    let (token, peer) = adopted_tcp(&mut ring);
    ring.send(token, batch_of(b"never read"));
    next_sent(&mut ring).1.unwrap();
    // Closing with unread bytes resets the connection.
    peer.peek(&mut [0]).unwrap();
    drop(peer);
    ring.receive(token);
    match next_received(&mut ring).1 {
        Received::Failed(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        other => panic!("{other:?} instead of a reset"),
    }
}

#[test]
fn accepts_a_burst_and_closes() {
    let folder = crate::testing::directory();
    let path = folder.path().join("bus");
    let mut ring = ring();
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let kept = listener.try_clone().unwrap();
    let listening = ring.listen(listener.into());
    ring.accept(listening);
    let mut accepted = Vec::new();
    let peers: Vec<_> = (0..100).map(|_| UnixStream::connect(&path).unwrap()).collect();
    while accepted.len() < peers.len() {
        match next(&mut ring) {
            Completion::Accepted { listener, socket } if listener == listening => accepted.push(ring.adopt(socket)),
            other => panic!("{other:?} instead of a connection"),
        }
    }
    for (token, mut peer) in accepted.iter().zip(&peers) {
        ring.receive(*token);
        peer.write_all(b"hello").unwrap();
        assert_eq!(&next_data(&mut ring)[..], b"hello");
    }
    close(&mut ring, listening);
    // Another descriptor of the listener lives on, and so does the listener.
    let _peer = UnixStream::connect(&path).unwrap();
    kept.accept().unwrap();
}

#[test]
fn a_failed_accept_is_told() {
    let mut ring = ring();
    let (not_listening, _peer) = UnixStream::pair().unwrap();
    let token = ring.listen(not_listening.into());
    ring.accept(token);
    assert!(matches!(next(&mut ring), Completion::AcceptFailed { listener, .. } if listener == token));
    close(&mut ring, token);
}

#[test]
fn more_operations_than_the_queue_holds() {
    let mut ring = ring_with(RingSettings { entries: 4, connections: 1, ..SETTINGS });
    let sockets: Vec<_> = (0..100).map(|_| adopted(&mut ring)).collect();
    for (at, (token, _)) in sockets.iter().enumerate() {
        ring.send(*token, batch_of(&[at as u8]));
        ring.receive(*token);
    }
    for (_, peer) in &sockets {
        (&*peer).write_all(b"x").unwrap();
    }
    let (mut sent, mut received) = (0, 0);
    while sent < 100 || received < 100 {
        match next(&mut ring) {
            Completion::Sent { result, .. } => sent += usize::from(result.is_ok()),
            Completion::Received { received: Received::Data(_), .. } => received += 1,
            Completion::Received { token, received: Received::NoBuffers } => ring.receive(token),
            other => panic!("{other:?}"),
        }
    }
    for (at, (_, peer)) in sockets.iter().enumerate() {
        let mut byte = [255];
        (&*peer).read_exact(&mut byte).unwrap();
        assert_eq!(byte, [at as u8]);
    }
}

#[test]
fn many_rings_on_one_thread_leave_nothing_behind() {
    let open_descriptors = || std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
    let counted = thread::spawn(move || {
        // Other tests open descriptors at the same time.
        // SAFETY: a table of its own is a copy of that of the process; nobody else has descriptors of this thread.
        unsafe { unshare_unsafe(UnshareFlags::FILES) }.unwrap();
        let before = open_descriptors();
        for _ in 0..40 {
            let mut ring = ring();
            let (token, peer) = adopted(&mut ring);
            ring.receive(token);
            ring.send(token, batch_of(&vec![0; 1_000_000]));
            ring.wait(false, None).unwrap();
            drop(ring);
            drop(peer);
        }
        (before, open_descriptors())
    });
    let (before, after) = counted.join().unwrap();
    assert_eq!(after, before);
}
