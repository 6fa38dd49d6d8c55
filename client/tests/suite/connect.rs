//! Registration, queries, watches, pings of the relay.

use std::time::Duration;

use minbus::{Bus, BusError, ConnectError, ListError, Name, Plugin, Presence, SendError, Sender, WatchError};
use tokio::io::duplex;
use tokio::time::{Instant, advance, sleep};

use crate::peer::{Got, Peer, TOP_READ, TOP_WRITE, channel, connect, connect_through, dial, refused, settle, within};

fn plugin(name: &str, version: u16) -> Plugin {
    Plugin { name: Name::new(name).unwrap(), version }
}

#[tokio::test]
async fn the_registration_is_one_entry_and_credit_is_given_at_once() {
    let (connect, mut peer) = dial(1 << 16, Bus::builder().name("clock").version(0x0102));
    let Got::Credit(TOP_WRITE, amount) = peer.next_of_all().await else { panic!("no credit") };
    assert!(amount >= 1024, "enough for offers and a reason");
    assert_eq!(peer.register().await, b"\x05clock\x01\x02");
    let bus = within(connect).await.unwrap().unwrap();
    assert_eq!(bus.plugin(), &plugin("clock", 0x0102));
}

#[tokio::test]
async fn a_client_has_the_empty_name() {
    let (connect, mut peer) = dial(1 << 16, Bus::builder());
    assert_eq!(peer.register().await, b"\0\0\0");
    within(connect).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_registration_is_cut_to_single_bytes_of_credit() {
    let (connect, mut peer) = dial(1 << 16, Bus::builder().name("clock").version(1));
    assert!(matches!(peer.next_of_all().await, Got::Credit(TOP_WRITE, _)));
    for _ in 0..8 {
        assert!(!connect.is_finished());
        peer.grant(TOP_READ, 1);
        peer.flush().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(peer.registered().await, b"\x05clock\0\x01");
    within(connect).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_says_why() {
    let error = refused(Bus::builder().name("taken"), async |mut peer: Peer| {
        peer.grant(TOP_READ, 100);
        peer.next().await;
        peer.end(TOP_WRITE, b"the name is taken");
        peer.hang_up().await;
    })
    .await;
    assert!(matches!(&error, ConnectError::Refused(reason) if reason == "the name is taken"), "{error:?}");
}

#[tokio::test]
async fn a_relay_that_hangs_up_is_lost() {
    let error = refused(Bus::builder(), async |mut peer: Peer| {
        peer.next_of_all().await;
        peer.hang_up().await;
    })
    .await;
    assert!(matches!(error, ConnectError::Bus(BusError::Lost)), "{error:?}");
}

#[tokio::test]
async fn a_name_that_is_too_long_is_an_error_of_its_own() {
    let error = refused(Bus::builder().name([b'x'; 256]), async |_| {}).await;
    assert!(matches!(error, ConnectError::Name(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_does_not_answer_is_not_waited_for_for_ever() {
    let builder = Bus::builder().connect_timeout(Duration::from_secs(3));
    let (ours, _theirs) = duplex(1 << 16);
    let error = builder.connect_over(ours).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut(after) if after == Duration::from_secs(3)), "{error:?}");
}

#[tokio::test]
async fn all_of_it_survives_being_cut_to_single_bytes() {
    let (bus, mut peer) = connect_through(1, Bus::builder().name("me")).await;
    let list = tokio::spawn(async move { (bus.list().await, bus) });
    let query = peer.query().await;
    peer.wait_credit(query).await;
    peer.send(query, b"\x01a\0\x01\x01b\0\x02");
    peer.flush().await;
    let (plugins, _bus) = within(list).await.unwrap();
    assert_eq!(plugins.unwrap(), [plugin("a", 1), plugin("b", 2)]);
}

#[tokio::test]
async fn a_list_comes_in_parts_and_gets_credit_as_it_does() {
    let (bus, mut peer) = connect().await;
    let entries: Vec<u8> =
        (0..20_000u16).flat_map(|n| [&[5][..], format!("{n:05}").as_bytes(), &[0, 1]].concat()).collect();
    let list = tokio::spawn(async move { (bus.list().await, bus) });
    let query = peer.query().await;
    peer.send_as_credit_comes(query, &entries).await;
    peer.flush().await;
    let plugins = within(list).await.unwrap().0.unwrap();
    assert_eq!(plugins.len(), 20_000);
    assert_eq!(plugins[19_999], plugin("19999", 1));
}

#[tokio::test]
async fn a_declined_query_and_an_abandoned_one() {
    let (bus, mut peer) = connect().await;
    let other = bus.clone();
    let list = tokio::spawn(async move { other.list().await });
    let query = peer.query().await;
    peer.end(query, b"");
    peer.flush().await;
    assert!(matches!(within(list).await.unwrap(), Err(ListError::Declined)));
    let list = tokio::spawn(async move { bus.list().await });
    let query = peer.query().await;
    list.abort();
    assert_eq!(peer.next().await, Got::End(query, Vec::new()));
}

#[tokio::test]
async fn a_watch_tells_of_those_present_then_of_changes() {
    let (bus, mut peer) = connect().await;
    let open = tokio::spawn(async move { (bus.watch().await, bus) });
    let stream = peer.watch().await;
    peer.wait_credit(stream).await;
    for message in [&b"\x01a\0\x01"[..], b"\0\x01b\0\x02", b"\x01\x01a\0\x01", b"\x02\x01a\0\x01"] {
        peer.send(stream, message);
    }
    peer.flush().await;
    let (watch, _bus) = within(open).await.unwrap();
    let mut watch = watch.unwrap();
    assert_eq!(within(watch.next()).await.unwrap().unwrap(), Presence::Present(vec![plugin("a", 1)]));
    assert_eq!(within(watch.next()).await.unwrap().unwrap(), Presence::Joined(plugin("b", 2)));
    assert_eq!(within(watch.next()).await.unwrap().unwrap(), Presence::Left(plugin("a", 1)));
    assert!(matches!(within(watch.next()).await, Some(Err(BusError::Misbehaved(_)))));
    assert!(within(watch.next()).await.is_none());
    drop(watch);
    assert_eq!(peer.next().await, Got::End(stream, Vec::new()));
}

#[tokio::test]
async fn a_second_watch_is_refused() {
    let (bus, mut peer) = connect().await;
    let open = tokio::spawn(async move { bus.watch().await });
    let stream = peer.watch().await;
    peer.end(stream, b"");
    peer.flush().await;
    assert!(matches!(within(open).await.unwrap(), Err(WatchError::Refused)));
}

#[tokio::test]
async fn a_watch_that_ends_is_known_to_the_relay_before_the_next_begins() {
    let (bus, mut peer) = connect().await;
    let open = tokio::spawn({
        let bus = bus.clone();
        async move { bus.watch().await }
    });
    let first = peer.watch().await;
    peer.send(first, b"");
    peer.flush().await;
    drop(within(open).await.unwrap().unwrap());
    let _open = tokio::spawn(async move { bus.watch().await });
    assert_eq!(peer.next().await, Got::End(first, Vec::new()));
    peer.watch().await;
}

#[tokio::test]
async fn the_relay_is_pinged_and_its_pings_are_answered() {
    let (bus, mut peer) = connect().await;
    let ping = tokio::spawn(async move { (bus.ping().await, bus) });
    peer.answer_ping(TOP_READ).await;
    let (result, _bus) = within(ping).await.unwrap();
    result.unwrap();
    for half in [TOP_WRITE, TOP_READ] {
        peer.ping(half);
        assert_eq!(peer.next().await, Got::Pong(half));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_relay_is_asked_then_given_up() {
    let builder = Bus::builder().heartbeat(Duration::from_secs(10), Duration::from_secs(30));
    let (bus, mut peer) = connect_through(1 << 16, builder).await;
    for _ in 0..3 {
        peer.answer_ping(TOP_READ).await;
    }
    let start = Instant::now();
    let error = bus.closed().await;
    assert!(matches!(error, BusError::Silent(after) if after == Duration::from_secs(30)), "{error:?}");
    // It had the whole time, from the question on; and a word at the end.
    assert!(start.elapsed() >= Duration::from_secs(40));
    assert_eq!(peer.next().await, Got::Ping(TOP_READ));
    assert_eq!(peer.next().await, Got::End(TOP_READ, error.to_string().into()));
    assert_eq!(peer.next().await, Got::Eof);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_process_is_no_silence_of_the_relay() {
    let builder = Bus::builder().heartbeat(Duration::from_secs(10), Duration::from_secs(30));
    let (bus, mut peer) = connect_through(1 << 16, builder).await;
    for _ in 0..10 {
        // Before the question, and behind it. That the clock jumps is what a stopped process sees.
        advance(Duration::from_secs(3600)).await;
        assert_eq!(peer.next().await, Got::Ping(TOP_READ));
        for _ in 0..10 {
            advance(Duration::from_secs(3600)).await;
            settle().await;
        }
        // The relay was stopped, too, and takes its time.
        sleep(Duration::from_secs(29)).await;
        peer.pong(TOP_READ);
        peer.flush().await;
        settle().await;
    }
    let ping = tokio::spawn(async move { bus.ping().await });
    peer.answer_ping(TOP_READ).await;
    within(ping).await.unwrap().unwrap();
}

/// A bus whose socket is full, so that no question of its heartbeat gets to the relay.
async fn behind_a_full_socket() -> (Bus, Peer, Sender, oracle::audit::Half) {
    let builder = Bus::builder().heartbeat(Duration::from_secs(10), Duration::from_secs(30));
    let (bus, mut peer) = connect_through(64, builder).await;
    let (channel, keys) = channel(&bus, &mut peer).await;
    peer.grant(keys.reader, 1000);
    peer.flush().await;
    settle().await;
    let (mut sender, receiver) = channel.split();
    // The other half stays open.
    std::mem::forget(receiver);
    sender.send(vec![0; 1000]).await.unwrap();
    (bus, peer, sender, keys.reader)
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_reads_nothing_but_speaks_is_not_given_up() {
    let (_bus, mut peer, mut sender, reader) = behind_a_full_socket().await;
    // It is busy with others, and does not read this connection for an hour.
    for _ in 0..100 {
        sleep(Duration::from_secs(36)).await;
        peer.ping(TOP_WRITE);
        peer.flush().await;
    }
    assert_eq!(peer.next().await, Got::Message(reader, vec![0; 1000]));
    // The question has its time from when it was read on.
    while !matches!(peer.next().await, Got::Ping(TOP_READ)) {}
    sleep(Duration::from_secs(29)).await;
    peer.pong(TOP_READ);
    peer.flush().await;
    settle().await;
    within(sender.flush()).await.expect("nobody was given up");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_takes_a_little_now_and_then_is_not_given_up() {
    let (bus, mut peer, mut sender, _) = behind_a_full_socket().await;
    for _ in 0..10 {
        sleep(Duration::from_secs(29)).await;
        peer.take_some(64).await;
        settle().await;
    }
    let flushed = tokio::spawn(async move { sender.flush().await });
    settle().await;
    assert!(!flushed.is_finished(), "it has not taken all of it");
    drop(peer);
    assert!(matches!(bus.closed().await, BusError::Lost), "and was not given up before");
    within(flushed).await.unwrap().expect_err("the relay has left");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_neither_reads_nor_speaks_is_given_up() {
    let (bus, _peer, mut sender, _) = behind_a_full_socket().await;
    let start = Instant::now();
    let error = sender.flush().await.expect_err("no relay is waited for that is gone");
    assert!(matches!(error, SendError::Bus(BusError::Silent(_))), "{error:?}");
    // It had as much time as one that was asked.
    assert!(start.elapsed() >= Duration::from_secs(40));
    assert!(matches!(bus.closed().await, BusError::Silent(_)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_process_is_no_failure_to_answer_either() {
    // Without pings, which would come between.
    let builder = Bus::builder().heartbeat(Duration::MAX, Duration::MAX).connect_timeout(Duration::from_secs(10));
    let (connect, mut peer) = dial(1 << 16, builder);
    settle().await;
    advance(Duration::from_secs(3600)).await;
    settle().await;
    peer.register().await;
    let bus = within(connect).await.unwrap().unwrap();
    // Nor does closing give up what it had no time to send.
    let (mut sender, keys) = channel(&bus, &mut peer).await;
    sender.send("queued").await.unwrap();
    let close = tokio::spawn(async move { bus.close().await });
    settle().await;
    advance(Duration::from_secs(3600)).await;
    settle().await;
    peer.grant(keys.reader, 100);
    assert_eq!(peer.next().await, Got::Message(keys.reader, b"queued".to_vec()));
    assert_eq!(peer.next().await, Got::End(TOP_READ, Vec::new()));
    peer.hang_up().await;
    within(close).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_relay_that_breaks_the_rules_is_told() {
    let (bus, mut peer) = connect().await;
    // Credit on a sink that is not open.
    peer.say_raw(&[0x68, 99, 1]);
    let Got::End(TOP_READ, reason) = peer.next().await else { panic!("not the end") };
    assert_eq!(String::from_utf8(reason).unwrap(), within(bus.closed()).await.to_string());
    assert_eq!(peer.next().await, Got::Eof);
}

#[tokio::test]
async fn reasons_of_the_relay_do_no_harm_to_a_terminal() {
    let error = refused(Bus::builder().name("me"), async |mut peer: Peer| {
        peer.grant(TOP_READ, 100);
        peer.next().await;
        peer.end(TOP_WRITE, "no\u{1b}[2J\u{202e}\n".as_bytes());
        peer.hang_up().await;
    })
    .await;
    assert_eq!(error.to_string(), r"the bus refuses the registration: no\u{1b}[2J\u{202e}\n");
}

#[tokio::test]
async fn a_relay_that_breaks_the_rules_is_left_with_the_rule_it_broke() {
    let (ours, mut theirs) = duplex(1 << 16);
    let connect = tokio::spawn(Bus::builder().connect_over(ours));
    // Credit on a sink that is not open.
    tokio::io::AsyncWriteExt::write_all(&mut theirs, &[0x68, 5, 1]).await.unwrap();
    let error = within(connect).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::Bus(BusError::Violation(_))), "{error:?}");
}

#[tokio::test]
async fn what_the_relay_opens_beyond_connections_is_refused_without_harm() {
    let (bus, mut peer) = connect().await;
    let keys = peer.open_strange();
    for key in keys {
        assert_eq!(peer.next().await, Got::End(key, Vec::new()));
    }
    let ping = tokio::spawn(async move { bus.ping().await });
    peer.answer_ping(TOP_READ).await;
    within(ping).await.unwrap().unwrap();
}
