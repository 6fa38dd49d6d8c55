//! Last words: whatever the relay ends, its peer gets all that was on its way to it, and the reason, on unix sockets and TCP.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use tests::flood;
use tests::pair::Pair;
use tests::peer::{Pace, Peer};
use tests::wire::{Kind, chunk, in_sink, in_stream, out_sink};

use super::{CROSS, address_of, on_cross, plugin, start};
use crate::start_with;

/// With four rows this makes more than 50 of each.
const ROUNDS: u64 = 13;
const MESSAGES: u64 = 100;
const MESSAGE_BYTES: usize = 10_000;
/// Room for all of the messages in the relay.
const ROOMY: &str = "shutdown_timeout_ms = 60000\n[credit]\ncap_initial_bytes = \"4 MiB\"\n";
/// So long that a relay which closes at once has done it.
const MOMENT: Duration = Duration::from_millis(20);

/// A reader that gives credit as it reads, and begins to read only when the relay has nothing left: what it sends meanwhile is
/// never read by the relay, which is no reason to take back what it has sent.
fn read_as_it_ends(pair: &mut Pair) -> u64 {
    let at_b = pair.at_b;
    for number in 0.. {
        let Some(message) = pair.b.message_or_end(Kind::OutSink, at_b) else { return number };
        assert!(message == flood::message(number, MESSAGE_BYTES), "message {number} is another");
        pair.b.send_now(&in_stream(at_b).credit(MESSAGE_BYTES as u64));
    }
    unreachable!("the numbers do not end")
}

#[test]
fn a_stop_delivers_to_those_who_give_credit_as_they_read() {
    for (row, round) in CROSS.into_iter().flat_map(|row| (0..ROUNDS).map(move |round| (row, round))) {
        let mut daemon = start(row.shards, ROOMY);
        let address = address_of(&daemon, row);
        let mut pair = Pair::between(plugin(&address, "a"), plugin(&address, "b"), 1);
        pair.b.send_now(&in_stream(pair.at_b).credit(1 << 30));
        pair.a.wait_credit(Kind::OutSink, pair.at_a, MESSAGES * MESSAGE_BYTES as u64);
        for number in 0..MESSAGES {
            pair.a.send_now(&out_sink(pair.at_a).payload(flood::message(number, MESSAGE_BYTES)));
        }
        // All of it has been read when this is answered.
        pair.a.fence();
        daemon.signal(Signal::TERM);
        daemon.wait_logged("stopping");
        sleep(MOMENT);
        pair.b.send_now(&in_stream(pair.at_b).credit(1));
        assert_eq!(read_as_it_ends(&mut pair), MESSAGES, "round {round} of {row:?}");
        assert!(pair.b.closed().is_some_and(|why| why.contains("stopping")), "round {round} of {row:?}");
        drop(pair);
        daemon.expect_success();
    }
}

/// What a connection does to be ended, and what the reason says.
type Offence = (&'static str, fn(&mut Peer), &'static str);

const OFFENCES: [Offence; 3] = [
    ("breaks the protocol", |peer| peer.send_bytes(&in_sink(9).ping().bytes()), "not open"),
    ("takes a taken name", |peer| peer.register(b"taken", 1), "is taken"),
    (
        "registers with nonsense",
        |peer| peer.send_bytes(&in_sink(0).payload(b"\x09nonsense").bytes()),
        "not a registration",
    ),
];

/// More behind it than a relay reads at once, which stays unread: the reason comes all the same.
#[test]
fn every_reason_arrives_whatever_was_sent_behind_the_offence() {
    on_cross("", |_, address, _| {
        let _holder = plugin(address, "taken");
        let rest = chunk(Kind::InStream, 0).ping().bytes().repeat(100_000);
        for round in 0..ROUNDS {
            for (what, offend, reason) in OFFENCES {
                let mut peer = Peer::connect(address, Pace::Whole);
                peer.give(Kind::InStream, 0, 1 << 16);
                offend(&mut peer);
                peer.pour(&rest);
                let why = peer.closed();
                assert!(why.as_ref().is_some_and(|why| why.contains(reason)), "round {round}, {what}: {why:?}");
            }
        }
    });
}

/// Whoever has said goodbye finds the end of the connection, and no error, whatever it has said behind that.
#[test]
fn a_goodbye_ends_in_eof() {
    on_cross("", |_, address, row| {
        for round in 0..ROUNDS {
            let mut peer = plugin(address, "leaver");
            peer.pour(&[in_sink(0).payload([]).bytes(), vec![0; 300_000]].concat());
            let end = peer.read_to_end();
            assert!(end.is_ok(), "round {round} of {row:?}: {end:?}");
        }
    });
}

/// A writer that says as much as the relay takes while others keep it from being read, and goes. What its socket has taken
/// arrives, when it is pinged in vain and the reader comes back after a while.
#[test]
fn what_a_writer_said_while_it_was_held_up_is_read_when_it_is_gone() {
    let config = "[bus]\nheartbeat_interval_ms = 100\nheartbeat_timeout_ms = 60000\nregistration_timeout_ms = 60000\n\
         [limits]\nwork_units_per_s = 10_000_000\nwork_burst_units = 10_000_000\n";
    for shards in [1, 2] {
        let daemon = start_with(shards, config);
        let address = &daemon.addresses()[0];
        let mut pair = Pair::between(plugin(address, "writer"), plugin(address, "reader"), 1);
        let message = out_sink(pair.at_a).payload([]).bytes();
        let (block, mut taken) = (message.repeat(10_000), 0);
        loop {
            match pair.a.pour_some(&block[taken % message.len()..]) {
                0 => break,
                bytes => taken += bytes,
            }
        }
        let Pair { a, mut b, at_b, .. } = pair;
        drop(a);
        // Longer than one that could be read would be given.
        sleep(Duration::from_millis(2_500));
        let mut messages = 0;
        while b.message_or_end(Kind::OutSink, at_b).is_some() {
            messages += 1;
        }
        // The first one accepted the channel.
        assert_eq!(messages, taken / message.len(), "{}", daemon.log_tail());
    }
}
