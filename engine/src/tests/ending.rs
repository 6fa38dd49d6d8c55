//! How sockets end: hang-ups that are noticed over unread bytes, and ends that lose nothing.

use std::io::{Read, Write};

use super::{adopted, adopted_tcp, assert_quiet, batch_of, close, next, next_received, ring};
use crate::driver::{Completion, Driver, Received};

#[test]
fn a_hang_up_is_noticed_over_unread_bytes() {
    let mut ring = ring();
    let (token, mut peer) = adopted(&mut ring);
    ring.await_hang_up(token);
    peer.write_all(b"unread").unwrap();
    assert_quiet(&mut ring);
    assert!(!ring.has_hung_up(token));
    drop(peer);
    assert!(ring.has_hung_up(token));
    assert!(matches!(next(&mut ring), Completion::HungUp { token: of } if of == token));
    // What was sent before is still there.
    ring.receive(token);
    assert!(matches!(next_received(&mut ring), (_, Received::Data(lease)) if *lease == *b"unread"));
    close(&mut ring, token);
}

#[test]
fn a_hang_up_that_was_before_is_noticed_and_one_that_never_comes_ends_with_the_socket() {
    let mut ring = ring();
    let (token, peer) = adopted(&mut ring);
    drop(peer);
    ring.await_hang_up(token);
    assert!(matches!(next(&mut ring), Completion::HungUp { .. }));
    let (token, _peer) = adopted(&mut ring);
    ring.await_hang_up(token);
    ring.wait(false, None).unwrap();
    close(&mut ring, token);
}

/// A TCP peer that sends while it is sent the last of much reads all of it, and then the end.
#[test]
fn a_finished_socket_loses_nothing() {
    const BYTES: usize = 100_000;
    let mut ring = ring();
    let (token, mut peer) = adopted_tcp(&mut ring);
    ring.send(token, batch_of(&[7; BYTES]));
    assert!(matches!(next(&mut ring), Completion::Sent { result: Ok(()), .. }));
    ring.finish(token);
    peer.write_all(b"late").unwrap();
    ring.receive(token);
    assert!(matches!(next_received(&mut ring), (_, Received::Data(lease)) if *lease == *b"late"));
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), BYTES);
    drop(peer);
    ring.receive(token);
    assert!(matches!(next_received(&mut ring), (_, Received::Eof)));
    assert_eq!(ring.untaken_bytes(token), 0);
}
