//! How it stops: "no new connections, what is already accepted is delivered (bounded by `shutdown_timeout`), sockets
//! removed, exit 0. A second signal ends at once."

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use tests::bus::{Bus, PATIENT};
use tests::daemon::Daemon;
use tests::flood;
use tests::pair::Pair;
use tests::peer::{Address, Peer};
use tests::wire::{Kind, in_stream, out_sink};

use super::{CROSS, address_of, crossed, plugin, reachable, start};

/// So much may wait in the relay for one reader, and so little of it goes to the kernel.
const DEEP: &str = "[credit]
cap_initial_bytes = \"4 MiB\"
[socket]
unix_send_buffer_bytes = 8192
tcp_send_buffer_bytes = 8192
";
const PATIENTLY: &str = "shutdown_timeout_ms = 60000\n";
const MESSAGE_BYTES: usize = 10_000;

#[test]
fn each_of_these_signals_stops_it_with_status_0() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::XCPU] {
        for shards in [1, 2] {
            let mut daemon = start(shards, "");
            let mut peers = daemon.addresses().map(|address| plugin(&address, &format!("{address:?}")));
            daemon.end(signal);
            peers.iter_mut().for_each(|peer| {
                assert!(peer.closed().is_some_and(|why| why.contains("stopping")));
            });
        }
    }
}

/// A writer that has been given credit for much, and a reader that has not read any of it. Returns them, and the number
/// of messages that the daemon has accepted.
fn stalled(daemon: &Daemon, address: &Address) -> (Pair, u64) {
    let (a, b) = (plugin(address, "a"), plugin(address, "b"));
    let mut pair = Pair::between(a, b, 1);
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    pair.b.send_now(&in_stream(at_b).credit(1 << 30));
    pair.a.wait_credit(Kind::OutSink, at_a, 1 << 20);
    let mut messages = 0;
    while pair.a.credit(Kind::OutSink, at_a) >= MESSAGE_BYTES as u64 {
        pair.a.send_now(&out_sink(at_a).payload(flood::message(messages, MESSAGE_BYTES)));
        messages += 1;
    }
    // All of it has been read when this is answered.
    pair.a.fence();
    assert!(messages * MESSAGE_BYTES as u64 > 1 << 20, "too little waits in {}", daemon.log_tail());
    (pair, messages)
}

/// The messages that come before the connection is ended.
fn count_messages(reader: &mut Peer, id: u64, slowly: bool) -> u64 {
    for number in 0.. {
        let Some(message) = reader.message_or_end(Kind::OutSink, id) else { return number };
        assert!(message == flood::message(number, MESSAGE_BYTES), "message {number} is another");
        if slowly && number % 10 == 0 {
            sleep(Duration::from_millis(1));
        }
    }
    unreachable!("the numbers do not end")
}

#[test]
fn what_it_has_accepted_is_delivered() {
    for row in CROSS {
        let mut daemon = start(row.shards, &format!("{PATIENTLY}{DEEP}"));
        let address = address_of(&daemon, row);
        let (mut pair, messages) = stalled(&daemon, &address);
        daemon.signal(Signal::TERM);
        daemon.wait_logged("stopping");
        assert_eq!(count_messages(&mut pair.b, pair.at_b, true), messages);
        assert!(pair.b.closed().is_some_and(|why| why.contains("stopping")));
        daemon.expect_success();
    }
}

#[test]
fn a_reader_that_does_not_read_holds_it_up_no_longer_than_it_may() {
    let (mut daemon, [address, _]) = reachable(2, &format!("shutdown_timeout_ms = 100\n{DEEP}"));
    let (mut pair, messages) = stalled(&daemon, &address);
    daemon.end(Signal::TERM);
    let delivered = count_messages(&mut pair.b, pair.at_b, false);
    assert!(delivered < messages, "all {messages} went at once: nothing held it up");
}

/// "Then every plugin gets a top-level close that says so": also when there is one that holds everything up.
#[test]
fn others_are_told_though_one_does_not_read() {
    for shards in [1, 2] {
        let (mut daemon, [unix, tcp]) = reachable(shards, &format!("shutdown_timeout_ms = 100\n{DEEP}"));
        let mut others = [plugin(&unix, "by unix"), plugin(&tcp, "by tcp")];
        let (_pair, _) = stalled(&daemon, &unix);
        daemon.signal(Signal::TERM);
        for other in &mut others {
            assert!(other.closed().is_some_and(|why| why.contains("stopping")), "{}", daemon.log_tail());
        }
        daemon.expect_success();
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [(Signal::TERM, 128 + 15), (Signal::INT, 128 + 2), (Signal::QUIT, 128 + 3)] {
        let (mut daemon, [address, _]) = reachable(1, &format!("{PATIENTLY}{DEEP}"));
        let (_pair, _) = stalled(&daemon, &address);
        daemon.signal(signal);
        daemon.wait_logged("stopping");
        assert!(daemon.is_running());
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(code), "{}", daemon.log_tail());
        assert!(!daemon.unix().exists());
    }
}

#[test]
fn there_are_no_new_connections() {
    for shards in [1, 2] {
        let (mut daemon, [address, _]) = reachable(shards, &format!("{PATIENTLY}{DEEP}"));
        let (pair, _) = stalled(&daemon, &address);
        daemon.signal(Signal::TERM);
        daemon.wait_logged("stopping");
        // The listeners go away a moment after the line.
        let (unix, tcp) = (daemon.unix().to_owned(), daemon.tcp());
        daemon.wait_until("connections to be refused", |_| {
            (UnixStream::connect(&unix).is_err() && TcpStream::connect(tcp).is_err()).then_some(())
        });
        drop(pair);
        daemon.expect_success();
    }
}

#[test]
fn what_can_never_be_delivered_is_no_reason_to_wait() {
    crossed(&format!("{PATIENT}{PATIENTLY}"), |bus: &Bus| {
        let unregistered = bus.connection();
        let (mut a, b) = bus.next_two();
        let mut without_credit = bus.connection();
        without_credit.register_without_credit(&bus.name("c"), 1);
        a.wait_listed(&bus.name("c"));
        // An offer that nobody answers, and one that there is no credit to make.
        a.dial_with(1, b.name(), 10, 10);
        a.dial_with(2, without_credit.name(), 10, 10);
        a.fence();
        bus.keep(vec![unregistered, a, b, without_credit]);
    });
}
