//! How connections end, as each side sees it.

use minbus::{BusError, RecvError, SendError};

use super::{Place, rows, runtime};

/// The receive window of one side, in bytes.
const WINDOW: usize = 10_000;

#[test]
fn payloads_of_both_ends_arrive() {
    rows(async |place: Place| {
        let mut pair = place.pair().await;
        pair.a.send("last message").await.expect("open");
        pair.a.close("closed by a").await.expect("there is credit");
        assert_eq!(pair.b.recv().await.expect("open").expect("a message"), "last message");
        assert_eq!(pair.b.recv().await.expect("closed in order"), None);
        assert_eq!(pair.b.close_payload().expect("a payload"), "closed by a");
        pair.a.cancel(vec![b'c'; 1024]).await.expect("there is credit");
        let error = loop {
            if let Err(error) = pair.b.send(vec![0; 1000]).await {
                break error;
            }
            pair.b.flush().await.ok();
        };
        assert!(matches!(error, SendError::Cancelled { payload } if payload == vec![b'c'; 1024]));
    });
}

#[test]
fn a_full_window_does_not_hide_the_end() {
    rows(async |place: Place| {
        let b = place.plugin("b").window(WINDOW as u64);
        let mut pair = place.pair_with(place.plugin("a"), b).await;
        pair.a.send(vec![1; WINDOW]).await.expect("open");
        pair.a.flush().await.expect("the window is large enough");
        // No payload, but the relay has one byte of its own to say. It gets credit for that when this side reads.
        drop(pair.a);
        pair.a_bus.ping().await.expect("the relay has seen all of it");
        assert_eq!(pair.b.recv().await.expect("open").expect("a message").len(), WINDOW);
        let end = pair.b.recv().await;
        assert!(matches!(end, Ok(None)), "{end:?}");
    });
}

#[test]
fn dropping_the_bus_delivers_what_was_sent_and_closed() {
    rows(async |place: Place| {
        let mut pair = place.pair().await;
        pair.a.send(vec![7; 2_000_000]).await.expect("open");
        // There is no credit for all of it yet. What was begun goes on without its future and its handles.
        tokio::select! {
            biased;
            result = pair.a.close("done") => panic!("the window is smaller than the message: {result:?}"),
            () = std::future::ready(()) => {}
        }
        drop((pair.a, pair.a_bus));
        assert_eq!(pair.b.recv().await.expect("open").expect("a message").len(), 2_000_000);
        assert_eq!(pair.b.recv().await.expect("closed in order"), None);
        assert_eq!(pair.b.close_payload().expect("a payload"), "done");
    });
}

#[test]
fn a_plugin_that_vanishes_has_left() {
    rows(async |place: Place| {
        let b_bus = place.register("b").await;
        let (builder, name) = (place.plugin("a"), place.name("b"));
        // Its runtime stops in the middle of everything, as when a process is killed.
        let vanishing = std::thread::spawn(move || {
            let runtime = runtime();
            let left = runtime.block_on(async {
                let bus = builder.connect().await.expect("registered");
                let mut channel = bus.open(name).await.expect("accepted");
                channel.send("delivered").await.expect("open");
                channel.flush().await.expect("there is credit");
                bus.ping().await.expect("the relay has it");
                (bus, channel)
            });
            drop(runtime);
            drop(left);
        });
        let mut channel = b_bus.incoming().await.expect("an offer").accept();
        assert_eq!(channel.recv().await.expect("open").expect("a message"), "delivered");
        let end = channel.recv().await;
        assert!(matches!(end, Err(RecvError::PeerLeft)), "{end:?}");
        assert!(matches!(channel.send("x").await, Err(SendError::PeerLeft)));
        vanishing.join().expect("it does not panic");
    });
}

#[test]
fn closing_the_bus_ends_everything_of_it() {
    rows(async |place: Place| {
        let mut pair = place.pair().await;
        pair.a_bus.close().await.expect("all is sent");
        assert!(matches!(pair.a.recv().await, Err(RecvError::Bus(BusError::Closed))));
        assert!(matches!(pair.b.recv().await, Err(RecvError::PeerLeft)));
        assert!(
            matches!(pair.b_bus.list().await, Ok(plugins) if plugins.iter().all(|plugin| plugin.name != place.name("a")))
        );
    });
}
