//! A program that ends right after its last words: what a method has promised by returning holds, each time, on both kinds
//! of runtime. The runtime stops while the handles are still there, so that nothing but the promise can have sent them.

use std::sync::atomic::{AtomicUsize, Ordering};

use minbus::{Bus, BusError, ByteStream, Channel, RecvError, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinSet, spawn_blocking};

use super::{Flavor, Place, rows};

/// How often each program says its last words on each row.
const TIMES: usize = 50;

/// How often a connection is closed on each row, and by how many at once.
const CLOSES: usize = 250;
const CLOSERS: usize = 5;

/// The last words of the `time`th program, from none to more than a page.
fn words(time: usize) -> Vec<u8> {
    (0..time * 200).map(|at| (at * 7 % 251) as u8).collect()
}

/// Runs a program on each row and kind of runtime, that many times, and lets `hear` hear the channel that it has opened.
fn each_time<R: Send + 'static>(
    say: impl AsyncFn(Bus, Channel, usize) -> R + Copy + Send + 'static,
    hear: impl AsyncFn(Channel, usize),
) {
    rows(async |place: Place| {
        let listener = place.register("listener").await;
        for flavor in Flavor::ALL {
            for time in 0..TIMES {
                let (builder, name) = (Bus::builder().address(place.address.clone()), place.name("listener"));
                let program = spawn_blocking(move || {
                    let runtime = flavor.runtime();
                    let kept = runtime.block_on(async {
                        let bus = builder.connect().await.expect("a client");
                        let channel = bus.open(name).await.expect("accepted");
                        say(bus, channel, time).await
                    });
                    // The end of `main`: tasks stop where they are.
                    drop(runtime);
                    drop(kept);
                });
                let hearing = async { hear(listener.incoming().await.expect("an offer").accept(), time).await };
                let (said, ()) = tokio::join!(program, hearing);
                said.unwrap_or_else(|error| panic!("{flavor:?}, {time}: {error}"));
            }
        }
    });
}

async fn hear_words(channel: &mut Channel, time: usize) {
    let heard = channel.recv().await;
    assert!(heard.as_ref().is_ok_and(|heard| heard.as_ref().is_some_and(|heard| *heard == words(time))), "{heard:?}");
}

async fn hear_bytes(channel: Channel, time: usize) -> std::io::Result<()> {
    let mut heard = Vec::new();
    let end = channel.into_stream().read_to_end(&mut heard).await;
    assert!(heard == words(time), "{} bytes of {}: {end:?}", heard.len(), words(time).len());
    end.map(drop)
}

#[test]
fn what_was_flushed_arrives() {
    each_time(
        async |bus, mut channel, time| {
            channel.send(words(time)).await.expect("open");
            channel.flush().await.expect("open");
            (bus, channel)
        },
        async |mut channel, time| {
            hear_words(&mut channel, time).await;
            let end = channel.recv().await;
            assert!(matches!(end, Err(RecvError::PeerLeft)), "{end:?}");
        },
    );
}

#[test]
fn what_was_closed_is_closed() {
    each_time(
        async |bus, mut channel, time| {
            channel.send(words(time)).await.expect("open");
            channel.close("bye").await.expect("open");
            (bus, channel)
        },
        async |mut channel, time| {
            hear_words(&mut channel, time).await;
            let end = channel.recv().await;
            assert!(matches!(end, Ok(None)), "{end:?}");
            assert_eq!(channel.close_payload().expect("it was closed"), "bye");
        },
    );
}

#[test]
fn what_was_cancelled_is_cancelled() {
    each_time(
        async |bus, mut channel, _| {
            channel.cancel("enough").await.expect("there is credit");
            (bus, channel)
        },
        async |channel, _| {
            let (mut sender, _receiver) = channel.split();
            let error = sender.over().await;
            assert!(matches!(&error, SendError::Cancelled { payload } if payload == "enough"), "{error:?}");
        },
    );
}

/// Writes the words into a stream.
async fn write(channel: Channel, time: usize) -> ByteStream {
    let mut stream = channel.into_stream();
    stream.write_all(&words(time)).await.expect("open");
    stream
}

#[test]
fn bytes_that_were_flushed_arrive() {
    each_time(
        async |bus, channel, time| {
            let mut stream = write(channel, time).await;
            stream.flush().await.expect("open");
            (bus, stream)
        },
        async |channel, time| {
            hear_bytes(channel, time).await.expect_err("the stream was not shut down");
        },
    );
}

#[test]
fn bytes_that_were_shut_down_are_whole() {
    each_time(
        async |bus, channel, time| {
            let mut stream = write(channel, time).await;
            stream.shutdown().await.expect("open");
            (bus, stream)
        },
        async |channel, time| hear_bytes(channel, time).await.expect("the stream was shut down"),
    );
}

#[test]
fn closing_the_bus_carries_out_all_that_was_begun() {
    each_time(
        async |bus, mut channel, time| {
            channel.send(words(time)).await.expect("open");
            drop(channel);
            bus.close().await.expect("a clean end");
            bus
        },
        async |mut channel, time| {
            hear_words(&mut channel, time).await;
            let end = channel.recv().await;
            assert!(matches!(end, Ok(None)), "{end:?}");
            let error = channel.split().0.over().await;
            assert!(matches!(&error, SendError::Cancelled { payload } if payload.is_empty()), "{error:?}");
        },
    );
}

#[test]
fn a_clean_close_is_no_loss() {
    rows(async |place: Place| {
        for flavor in Flavor::ALL {
            let address = place.address.clone();
            let lost = spawn_blocking(move || {
                let runtime = flavor.runtime();
                static LOST: AtomicUsize = AtomicUsize::new(0);
                runtime.block_on(async {
                    let mut closers = JoinSet::new();
                    for _ in 0..CLOSERS {
                        let address = address.clone();
                        closers.spawn(async move {
                            for _ in 0..CLOSES / CLOSERS {
                                let bus = Bus::builder().address(address.clone()).connect().await.expect("a client");
                                match bus.close().await {
                                    Ok(()) => {}
                                    Err(BusError::Lost) => drop(LOST.fetch_add(1, Ordering::Relaxed)),
                                    Err(error) => panic!("{error}"),
                                }
                            }
                        });
                    }
                    closers.join_all().await;
                });
                LOST.load(Ordering::Relaxed)
            });
            assert_eq!(lost.await.expect("closing does not fail"), 0, "of {CLOSES} on {flavor:?}");
        }
    });
}
