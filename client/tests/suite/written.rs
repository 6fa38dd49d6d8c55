//! What a method promises when it returns: that all is written to the socket, and not before it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use minbus::{Bus, Channel};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::JoinHandle;

use crate::peer::{Got, Peer, channel, connect_through, settle, within};

/// What may be in flight between the library and the relay, in bytes: much less than what is said.
const PIPE: usize = 64;

/// Something to say that does not fit into the pipe.
fn words() -> Bytes {
    Bytes::from(vec![b'w'; 1000])
}

/// Says something while the relay does not read, and gives `say`'s task when that has said so; its end is the promise.
async fn promise<F: Future<Output = ()> + Send + 'static>(say: impl FnOnce(Channel) -> F) {
    let (bus, mut peer) = connect_through(PIPE, Bus::builder().name("me")).await;
    let (channel, keys) = channel(&bus, &mut peer).await;
    peer.grant(keys.reader, 10_000);
    peer.grant(keys.writer, 1024);
    peer.flush().await;
    settle().await;
    let promise: JoinHandle<()> = tokio::spawn(say(channel));
    settle().await;
    assert!(!promise.is_finished(), "the bytes are still in the library");
    let reading = async move {
        while peer.next().await != Got::Eof {}
        peer.hang_up().await;
    };
    let saying = async {
        within(promise).await.expect("all of it is written now");
        bus.close().await
    };
    let (said, ()) = tokio::join!(saying, reading);
    said.expect("a clean end");
}

#[tokio::test]
async fn flushing_waits_for_the_socket() {
    promise(async |mut channel: Channel| {
        channel.send(words()).await.unwrap();
        channel.flush().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn closing_a_channel_waits_for_the_socket() {
    promise(async |mut channel: Channel| {
        channel.send(words()).await.unwrap();
        channel.close("bye").await.unwrap();
        channel.flush().await.expect("it was, before the close");
    })
    .await;
    promise(async |mut channel: Channel| channel.close(vec![b'c'; 1000]).await.unwrap()).await;
}

#[tokio::test]
async fn cancelling_waits_for_the_socket() {
    promise(async |mut channel: Channel| channel.cancel(vec![b'c'; 1000]).await.unwrap()).await;
}

#[tokio::test]
async fn a_message_in_pieces_is_flushed_as_far_as_it_was_given() {
    promise(async |mut channel: Channel| {
        let mut message = channel.send_in_pieces(2000).await.unwrap();
        message.send(words()).await.unwrap();
        std::mem::forget(message);
        channel.flush().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn streams_of_bytes_wait_for_the_socket() {
    promise(async |channel: Channel| {
        let mut stream = channel.into_stream();
        stream.write_all(&words()).await.unwrap();
        stream.flush().await.unwrap();
    })
    .await;
    promise(async |channel: Channel| {
        let mut stream = channel.into_stream();
        stream.write_all(&words()).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_acceptance_is_flushed_too() {
    let (bus, mut peer) = connect_through(PIPE, Bus::builder().name("me")).await;
    let keys = peer.offer(b"\x01a\0\0");
    // Enough of pings that their answers fill the pipe.
    for _ in 0..PIPE {
        peer.ping(keys.writer);
    }
    peer.flush().await;
    let mut channel = within(bus.incoming()).await.unwrap().accept();
    let flush = tokio::spawn(async move { channel.flush().await });
    settle().await;
    assert!(!flush.is_finished());
    while peer.next().await != Got::Message(keys.reader, Vec::new()) {}
    within(flush).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_has_left_is_flushed_whatever_comes_behind_it() {
    let (bus, mut peer) = connect_through(1 << 16, Bus::builder().name("me")).await;
    let (mut sent, keys) = channel(&bus, &mut peer).await;
    let (mut unsent, other) = channel(&bus, &mut peer).await;
    peer.grant(keys.reader, 100);
    peer.flush().await;
    settle().await;
    sent.send("words").await.unwrap();
    unsent.send("no credit for them").await.unwrap();
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"words".to_vec()));
    for keys in [keys, other] {
        peer.wait_credit(keys.reader).await;
        peer.end(keys.reader, b"\0");
    }
    peer.flush().await;
    settle().await;
    within(sent.flush()).await.expect("the relay has them");
    within(unsent.flush()).await.expect_err("they never left");
    peer.hang_up().await;
    within(bus.closed()).await;
    within(sent.flush()).await.expect("so it stays");
}

/// A stream that keeps what is written until it is flushed, as one that encrypts may.
struct Keeping<S>(S, Vec<u8>);

impl<S: AsyncRead + Unpin> AsyncRead for Keeping<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Keeping<S> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self(stream, kept) = &mut *self;
        while !kept.is_empty() {
            let len = ready!(Pin::new(&mut *stream).poll_write(cx, kept))?;
            kept.drain(..len);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_stream_that_keeps_what_is_written_is_flushed() {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let mut peer = Peer::new(theirs);
    let connect = tokio::spawn(Bus::builder().name("me").connect_over(Keeping(ours, Vec::new())));
    peer.register().await;
    within(connect).await.unwrap().unwrap();
}
