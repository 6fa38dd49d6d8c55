//! Channels as streams of bytes.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::{Got, connected, within};

#[tokio::test]
async fn bytes_go_both_ways_whatever_the_messages() {
    let (_bus, mut peer, channel, keys) = connected().await;
    let mut stream = channel.into_stream();
    let task = tokio::spawn(async move {
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        stream.write_all(all.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    });
    for message in [&b"he"[..], b"", b"llo ", b"", b""] {
        peer.send(keys.writer, message);
    }
    peer.send_part(keys.writer, 5, b"wor");
    peer.send_part(keys.writer, 5, b"ld");
    peer.end(keys.writer, b"\0whatever");
    let mut got = Vec::new();
    for _ in 0..11 {
        peer.grant(keys.reader, 1);
        let Got::Message(key, bytes) = peer.next().await else { panic!("not a message") };
        assert_eq!((key, bytes.len()), (keys.reader, 1));
        got.extend(bytes);
    }
    assert_eq!(got, b"hello world");
    assert_eq!(peer.next().await, Got::End(keys.reader, Vec::new()));
    within(task).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_was_not_closed_does_not_look_complete() {
    for payload in [&b"\x01"[..], b""] {
        let (_bus, mut peer, channel, keys) = connected().await;
        peer.send(keys.writer, b"half of ");
        peer.end(keys.writer, payload);
        peer.flush().await;
        let mut all = Vec::new();
        let error = within(channel.into_stream().read_to_end(&mut all)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(all, b"half of ");
    }
}

#[tokio::test]
async fn writing_what_nobody_wants_is_a_broken_pipe() {
    let (_bus, mut peer, channel, keys) = connected().await;
    peer.wait_credit(keys.reader).await;
    peer.end(keys.reader, b"\0");
    peer.flush().await;
    let mut stream = channel.into_stream();
    let error = within(stream.write_all(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    within(stream.shutdown()).await.expect("there is nothing left to shut down");
}

#[tokio::test]
async fn much_data_passes_with_a_small_window_of_credit() {
    let (_bus, mut peer, channel, keys) = connected().await;
    let (mut reader, mut writer) = channel.into_stream().into_split();
    let data: Vec<u8> = (0..2_000_000u32).map(|n| (n % 253) as u8).collect();
    let writing = tokio::spawn({
        let data = data.clone();
        async move {
            writer.write_all(&data).await.unwrap();
            writer.shutdown().await.unwrap();
        }
    });
    let reading = tokio::spawn(async move {
        let mut got = Vec::new();
        while let Some(bytes) = reader.read_bytes().await.unwrap() {
            got.extend_from_slice(&bytes);
        }
        got
    });
    // Everything is sent back as it comes.
    peer.grant(keys.reader, 5000);
    let mut back = Vec::new();
    loop {
        match peer.next_of_all().await {
            Got::Message(_, bytes) => {
                peer.grant(keys.reader, bytes.len() as u64);
                back.extend_from_slice(&bytes);
            }
            Got::End(key, _) if key == keys.reader => break,
            _ => {}
        }
        let len = back.len().min(peer.credit(keys.writer) as usize);
        if len > 0 {
            let message: Vec<u8> = back.drain(..len).collect();
            peer.send(keys.writer, &message);
        }
    }
    while !back.is_empty() {
        let len = back.len().min(peer.credit(keys.writer) as usize);
        let message: Vec<u8> = back.drain(..len).collect();
        peer.send(keys.writer, &message);
        if !back.is_empty() {
            peer.next_of_all().await;
        }
    }
    peer.end(keys.writer, b"\0");
    peer.flush().await;
    within(writing).await.unwrap();
    assert!(within(reading).await.unwrap() == data);
}
