//! Connections: asking for them, being asked, and being refused.

use minbus::{Bus, BusError, OpenError};
use tokio::task::yield_now;

use crate::peer::{Got, TOP_READ, channel, connect, connect_through, within};

#[tokio::test]
async fn opening_payloads_to_the_byte() {
    let (bus, mut peer) = connect().await;
    let _plain = tokio::spawn(bus.open("echo").into_future());
    assert_eq!(peer.opened().await.1, b"\0\x04echo");
    let _versioned = tokio::spawn(bus.open("echo").version_min(0x0102).into_future());
    assert_eq!(peer.opened().await.1, b"\x01\x04echo\x01\x02");
}

#[tokio::test]
async fn credit_for_messages_and_for_cancelling_comes_with_the_opening() {
    let (bus, mut peer) = connect().await;
    let _open = tokio::spawn(bus.open("b").window(10_000).into_future());
    let (keys, _) = peer.opened().await;
    peer.wait_credit(keys.reader).await;
    assert_eq!(peer.credit(keys.writer), 10_000);
    assert_eq!(peer.credit(keys.reader), 1025, "1024, and one for the relay's own byte");
}

#[tokio::test]
async fn each_refusal_has_its_error() {
    let (bus, mut peer) = connect().await;
    let mut check = async |payload: &[u8], expected: fn(&OpenError) -> bool| {
        let open = tokio::spawn(bus.open("b").into_future());
        let (keys, _) = peer.opened().await;
        peer.wait_credit(keys.reader).await;
        peer.end_both(keys, payload);
        peer.flush().await;
        let error = within(open).await.unwrap().unwrap_err();
        assert!(expected(&error), "{payload:?}: {error:?}");
    };
    check(b"", |error| matches!(error, OpenError::AlreadyOpen(name) if *name == "b")).await;
    check(b"\0", |error| matches!(error, OpenError::NoMemory(_))).await;
    check(b"\x01", |error| matches!(error, OpenError::Unavailable(_))).await;
    check(b"\x02", |error| matches!(error, OpenError::VersionTooOld(_))).await;
    check(b"\x07", |error| matches!(error, OpenError::Bus(BusError::Misbehaved(_)))).await;
}

#[tokio::test]
async fn the_order_of_the_two_ends_of_a_refusal_does_not_matter() {
    let (bus, mut peer) = connect().await;
    let open = tokio::spawn(bus.open("b").into_future());
    let (keys, _) = peer.opened().await;
    peer.end(keys.reader, b"");
    peer.flush().await;
    yield_now().await;
    peer.end(keys.writer, b"\x01");
    peer.flush().await;
    assert!(matches!(within(open).await.unwrap(), Err(OpenError::Unavailable(_))));
}

#[tokio::test]
async fn a_message_before_acceptance_is_the_relays_fault() {
    let (bus, mut peer) = connect().await;
    let open = tokio::spawn(bus.open("b").into_future());
    let (keys, _) = peer.opened().await;
    peer.send(keys.writer, b"!");
    peer.flush().await;
    assert!(matches!(within(open).await.unwrap(), Err(OpenError::Bus(BusError::Misbehaved(_)))));
}

#[tokio::test]
async fn a_name_that_is_too_long_never_reaches_the_relay() {
    let (bus, _peer) = connect().await;
    assert!(matches!(within(bus.open([b'x'; 256])).await, Err(OpenError::Name(_))));
}

#[tokio::test]
async fn opening_waits_for_top_level_credit() {
    let (bus, mut peer) = connect().await;
    let mut asked = Vec::new();
    // 10,000 bytes were given at registration, and it took 5 of them.
    for _ in 0..40 {
        asked.push(tokio::spawn(bus.open([b'x'; 255]).into_future()));
    }
    for _ in 0..38 {
        peer.opened().await;
    }
    for _ in 0..100 {
        yield_now().await;
    }
    for _ in 0..200 {
        peer.grant(TOP_READ, 1);
        peer.flush().await;
        yield_now().await;
    }
    assert_eq!(peer.opened().await.1.len(), 257);
}

#[tokio::test]
async fn dropping_an_opening_takes_it_back() {
    let (bus, mut peer) = connect().await;
    let open = tokio::spawn(bus.open("b").into_future());
    let (keys, _) = peer.opened().await;
    open.abort();
    peer.both_ended(keys).await;
}

#[tokio::test]
async fn an_offer_that_is_accepted() {
    let (bus, mut peer) = connect().await;
    let keys = peer.offer(b"\x05alice\0\x09");
    peer.ping(keys.writer);
    peer.send(keys.writer, b"");
    peer.flush().await;
    // Pings are answered and empty messages kept before anybody accepts.
    assert_eq!(peer.next().await, Got::Pong(keys.writer));
    let incoming = within(bus.incoming()).await.unwrap();
    assert_eq!((incoming.peer().name.as_bytes(), incoming.peer().version), (&b"alice"[..], 9));
    assert_eq!(peer.credit(keys.writer), 0);
    let mut channel = incoming.window(5000).accept();
    assert_eq!(peer.next().await, Got::Message(keys.reader, Vec::new()));
    peer.wait_credit(keys.reader).await;
    assert_eq!((peer.credit(keys.writer), peer.credit(keys.reader)), (5000, 1025));
    peer.send(keys.writer, b"hello");
    peer.flush().await;
    assert_eq!(within(channel.recv()).await.unwrap().unwrap(), "");
    assert_eq!(within(channel.recv()).await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn offers_are_denied_by_word_or_by_dropping_them() {
    let (bus, mut peer) = connect().await;
    for by_word in [true, false] {
        let keys = peer.offer(b"\0\0\0");
        peer.flush().await;
        let incoming = within(bus.incoming()).await.unwrap();
        if by_word {
            incoming.deny();
        } else {
            drop(incoming);
        }
        peer.both_ended(keys).await;
    }
}

#[tokio::test]
async fn an_offer_that_was_taken_back_is_never_seen() {
    let (bus, mut peer) = connect().await;
    let gone = peer.offer(b"\x01a\0\0");
    peer.end_both(gone, b"");
    peer.offer(b"\x01b\0\0");
    peer.flush().await;
    assert_eq!(within(bus.incoming()).await.unwrap().peer().name, "b");
}

#[tokio::test]
async fn offers_beyond_the_backlog_are_denied() {
    let (bus, mut peer) = connect_through(1 << 16, Bus::builder().name("me").backlog_max(1)).await;
    let taken_back = peer.offer(b"\x01a\0\0");
    peer.end_both(taken_back, b"");
    peer.flush().await;
    peer.offer(b"\x01b\0\0");
    let denied = peer.offer(b"\x01c\0\0");
    peer.both_ended(denied).await;
    assert_eq!(within(bus.incoming()).await.unwrap().peer().name, "b");
}

#[tokio::test]
async fn offers_that_nobody_understands_are_refused_without_harm() {
    let (bus, mut peer) = connect().await;
    for entry in [&b""[..], b"\x05", b"\x01a\0", b"\x01a\0\0!", &[b'x'; 400]] {
        let keys = peer.offer(entry);
        peer.both_ended(keys).await;
    }
    channel(&bus, &mut peer).await;
}

#[tokio::test]
async fn top_level_credit_for_offers_does_not_run_out() {
    let (bus, mut peer) = connect().await;
    for _ in 0..500 {
        let keys = peer.offer(&[&[200][..], &[b'n'; 200], &[0, 0]].concat());
        peer.flush().await;
        within(bus.incoming()).await.unwrap().deny();
        peer.both_ended(keys).await;
    }
}
