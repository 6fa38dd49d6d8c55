//! Everything that waits ends when the connection does: each method that waits, in each state in which it waits for
//! something else, for each way in which a connection is lost.

use std::pin::Pin;
use std::time::Duration;

use minbus::{Bus, Channel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;

use crate::peer::{Keys, Peer, TOP_READ, TOP_WRITE, channel, connect_through, refused, settle, within};

/// A method that waits; it returns what it says in the end.
type Wait = fn(Bus, Channel) -> Pin<Box<dyn Future<Output = String> + Send>>;

/// Builds a [`Wait`] of a block.
macro_rules! wait {
    (|$bus:ident, $channel:ident| $body:expr) => {
        |$bus, $channel| {
            Box::pin(async move {
                #[allow(unused_mut)]
                let mut $channel = $channel;
                let _ = (&$bus, &$channel);
                format!("{:?}", $body)
            })
        }
    };
}

/// How the relay is before the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Relay {
    /// It reads, and gives no credit.
    GivesNone,
    /// It gives credit for all and reads nothing, so that the socket is full.
    ReadsNone,
}

/// How a connection is lost.
#[derive(Clone, Copy, Debug)]
enum Loss {
    HangUp,
    Reason,
    Violation,
    /// The relay does nothing any more, and hangs up neither.
    Silence,
    /// By another handle of the program.
    Close,
}

/// What is longer than any queue here.
const MUCH: [u8; 1000] = [b'm'; 1000];

/// What waits for credit, for the other plugin, or for the relay.
const WAITS: &[(&str, Wait)] = &[
    ("send", wait!(|bus, channel| (channel.send(&MUCH[..]).await.unwrap(), channel.send("x").await).1)),
    ("ready", wait!(|bus, channel| (channel.send(&MUCH[..]).await.unwrap(), channel.ready().await).1)),
    ("flush", wait!(|bus, channel| (channel.send(&MUCH[..]).await.unwrap(), channel.flush().await).1)),
    (
        "send_in_pieces",
        wait!(|bus, channel| {
            channel.send(&MUCH[..]).await.unwrap();
            channel.send_in_pieces(10).await.map(drop)
        }),
    ),
    (
        "a piece",
        wait!(|bus, channel| {
            let mut message = channel.send_in_pieces(10_000).await.unwrap();
            message.send(&MUCH[..]).await.unwrap();
            message.send(&MUCH[..]).await
        }),
    ),
    ("close with a payload", wait!(|bus, channel| channel.close(&MUCH[..]).await)),
    ("close", wait!(|bus, channel| (channel.send(&MUCH[..]).await.unwrap(), channel.close("").await).1)),
    (
        "flush, while a close waits",
        wait!(|bus, channel| {
            channel.send(&MUCH[..]).await.unwrap();
            begin(channel.close("")).await;
            channel.flush().await
        }),
    ),
    ("over", wait!(|bus, channel| channel.split().0.over().await)),
    (
        "over, while much is queued",
        wait!(|bus, channel| {
            let mut sender = channel.split().0;
            sender.send(&MUCH[..]).await.unwrap();
            sender.over().await
        }),
    ),
    (
        "over, while a close waits",
        wait!(|bus, channel| {
            let mut sender = channel.split().0;
            begin(sender.close(&MUCH[..])).await;
            sender.over().await
        }),
    ),
    (
        "over, while a close waits behind a message",
        wait!(|bus, channel| {
            let mut sender = channel.split().0;
            sender.send(&MUCH[..]).await.unwrap();
            begin(sender.close("")).await;
            sender.over().await
        }),
    ),
    ("ping of a sender", wait!(|bus, channel| channel.split().0.ping().await)),
    ("ping of a channel", wait!(|bus, channel| channel.ping().await)),
    (
        "ping, while a close waits",
        wait!(|bus, channel| {
            let mut sender = channel.split().0;
            begin(sender.close(&MUCH[..])).await;
            sender.ping().await
        }),
    ),
    ("recv", wait!(|bus, channel| channel.recv().await)),
    ("recv_part", wait!(|bus, channel| channel.recv_part().await)),
    ("a stream of messages", wait!(|bus, channel| channel.split().1.next().await)),
    (
        "recv, while a close waits",
        wait!(|bus, channel| (begin(channel.close(&MUCH[..])).await, channel.recv().await).1),
    ),
    ("cancel", wait!(|bus, channel| channel.cancel(&MUCH[..]).await)),
    (
        "ping, while a cancellation waits",
        wait!(|bus, channel| {
            let mut receiver = channel.split().1;
            begin(receiver.cancel(&MUCH[..])).await;
            receiver.ping().await
        }),
    ),
    ("reading bytes", wait!(|bus, channel| channel.into_stream().read(&mut [0; 10]).await)),
    ("read_bytes", wait!(|bus, channel| channel.into_stream().into_split().0.read_bytes().await)),
    ("writing bytes", wait!(|bus, channel| channel.into_stream().write(&MUCH).await)),
    ("list", wait!(|bus, channel| bus.list().await)),
    ("stats", wait!(|bus, channel| bus.stats().await.map(drop))),
    ("watch", wait!(|bus, channel| bus.watch().await.map(drop))),
    ("open", wait!(|bus, channel| bus.open("c").await.map(drop))),
    ("open, without credit for it", wait!(|bus, channel| without_top_credit(&bus).await)),
    (
        "stats, without credit for it",
        wait!(|bus, channel| (without_top_credit(&bus).await, bus.stats().await.map(drop)).0),
    ),
    ("incoming", wait!(|bus, channel| bus.incoming().await.map(drop))),
    ("ping of the relay", wait!(|bus, channel| bus.ping().await)),
    ("closed", wait!(|bus, channel| bus.closed().await)),
    ("Bus::close", wait!(|bus, channel| (channel.send(&MUCH[..]).await.unwrap(), bus.close().await).1)),
];

/// What waits for the socket to take more.
const WAITS_FOR_SOCKET: &[(&str, Wait)] = &[
    ("flush", wait!(|bus, channel| (channel.send(&MUCH[..]).await.unwrap(), channel.flush().await).1)),
    ("close", wait!(|bus, channel| channel.close(&MUCH[..]).await)),
    ("cancel", wait!(|bus, channel| channel.cancel(&MUCH[..]).await)),
    (
        "over, while a close waits",
        wait!(|bus, channel| {
            let mut sender = channel.split().0;
            sender.send(vec![0; 1 << 20]).await.unwrap();
            begin(sender.close("")).await;
            sender.over().await
        }),
    ),
    (
        "flushing bytes",
        wait!(|bus, channel| {
            let mut stream = channel.into_stream();
            stream.write_all(&MUCH).await.unwrap();
            stream.flush().await
        }),
    ),
    (
        "shutting down bytes",
        wait!(|bus, channel| {
            let mut stream = channel.into_stream();
            stream.write_all(&MUCH).await.unwrap();
            stream.shutdown().await
        }),
    ),
    ("writing bytes without room", wait!(|bus, channel| channel.into_stream().write_all(&[0; 1 << 20]).await)),
    ("Bus::close", wait!(|bus, channel| (channel.send(&MUCH[..]).await.unwrap(), bus.close().await).1)),
];

/// Begins something that goes on without its future.
async fn begin<F: IntoFuture>(future: F) {
    tokio::select! {
        biased;
        _ = future.into_future() => panic!("it has to wait"),
        () = std::future::ready(()) => {}
    }
}

/// Asks for so much that there is no top-level credit left, and returns what the last of them gets.
async fn without_top_credit(bus: &Bus) -> Result<(), minbus::OpenError> {
    let asked: Vec<_> = (0..50).map(|_| tokio::spawn(bus.open([b'x'; 255]).into_future())).collect();
    let mut last = Ok(());
    for asked in asked {
        last = asked.await.expect("asking does not panic").map(drop);
    }
    last
}

/// Waits while the relay is like that, loses the connection, and returns what was said then.
async fn lose(wait: Wait, relay: Relay, loss: Loss) -> String {
    let pipe = if relay == Relay::ReadsNone { 64 } else { 1 << 16 };
    let builder = Bus::builder().name("me").send_queue_max(1).heartbeat(Duration::from_secs(1), Duration::from_secs(5));
    let (bus, mut peer) = connect_through(pipe, builder).await;
    let (channel, Keys { writer, reader }) = channel(&bus, &mut peer).await;
    if relay == Relay::ReadsNone {
        peer.grant(reader, 1 << 20);
        peer.grant(writer, 1 << 20);
        peer.flush().await;
        settle().await;
    }
    let other = bus.clone();
    let waiting = tokio::spawn(wait(bus, channel));
    settle().await;
    assert!(!waiting.is_finished(), "it does not wait");
    let mut rest = None;
    match loss {
        Loss::HangUp => drop(peer),
        Loss::Reason => {
            peer.end(TOP_WRITE, b"stopping");
            peer.hang_up().await;
        }
        Loss::Violation => {
            // Credit on a sink that is not open.
            peer.say_raw(&[0x68, 99, 1]);
            peer.flush().await;
            rest = Some(peer);
        }
        Loss::Silence => rest = Some(peer),
        Loss::Close => {
            drop(tokio::spawn(async move { other.close().await }));
            rest = Some(peer);
        }
    }
    let said = within(waiting).await.expect("waiting does not panic");
    drop(rest);
    said
}

/// Every wait ends, and says why the connection is over where it was lost.
async fn all_end(waits: &[(&str, Wait)], relay: Relay) {
    for (name, wait) in waits {
        for (loss, why) in [
            (Loss::HangUp, "Lost"),
            (Loss::Reason, "stopping"),
            (Loss::Violation, "Violation"),
            (Loss::Silence, "Silent"),
            (Loss::Close, ""),
        ] {
            println!("{name}, {relay:?}, {loss:?}");
            // Closing has a time of its own, which is shorter.
            let why = if (*name, why) == ("Bus::close", "Silent") { "Unsent" } else { why };
            let said = lose(*wait, relay, loss).await;
            assert!(said.contains(why), "{name}, {relay:?}, {loss:?}: {said}");
        }
    }
}

// With the clock paused, what waits for ever is seen at once.
#[tokio::test(start_paused = true)]
async fn all_that_waits_for_others_ends_with_the_connection() {
    all_end(WAITS, Relay::GivesNone).await;
}

#[tokio::test(start_paused = true)]
async fn all_that_waits_for_the_socket_ends_with_the_connection() {
    all_end(WAITS_FOR_SOCKET, Relay::ReadsNone).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_the_connection() {
    let (bus, mut peer) = connect_through(1 << 16, Bus::builder()).await;
    let open = tokio::spawn(async move { (bus.watch().await, bus) });
    let stream = peer.watch().await;
    peer.send(stream, b"");
    peer.flush().await;
    let (watch, _bus) = within(open).await.unwrap();
    let mut watch = watch.unwrap();
    within(watch.next()).await.unwrap().unwrap();
    let next = tokio::spawn(async move { watch.next().await });
    settle().await;
    drop(peer);
    assert!(matches!(within(next).await.unwrap(), Some(Err(minbus::BusError::Lost))));
}

#[tokio::test(start_paused = true)]
async fn connecting_ends_with_the_connection() {
    for credit in [0, 100] {
        let error = refused(Bus::builder().name("me"), async |mut peer: Peer| {
            peer.grant(TOP_READ, credit);
            peer.flush().await;
            settle().await;
        })
        .await;
        assert!(matches!(error, minbus::ConnectError::Bus(minbus::BusError::Lost)), "{error:?}");
    }
}
