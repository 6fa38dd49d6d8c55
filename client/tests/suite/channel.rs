//! Messages on a channel: any size, both ways, within credit and memory; pings; and futures that are dropped.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use minbus::{Bus, Part, PingError, RecvError, SendError};
use tokio_stream::StreamExt;

use crate::peer::{Got, channel, connect_through, connected, settle, within};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn messages_go_out_against_credit_and_no_faster() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    channel.send("0123456789").await.unwrap();
    channel.send("").await.unwrap();
    channel.send("next").await.unwrap();
    for _ in 0..10 {
        peer.grant(keys.reader, 1);
    }
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"0123456789".to_vec()));
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"".to_vec()));
    peer.grant(keys.reader, 4);
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"next".to_vec()));
}

#[tokio::test]
async fn messages_larger_than_every_buffer_both_ways() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    let message = pattern(3_000_000);
    let task = tokio::spawn({
        let message = message.clone();
        async move {
            let got = channel.recv().await;
            channel.send(got.unwrap().unwrap()).await.unwrap();
            channel.send(message).await.unwrap();
            channel.flush().await.unwrap();
            channel
        }
    });
    peer.send_as_credit_comes(keys.writer, &message).await;
    for _ in 0..2 {
        peer.grant(keys.reader, 3_000_000);
        assert_eq!(peer.next().await, Got::Message(keys.reader, message.clone()));
    }
    within(task).await.unwrap();
}

#[tokio::test]
async fn credit_comes_back_only_as_the_program_takes() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    let window = peer.credit(keys.writer);
    assert_eq!(window, 256 * 1024);
    for _ in 0..64 {
        peer.send(keys.writer, &pattern(4096));
    }
    peer.flush().await;
    settle().await;
    assert_eq!(peer.credit(keys.writer), 0, "nothing was taken yet");
    let mut grants = 0;
    for _ in 0..64 {
        assert_eq!(within(channel.recv()).await.unwrap().unwrap(), pattern(4096));
    }
    while peer.credit(keys.writer) < window {
        let Got::Credit(key, amount) = peer.next_of_all().await else { panic!("not credit") };
        if key == keys.writer {
            assert!(amount >= window / 4, "credit is given back in portions that are worth it");
            grants += 1;
        }
    }
    assert!((1..=4).contains(&grants));
}

#[tokio::test]
async fn a_message_beyond_the_maximum_costs_no_memory_and_can_be_taken_in_parts() {
    let (bus, mut peer) = connect_through(1 << 16, Bus::builder().name("me").message_len_max(10_000)).await;
    let (mut channel, keys) = channel(&bus, &mut peer).await;
    let message = pattern(1_000_000);
    let task = tokio::spawn(async move {
        let error = channel.recv().await.unwrap_err();
        assert!(matches!(error, RecvError::TooLarge { len: 1_000_000, len_max: 10_000 }), "{error:?}");
        let mut got = Vec::new();
        loop {
            let Part { bytes, total, last } = channel.recv_part().await.unwrap().unwrap();
            assert_eq!(total, 1_000_000);
            got.extend_from_slice(&bytes);
            if last {
                return (got, channel.recv().await.unwrap());
            }
        }
    });
    let most = peer.send_as_credit_comes(keys.writer, &message).await;
    peer.send(keys.writer, b"");
    peer.flush().await;
    let (got, next) = within(task).await.unwrap();
    assert!(got == message && next == Some(Bytes::new()));
    assert!(most <= 256 * 1024);
}

#[tokio::test]
async fn a_writer_gets_to_know_that_its_message_is_too_large() {
    const REASON: &str = "a message of 1000000 bytes is too large: the reader's maximum, message_len_max, is 10000";
    for (has_credit, reads_on) in [(true, false), (false, false), (true, true)] {
        let (bus, mut peer) = connect_through(1 << 16, Bus::builder().name("me").message_len_max(10_000)).await;
        let (mut channel, keys) = channel(&bus, &mut peer).await;
        peer.grant(keys.writer, if has_credit { 1024 } else { 0 });
        peer.send_part(keys.writer, 1_000_000, b"begun");
        peer.flush().await;
        let error = within(channel.recv()).await.unwrap_err();
        assert_eq!(error.to_string(), REASON);
        if reads_on {
            within(channel.recv_part()).await.unwrap().unwrap();
        }
        let (_sender, receiver) = channel.split();
        drop(receiver);
        let reason = if has_credit && !reads_on { REASON } else { "" };
        assert_eq!(peer.next().await, Got::End(keys.writer, reason.into()));
    }
}

#[tokio::test]
async fn what_the_other_plugin_says_in_cancelling_is_in_the_error_and_harmless() {
    for (said, shown) in [("", "the channel"), ("no more\u{202e}\n", "the channel: no more\\u{202e}\\n")] {
        let (_bus, mut peer, channel, keys) = connected().await;
        peer.wait_credit(keys.reader).await;
        peer.end(keys.reader, format!("\0{said}").as_bytes());
        peer.flush().await;
        let (mut sender, _receiver) = channel.split();
        let error = within(sender.over()).await;
        assert_eq!(error.to_string(), format!("the other plugin has cancelled {shown}"));
    }
}

#[tokio::test]
async fn a_message_that_the_peer_gives_up_is_not_seen() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    peer.send(keys.writer, b"whole");
    peer.send_part(keys.writer, 100, b"not whole");
    peer.end(keys.writer, b"\0because");
    peer.flush().await;
    assert_eq!(within(channel.recv()).await.unwrap().unwrap(), "whole");
    assert_eq!(channel.close_payload(), Some("because".into()));
    assert_eq!(within(channel.recv()).await.unwrap(), None);
    assert_eq!(within(channel.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn a_message_of_which_parts_were_taken_is_truncated() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    peer.send_part(keys.writer, 100, b"part");
    peer.flush().await;
    assert_eq!(within(channel.recv_part()).await.unwrap().unwrap().bytes, "part");
    peer.end(keys.writer, b"\0");
    peer.flush().await;
    assert!(matches!(within(channel.recv_part()).await, Err(RecvError::Truncated)));
    assert!(matches!(within(channel.recv()).await, Err(RecvError::Truncated)));
}

#[tokio::test]
async fn a_message_in_pieces_leaves_as_it_is_given() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    peer.grant(keys.reader, 100);
    peer.flush().await;
    let mut message = channel.send_in_pieces(10).await.unwrap();
    assert_eq!(message.send("0123").await.unwrap(), 4);
    assert_eq!(message.left(), 6);
    assert_eq!(message.send("456789 and more").await.unwrap(), 6);
    assert_eq!(message.left(), 0);
    drop(message);
    channel.send_in_pieces(0).await.unwrap();
    channel.send("next").await.unwrap();
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"0123456789".to_vec()));
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"".to_vec()));
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"next".to_vec()));
}

#[tokio::test]
async fn a_message_in_pieces_that_is_dropped_takes_the_half_with_it() {
    let (bus, mut peer, mut channel, keys) = connected().await;
    peer.grant(keys.reader, 100);
    peer.flush().await;
    settle().await;
    let mut message = channel.send_in_pieces(10).await.unwrap();
    message.send("0123").await.unwrap();
    drop(message);
    assert!(matches!(channel.send("next").await, Err(SendError::Closed)));
    assert_eq!(peer.next().await, Got::End(keys.reader, Vec::new()));
    // Nor does leaking the guard confuse the half.
    let (mut channel, keys) = crate::peer::channel(&bus, &mut peer).await;
    std::mem::forget(channel.send_in_pieces(10).await.unwrap());
    assert!(matches!(channel.send("next").await, Err(SendError::Closed)));
    assert_eq!(peer.next().await, Got::End(keys.reader, Vec::new()));
}

#[tokio::test]
async fn sending_waits_when_enough_is_queued() {
    let (bus, mut peer) = connect_through(1 << 16, Bus::builder().name("me").send_queue_max(1000)).await;
    let (mut channel, keys) = channel(&bus, &mut peer).await;
    let mut sent = 0;
    loop {
        let mut send = pin!(channel.send(pattern(100)));
        match send.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result.unwrap(),
            Poll::Pending => break,
        }
        sent += 1;
    }
    assert_eq!(sent, 10);
    // That future was dropped: nothing of its message is ever seen.
    let task = tokio::spawn(async move {
        channel.ready().await.unwrap();
        channel.send("last").await.unwrap();
        channel.flush().await.unwrap();
    });
    settle().await;
    assert!(!task.is_finished());
    peer.grant(keys.reader, 10_000);
    for _ in 0..10 {
        assert_eq!(peer.next().await, Got::Message(keys.reader, pattern(100)));
    }
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"last".to_vec()));
    within(task).await.unwrap();
}

#[tokio::test]
async fn a_future_that_is_dropped_while_receiving_loses_nothing() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    let message = pattern(10_000);
    for part in message.chunks(100) {
        peer.send_part(keys.writer, message.len(), part);
        peer.flush().await;
        if part.as_ptr() != message[9900..].as_ptr() {
            let mut recv = pin!(channel.recv());
            assert!(recv.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        settle().await;
    }
    assert_eq!(within(channel.recv()).await.unwrap().unwrap(), message);
}

#[tokio::test]
async fn halves_work_in_two_tasks() {
    let (_bus, mut peer, channel, keys) = connected().await;
    let (mut sender, mut receiver) = channel.split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    let sending = tokio::spawn(async move {
        for n in 0..1000u32 {
            sender.send(n.to_be_bytes().to_vec()).await.unwrap();
        }
        sender
    });
    peer.grant(keys.reader, 1 << 20);
    for n in 0..1000u32 {
        assert_eq!(peer.next().await, Got::Message(keys.reader, n.to_be_bytes().to_vec()));
    }
    peer.send(keys.writer, b"done");
    peer.flush().await;
    assert_eq!(within(receiving).await.unwrap().unwrap().unwrap(), "done");
    within(sending).await.unwrap();
}

#[tokio::test]
async fn pings_go_to_the_other_plugin_and_its_pings_are_answered() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    peer.ping(keys.writer);
    peer.ping(keys.reader);
    assert_eq!(peer.next().await, Got::Pong(keys.writer));
    assert_eq!(peer.next().await, Got::Pong(keys.reader));
    let ping = tokio::spawn(async move { (channel.ping().await, channel) });
    peer.answer_ping(keys.writer).await;
    let (result, mut channel) = within(ping).await.unwrap();
    result.unwrap();
    // A ping that nobody waits for any more does not answer the next one.
    {
        let mut ping = pin!(channel.ping());
        assert!(ping.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(peer.next().await, Got::Ping(keys.writer));
    let ping = tokio::spawn(async move { (channel.ping().await, channel) });
    peer.answer_ping(keys.writer).await;
    settle().await;
    assert!(!ping.is_finished());
    peer.pong(keys.writer);
    peer.flush().await;
    let (result, mut channel) = within(ping).await.unwrap();
    result.unwrap();
    // When the half that is read is over, the other one carries the ping; when both are, nothing does.
    peer.end(keys.writer, b"\0");
    peer.flush().await;
    assert_eq!(within(channel.recv()).await.unwrap(), None);
    let ping = tokio::spawn(async move { (channel.ping().await, channel) });
    assert_eq!(peer.next().await, Got::Ping(keys.reader));
    peer.end(keys.reader, b"");
    peer.flush().await;
    assert!(matches!(within(ping).await.unwrap().0, Err(PingError::Ended)));
}

#[tokio::test]
async fn empty_messages_by_the_thousand_are_counted() {
    let (_bus, mut peer, mut channel, keys) = connected().await;
    for _ in 0..10_000 {
        peer.send(keys.writer, b"");
    }
    peer.send(keys.writer, b"x");
    peer.flush().await;
    for _ in 0..10_000 {
        assert_eq!(within(channel.recv()).await.unwrap().unwrap(), "");
    }
    assert_eq!(within(channel.recv()).await.unwrap().unwrap(), "x");
}

#[tokio::test]
async fn a_receiver_is_a_stream_of_messages() {
    let (_bus, mut peer, channel, keys) = connected().await;
    for message in [&b"a"[..], b"", b"b"] {
        peer.send(keys.writer, message);
    }
    peer.end(keys.writer, b"\x01");
    peer.flush().await;
    let (_sender, receiver) = channel.split();
    let got: Vec<_> = within(receiver.collect()).await;
    assert_eq!(got.iter().flatten().map(|message| &message[..]).collect::<Vec<_>>(), [&b"a"[..], b"", b"b"]);
    assert!(matches!(got[3..], [Err(RecvError::PeerLeft)]));
}
