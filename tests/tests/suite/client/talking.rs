//! Messages, bytes and pings between two plugins.

use minbus::Bus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Place, rows};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 251) as u8).collect()
}

#[test]
fn messages_of_all_sizes_come_back_as_they_were() {
    rows(async |place: Place| {
        let pair = place.pair().await;
        let mut echo = pair.b;
        let serving = tokio::spawn(async move {
            while let Some(message) = echo.recv().await.expect("the other side closes") {
                echo.send(message).await.expect("the other side reads");
            }
            echo.close(echo.close_payload().expect("it was closed")).await.expect("there is credit");
        });
        let sizes = [0, 1, 247, 248, 256, 65_535, 65_536, 1_000_000, 0, 5_000_000, 3];
        let (mut sender, mut receiver) = pair.a.split();
        let sending = async {
            for size in sizes {
                sender.send(pattern(size)).await.expect("the other side reads");
            }
            sender.close(pattern(1024)).await.expect("there is credit");
        };
        let receiving = async {
            for size in sizes {
                let message = receiver.recv().await.expect("open").expect("a message");
                assert!(message == pattern(size), "{size} bytes");
            }
            assert_eq!(receiver.recv().await.expect("closed in order"), None);
            assert_eq!(receiver.close_payload().expect("closed with a payload"), pattern(1024));
        };
        tokio::join!(sending, receiving);
        serving.await.expect("the echo does not panic");
    });
}

#[test]
fn many_small_messages_keep_their_order() {
    rows(async |place: Place| {
        let mut pair = place.pair().await;
        let sending = async {
            for n in 0..100_000u32 {
                pair.a.send(n.to_be_bytes().to_vec()).await.expect("the other side reads");
            }
        };
        let receiving = async {
            for n in 0..100_000u32 {
                assert_eq!(pair.b.recv().await.expect("open").expect("a message")[..], n.to_be_bytes());
            }
        };
        tokio::join!(sending, receiving);
    });
}

#[test]
fn a_message_beyond_all_memory_limits_passes_in_parts() {
    rows(async |place: Place| {
        let b = place.plugin("b").window(10_000).message_len_max(1000);
        let mut pair = place.pair_with(place.plugin("a"), b).await;
        const TOTAL: u64 = 20_000_000;
        let sending = async {
            let mut message = pair.a.send_in_pieces(TOTAL).await.expect("open");
            while message.left() > 0 {
                message.send(pattern(1 << 20)).await.expect("the other side reads");
            }
        };
        let receiving = async {
            let mut received = 0;
            loop {
                let part = pair.b.recv_part().await.expect("open").expect("a part");
                assert_eq!(part.total, TOTAL);
                received += part.bytes.len() as u64;
                if part.last {
                    break received;
                }
            }
        };
        assert_eq!(tokio::join!(sending, receiving).1, TOTAL);
    });
}

#[test]
fn bytes_stream_both_ways_at_once() {
    rows(async |place: Place| {
        let pair = place.pair().await;
        let data = pattern(8_000_000);
        let exchange = async |stream: minbus::ByteStream| {
            let (mut reader, mut writer) = stream.into_split();
            let mut got = Vec::new();
            let (written, read) = tokio::join!(
                async {
                    writer.write_all(&data).await?;
                    writer.shutdown().await
                },
                reader.read_to_end(&mut got)
            );
            written.expect("the other side reads");
            read.expect("the other side closes");
            assert!(got == data);
        };
        tokio::join!(exchange(pair.a.into_stream()), exchange(pair.b.into_stream()));
    });
}

#[test]
fn pings_reach_the_other_plugin_and_the_relay() {
    rows(async |place: Place| {
        let mut pair = place.pair().await;
        for _ in 0..100 {
            pair.a_bus.ping().await.expect("the relay answers");
            pair.a.ping().await.expect("b answers");
            pair.b.ping().await.expect("a answers");
        }
    });
}

#[test]
fn many_clients_use_one_plugin_at_once() {
    rows(async |place: Place| {
        let bus = place.register("echo").await;
        tokio::spawn(async move {
            while let Ok(incoming) = bus.incoming().await {
                let mut channel = incoming.accept();
                tokio::spawn(async move {
                    while let Ok(Some(message)) = channel.recv().await {
                        channel.send(message).await.expect("the client reads");
                    }
                });
            }
        });
        let clients: Vec<_> = (0..50usize)
            .map(|n| {
                let (builder, name) = (Bus::builder().address(place.address.clone()), place.name("echo"));
                tokio::spawn(async move {
                    let bus = builder.connect().await.expect("a client");
                    let mut channel = bus.open(name).await.expect("accepted");
                    for round in 0..20 {
                        let message = pattern(n * 1000 + round);
                        channel.send(message.clone()).await.expect("open");
                        assert!(channel.recv().await.expect("open").expect("a message") == message);
                    }
                    drop(channel);
                    bus.close().await.expect("all is sent");
                })
            })
            .collect();
        for client in clients {
            client.await.expect("the client does not panic");
        }
    });
}
