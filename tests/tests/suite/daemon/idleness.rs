//! "At idle it uses no CPU (no timers that tick without need)." Counted in times that a thread went to sleep: whoever
//! wakes must do that again.

use std::thread::sleep;
use std::time::Duration;

use testkit::proc;
use tests::pair::Pair;
use tests::process::eventually;

use super::ceiling::stalled;
use super::{plugin, start};

/// How long to look at it. Anything that ticks does so more than a few times.
const WATCHED: Duration = Duration::from_secs(2);
/// A straggler may still come.
const SWITCHES_MAX: u64 = 4;

/// Nothing wakes up in the process for a while.
fn assert_still(pid: u32, what: &str) {
    let switches = || proc::switches(pid).expect("it runs");
    let cpu_ns = || proc::cpu(pid).expect("it runs").used_ns;
    // What has been asked of it takes a moment.
    eventually(&format!("{what}: a moment of rest"), || {
        let before = switches();
        sleep(Duration::from_millis(50));
        (switches() == before).then_some(())
    });
    let before = (switches(), cpu_ns());
    sleep(WATCHED);
    let switches = switches() - before.0;
    assert!(switches <= SWITCHES_MAX, "{what}: {switches} wakes in {WATCHED:?}");
    // A thread that spins does not sleep at all.
    assert!(Duration::from_nanos(cpu_ns() - before.1) < WATCHED / 10, "{what}: it spins");
}

#[test]
fn with_nobody_there() {
    let daemon = start(2, "");
    assert_still(daemon.pid(), "nobody there");
}

#[test]
fn with_plugins_and_channels_that_are_silent() {
    let daemon = start(2, "");
    let address = |number: usize| daemon.addresses()[number % 2].clone();
    let _peers: Vec<_> = (0..50).map(|number| plugin(&address(number / 2), &format!("idle {number}"))).collect();
    let _pair = Pair::between(plugin(&address(0), "a"), plugin(&address(1), "b"), 1);
    assert_still(daemon.pid(), "silent plugins");
}

#[test]
fn with_shards_that_look_for_work_before_they_sleep() {
    let daemon = start(2, "[engine]\nspin_us = 10_000\n");
    for address in daemon.addresses() {
        let mut pair = Pair::between(plugin(&address, "a"), plugin(&address, "b"), 1);
        (0..100).for_each(|step| pair.exchange("there and back", step));
        assert_still(daemon.pid(), "nothing more to look for");
    }
}

#[test]
fn with_a_reader_that_does_not_read() {
    let daemon = start(2, "");
    for (number, address) in daemon.addresses().iter().enumerate() {
        let _stalled = stalled(address, number, 100_000);
        assert_still(daemon.pid(), "a stalled reader");
    }
}
