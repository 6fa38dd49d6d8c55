//! Suspension: time in which the relay does not run is held against nobody, for nobody can be heard in it.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tests::audit::What;
use tests::bus::Row;

use tests::peer::{Pace, Peer};
use tests::wire::{Kind, in_stream};

use super::{CROSS, address_of, plugin};
use crate::start_with;

/// Patience that is shorter than the suspensions, and long for a busy machine while it runs.
const IMPATIENT: &str = "[bus]
registration_timeout_ms = 6000
heartbeat_interval_ms = 100
heartbeat_timeout_ms = 6000
";
/// Longer than any of them.
const SUSPENSION: Duration = Duration::from_millis(8_000);
/// With four rows this makes more than 50.
const PEERS: usize = 14;

#[test]
fn idle_plugins_outlive_a_suspension_of_the_relay() {
    thread::scope(|scope| {
        for row in CROSS {
            scope.spawn(move || outlive(row));
        }
    });
}

fn outlive(row: Row) {
    let daemon = start_with(row.shards, IMPATIENT);
    let address = address_of(&daemon, row);
    let mut idle: Vec<_> = (0..PEERS).map(|number| plugin(&address, &format!("idle {number}"))).collect();
    // They answer only while they are read, so they have been silent since they came: from here on there is time again.
    idle.iter_mut().for_each(Peer::fence);
    // Those have been pinged when the relay is suspended, and have not answered.
    let mut pinged = idle.split_off(PEERS / 2);
    pinged.iter_mut().for_each(|peer| peer.answers_pings = false);
    pinged.iter_mut().for_each(|peer| peer.wait_pings(peer.pings + 1));
    let mut unregistered: Vec<_> = (0..PEERS / 2).map(|_| Peer::connect(&address, Pace::Whole)).collect();
    unregistered.iter_mut().for_each(|peer| peer.send_now(&in_stream(0).credit(1 << 20)));
    idle.iter_mut().for_each(Peer::fence);
    daemon.signal(Signal::STOP);
    thread::sleep(SUSPENSION);
    daemon.signal(Signal::CONT);
    // As if they had been suspended, too, they take a moment to go on.
    thread::sleep(Duration::from_millis(100));
    for peer in idle.iter_mut().chain(&mut pinged) {
        peer.answers_pings = true;
        peer.send_now(&in_stream(0).ping());
        peer.expect(Kind::InSink, 0, &What::Pong);
    }
    for (number, peer) in unregistered.iter_mut().enumerate() {
        assert!(peer.is_let_in(format!("late {number}").as_bytes()), "{}", daemon.log_tail());
    }
    assert!(daemon.log().iter().all(|line| !line.contains("connection ended")), "{}", daemon.log_tail());
}

/// Those who are really gone are still found out afterwards.
#[test]
fn silence_counts_when_the_relay_runs_again() {
    let daemon = start_with(1, IMPATIENT);
    let mut silent = plugin(&daemon.addresses()[0], "silent");
    silent.answers_pings = false;
    daemon.signal(Signal::STOP);
    thread::sleep(SUSPENSION);
    daemon.signal(Signal::CONT);
    let why = silent.closed();
    assert!(why.as_ref().is_some_and(|why| why.contains("pings were not answered")), "{why:?}");
}
