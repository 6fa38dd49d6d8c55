//! The ends of halves, channels and connections, from both sides.

use std::time::Duration;

use minbus::{Bus, BusError, RecvError, SendError};
use tokio::task::yield_now;

use crate::peer::{Got, TOP_READ, TOP_WRITE, channel, connect, connect_through, connected, within};

#[tokio::test]
async fn a_closing_payload_waits_for_credit_behind_what_was_sent() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    channel.send("message").await.unwrap();
    let close = tokio::spawn(async move { (channel.close("bye").await, channel) });
    peer.grant(keys.reader, 7);
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"message".to_vec()));
    yield_now().await;
    assert!(!close.is_finished());
    peer.grant(keys.reader, 3);
    assert_eq!(peer.next().await, Got::End(keys.reader, b"bye".to_vec()));
    let (result, mut channel) = within(close).await.unwrap();
    result.unwrap();
    assert!(matches!(channel.send("more").await, Err(SendError::Closed)));
    channel.close("again").await.unwrap();
    // The other direction goes on.
    peer.send(keys.writer, b"still here");
    peer.flush().await;
    assert_eq!(within(channel.recv()).await.unwrap().unwrap(), "still here");
}

#[tokio::test]
async fn a_cancelling_payload_waits_for_credit_and_drops_what_was_not_taken() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    peer.send(keys.writer, b"unread");
    peer.flush().await;
    let cancel = tokio::spawn(async move { (channel.cancel("enough").await, channel) });
    yield_now().await;
    peer.send(keys.writer, b"too late");
    peer.flush().await;
    yield_now().await;
    assert!(!cancel.is_finished());
    peer.grant(keys.writer, 6);
    assert_eq!(peer.next().await, Got::End(keys.writer, b"enough".to_vec()));
    let (result, mut channel) = within(cancel).await.unwrap();
    result.unwrap();
    assert!(matches!(channel.recv().await, Err(RecvError::Cancelled)));
    peer.grant(keys.reader, 10);
    channel.send("fine").await.unwrap();
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"fine".to_vec()));
}

#[tokio::test]
async fn end_payloads_have_a_limit() {
    let (bus, mut peer) = connect().await;
    let (mut channel, _) = channel(&bus, &mut peer).await;
    assert!(matches!(channel.close(vec![0; 1025]).await, Err(SendError::PayloadTooLong(1025))));
    assert!(matches!(channel.cancel(vec![0; 1025]).await, Err(RecvError::PayloadTooLong(1025))));
}

#[tokio::test]
async fn what_the_other_side_says_at_the_end() {
    let (bus, mut peer) = connect().await;
    let mut ended = async |payload: &[u8]| {
        let (mut channel, keys) = channel(&bus, &mut peer).await;
        peer.wait_credit(keys.reader).await;
        peer.send(keys.writer, b"before");
        peer.end_both(keys, payload);
        peer.flush().await;
        assert_eq!(within(channel.recv()).await.unwrap().unwrap(), "before", "what came before the end is not lost");
        let received = within(channel.recv()).await;
        (received, channel.close_payload(), within(channel.send("x")).await.unwrap_err())
    };
    let (received, payload, error) = ended(b"\0reason").await;
    assert!(matches!(received, Ok(None)));
    assert_eq!(payload.unwrap(), "reason");
    assert!(matches!(error, SendError::Cancelled { payload } if payload == "reason"));
    let (received, payload, error) = ended(b"\x01").await;
    assert!(matches!(received, Err(RecvError::PeerLeft)) && payload.is_none());
    assert!(matches!(error, SendError::PeerLeft));
    let (received, payload, error) = ended(b"").await;
    assert!(matches!(received, Err(RecvError::Unexplained)) && payload.is_none());
    assert!(matches!(error, SendError::Unexplained));
}

#[tokio::test]
async fn somebody_who_waits_hears_of_the_end() {
    let (bus, mut peer) = connect_through(1 << 16, Bus::builder().name("me").send_queue_max(1)).await;
    let (channel, keys) = channel(&bus, &mut peer).await;
    let (mut sender, mut receiver) = channel.split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    let sending = tokio::spawn(async move {
        loop {
            if let Err(error) = sender.send("no credit for it").await {
                return error;
            }
        }
    });
    yield_now().await;
    peer.end(keys.writer, b"\x01");
    peer.end(keys.reader, b"\x01");
    peer.flush().await;
    assert!(matches!(within(receiving).await.unwrap(), Err(RecvError::PeerLeft)));
    assert!(matches!(within(sending).await.unwrap(), SendError::PeerLeft));
}

#[tokio::test]
async fn dropping_a_channel_ends_it_behind_what_was_sent() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    channel.send("last words").await.unwrap();
    drop(channel);
    assert_eq!(peer.next().await, Got::End(keys.writer, Vec::new()));
    peer.grant(keys.reader, 10);
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"last words".to_vec()));
    assert_eq!(peer.next().await, Got::End(keys.reader, Vec::new()));
}

#[tokio::test]
async fn ends_that_cross_harm_nobody() {
    let (bus, mut peer) = connect().await;
    for _ in 0..3 {
        let (channel, keys) = channel(&bus, &mut peer).await;
        peer.end(keys.writer, b"\x01");
        peer.end(keys.reader, b"");
        drop(channel);
        peer.flush().await;
    }
    channel(&bus, &mut peer).await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection_behind_what_was_sent() {
    let (bus, mut peer, mut channel, keys) = connected().await;
    drop(bus);
    channel.send("kept open by the channel").await.unwrap();
    drop(channel);
    assert_eq!(peer.next().await, Got::End(keys.writer, Vec::new()));
    peer.grant(keys.reader, 100);
    assert!(matches!(peer.next().await, Got::Message(key, _) if key == keys.reader));
    assert_eq!(peer.next().await, Got::End(keys.reader, Vec::new()));
    assert_eq!(peer.next().await, Got::End(TOP_READ, Vec::new()));
    assert_eq!(peer.next().await, Got::Eof);
}

#[tokio::test]
async fn closing_waits_until_all_is_sent_and_ends_all_handles() {
    let (bus, mut peer, channel, keys) = connected().await;
    let (mut sender, mut receiver) = channel.split();
    sender.send("queued").await.unwrap();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    let other = bus.clone();
    let close = tokio::spawn(async move { other.close().await });
    peer.grant(keys.reader, 100);
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"queued".to_vec()));
    assert_eq!(peer.next().await, Got::End(TOP_READ, Vec::new()));
    assert_eq!(peer.next().await, Got::Eof);
    assert!(!close.is_finished(), "the relay may still be reading");
    peer.hang_up().await;
    within(close).await.unwrap().unwrap();
    assert!(matches!(within(receiving).await.unwrap(), Err(RecvError::Bus(BusError::Closed))));
    assert!(matches!(sender.send("more").await, Err(SendError::Bus(BusError::Closed))));
    assert!(matches!(bus.list().await, Err(minbus::ListError::Bus(BusError::Closed))));
    bus.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_ever_for_credit() {
    let (bus, mut peer) = connect_through(1 << 16, Bus::builder().linger(Duration::from_secs(3))).await;
    let (mut channel, _keys) = channel(&bus, &mut peer).await;
    channel.send("never given credit").await.unwrap();
    let close = tokio::spawn(async move { bus.close().await });
    assert_eq!(peer.next().await, Got::End(TOP_READ, Vec::new()));
    assert_eq!(peer.next().await, Got::Eof);
    peer.hang_up().await;
    assert!(matches!(within(close).await.unwrap(), Err(BusError::Unsent)));
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_ever_for_a_relay_that_does_not_read() {
    let (bus, mut peer) = connect_through(64, Bus::builder().linger(Duration::from_secs(3))).await;
    let (mut channel, keys) = channel(&bus, &mut peer).await;
    peer.grant(keys.reader, 1000);
    peer.flush().await;
    channel.send(vec![1; 1000]).await.unwrap();
    // By now the connection's task is stuck in writing.
    yield_now().await;
    let closed = bus.close().await;
    assert!(matches!(closed, Err(BusError::Unsent)), "{closed:?}");
}

#[tokio::test]
async fn when_the_relay_goes_all_handles_know_what_it_said() {
    let (bus, mut peer, mut channel, keys) = connected().await;
    peer.send(keys.writer, b"delivered");
    peer.end(TOP_WRITE, b"shutting down");
    peer.hang_up().await;
    assert!(matches!(within(bus.closed()).await, BusError::Ended(reason) if reason == "shutting down"));
    assert_eq!(channel.recv().await.unwrap().unwrap(), "delivered");
    assert!(matches!(channel.recv().await, Err(RecvError::Bus(BusError::Ended(_)))));
    assert!(matches!(channel.send("x").await, Err(SendError::Bus(BusError::Ended(_)))));
    assert!(matches!(bus.incoming().await, Err(BusError::Ended(_))));
    assert!(matches!(bus.close().await, Err(BusError::Ended(_))));
}
