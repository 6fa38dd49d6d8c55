//! A relay that stops: what it has accepted reaches plugins of the library, on both kinds of runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use minbus::{Address, Bus, Channel};
use tests::flood;
use tests::process::eventually;
use tokio::time::sleep;

use super::{Flavor, PATIENCE};
use crate::start_with;

/// With unix sockets and TCP, one shard and two, this makes more than 50 for each kind of runtime.
const ROUNDS: usize = 13;
const MESSAGE_BYTES: usize = 10_000;
/// Messages that the relay has accepted when it is to stop, at the least: more than the reader has read by then.
const ACCEPTED_MIN: usize = 5;
const WINDOW: u64 = 200_000;

/// What is accepted is delivered, for as long as it takes.
const PATIENT: &str = "[bus]\nshutdown_timeout_ms = 60000\n";

/// A plugin on a runtime of its own.
fn plugin(
    flavor: Flavor,
    address: &Address,
    name: &'static str,
    act: impl AsyncFnOnce(Bus) + Send + 'static,
) -> JoinHandle<()> {
    let builder = Bus::builder().address(address.clone()).name(name).window(WINDOW);
    spawn(move || flavor.runtime().block_on(async { act(builder.connect().await.expect("registered")).await }))
}

/// Reads slowly to the end: how many messages there were.
async fn read_slowly(mut channel: Channel) -> usize {
    for number in 0.. {
        let Ok(Some(message)) = channel.recv().await else { return number };
        assert!(message == flood::message(number as u64, MESSAGE_BYTES), "message {number} is another");
        sleep(Duration::from_millis(1)).await;
    }
    unreachable!("the numbers do not end")
}

/// Writes until the relay is gone, and notes what it has accepted: what stood before a question that it has answered.
async fn write(bus: Bus, accepted: &AtomicUsize) {
    let mut channel = bus.open("reader").await.expect("accepted");
    for number in 0.. {
        let sent = channel.send(flood::message(number, MESSAGE_BYTES)).await.is_ok() && channel.flush().await.is_ok();
        if !sent || bus.list().await.is_err() {
            return;
        }
        accepted.store(number as usize + 1, Ordering::SeqCst);
    }
}

fn stop_amid(flavor: Flavor, shards: usize, tcp: bool) {
    let daemon = start_with(shards, PATIENT);
    let address =
        if tcp { format!("tcp:{}", daemon.tcp()) } else { Address::Unix(daemon.unix().to_owned()).to_string() };
    let address: Address = address.parse().expect("an address");
    let accepted = Arc::new(AtomicUsize::new(0));
    let (there, is_there) = mpsc::channel();
    let (told, heard) = mpsc::channel();
    let reader = plugin(flavor, &address, "reader", async move |bus| {
        there.send(()).expect("it is waited for");
        let channel = bus.incoming().await.expect("a writer").accept();
        told.send(read_slowly(channel).await).expect("it is waited for");
    });
    is_there.recv_timeout(PATIENCE).expect("the reader is registered");
    let noted = accepted.clone();
    let writer = plugin(flavor, &address, "writer", async move |bus| write(bus, &noted).await);
    eventually("some messages are accepted", || (accepted.load(Ordering::SeqCst) >= ACCEPTED_MIN).then_some(()));
    daemon.stop();
    let (heard, accepted) =
        (heard.recv_timeout(PATIENCE).expect("the reader has counted"), accepted.load(Ordering::SeqCst));
    [reader, writer].into_iter().for_each(|plugin| plugin.join().expect("it does not panic"));
    assert!(heard >= accepted, "{heard} of {accepted} with {shards} shards, {flavor:?}, TCP: {tcp}");
}

#[test]
fn what_was_accepted_is_delivered_before_a_relay_stops() {
    for flavor in Flavor::ALL {
        for (shards, tcp) in [(1, false), (2, false), (1, true), (2, true)] {
            (0..ROUNDS).for_each(|_| stop_amid(flavor, shards, tcp));
        }
    }
}
