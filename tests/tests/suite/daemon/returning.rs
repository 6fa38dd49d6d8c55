//! Coming back: a plugin that closes and registers again at once gets its name, whatever the relay has heard of the close; and
//! ends of connections are noticed although others keep them from being read.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use tests::pair::{Pair, answer};
use tests::peer::{Address, Pace, Peer, entry};
use tests::process::{Over, Process};
use tests::wire::{Kind, in_sink, in_stream, out_sink};

use super::{CROSS, address_of, on_cross, plugin};
use crate::{FLOODER, start_with};

/// With four rows this makes 400 beside a flood.
const RETURNS: usize = 100;

/// Messages without end to a reader that only drops them: all shards are busy, and hear of a close late.
fn flood(address: &Address, stop: &AtomicBool) {
    let mut reader = plugin(address, "flooded");
    let flooder = [&address.to_string(), "flooder", "flooded", "64"];
    let mut flooder = Process::spawn(Command::new(FLOODER).args(flooder).stdin(Stdio::piped()));
    let id = answer(&mut reader, &entry(b"flooder", 1));
    reader.send_now(&in_stream(id).credit(1 << 40));
    while !stop.load(Ordering::Relaxed) {
        reader.drop_some();
    }
    flooder.signal(Signal::KILL);
    flooder.wait();
}

#[test]
fn a_name_is_free_as_soon_as_its_holder_has_closed() {
    on_cross("", |daemon, address, row| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| flood(address, &stop));
            let _over = Over(&stop);
            let mut observer = plugin(address, "observer");
            observer.wait_listed(b"flooder");
            for round in 0..RETURNS {
                let mut peer = Peer::connect(address, Pace::Whole);
                assert!(peer.is_let_in(b"returning"), "round {round} of {row:?}: {}", daemon.log_tail());
                // Some leave more unread behind them than the relay has read at once.
                if round % 3 == 0 {
                    peer.pour(&in_stream(0).ping().bytes().repeat(500));
                }
            }
            observer.wait_gone(b"returning");
        });
    });
}

/// A name whose holder is there stays taken, also when it does not listen for the moment.
#[test]
fn a_name_stays_with_a_holder_that_is_there() {
    on_cross("", |_, address, _| {
        let mut holder = plugin(address, "held");
        for _ in 0..50 {
            assert!(!Peer::connect(address, Pace::Whole).is_let_in(b"held"));
        }
        holder.fence();
        drop(holder);
    });
}

/// What comes behind a registration that has to wait for its name is heard once it has it.
#[test]
fn what_comes_behind_a_contested_registration_is_heard() {
    on_cross("", |_, address, row| {
        for round in 0..50 {
            drop(plugin(address, "again"));
            let mut peer = Peer::connect(address, Pace::Whole);
            peer.give(Kind::InStream, 0, 1 << 20);
            peer.send_now(&in_sink(0).payload(b"\x05again\x00\x01"));
            // In the same breath.
            assert!(peer.query().iter().all(|(name, _)| name != b"again"), "round {round} of {row:?}");
        }
    });
}

/// Who is silent is pinged soon, and has time to answer on a busy machine; and nobody is slowed for what he says.
const HELD_UP: &str = "[bus]
registration_timeout_ms = 60000
heartbeat_interval_ms = 100
heartbeat_timeout_ms = 5000
end_credit_timeout_ms = 60000
[limits]
work_units_per_s = 10_000_000
work_burst_units = 10_000_000
";

/// A reader that stays alive by pings and takes nothing keeps its writer from being read. The death of the writer is
/// noticed, over TCP too, where the kernel does not tell of it behind so much that is unread: it resets the connection when
/// it is sent something.
#[test]
fn a_writer_that_dies_while_it_is_held_up_is_missed() {
    for row in CROSS {
        let daemon = start_with(row.shards, HELD_UP);
        let address = address_of(&daemon, row);
        let Pair { mut a, mut b, at_a, .. } = Pair::between(plugin(&address, "writer"), plugin(&address, "reader"), 1);
        let (over, left) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                // Until the observer has seen what it waits for, or has given up.
                while left.recv_timeout(Duration::from_millis(50)) == Err(mpsc::RecvTimeoutError::Timeout) {
                    b.pour(&in_stream(0).credit(1).bytes());
                }
            });
            let _over = over;
            a.pour_while_it_lasts(&out_sink(at_a).payload([]).bytes().repeat(10_000));
            drop(a);
            let mut observer = plugin(&address, "observer");
            observer.wait_gone(b"writer");
            observer.wait_listed(b"reader");
        });
    }
}
