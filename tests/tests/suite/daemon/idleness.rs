//! "At idle it uses no CPU (no timers that tick without need)." Counted in times that a thread went to sleep: whoever
//! wakes must do that again.

use std::thread::sleep;
use std::time::Duration;

use testkit::proc;
use tests::pair::Pair;
use tests::process::eventually;
use tests::wire::{Kind, in_stream, out_sink};

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
        let (a, b) = (plugin(address, &format!("a {number}")), plugin(address, &format!("b {number}")));
        let mut pair = Pair::between(a, b, 1);
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        pair.b.send_now(&in_stream(at_b).credit(1 << 40));
        // Until the relay has taken all that it will.
        let mut sent = 0_u64;
        loop {
            pair.a.fence();
            let credit = usize::try_from(pair.a.credit(Kind::OutSink, at_a)).unwrap_or(usize::MAX);
            if credit == 0 && sent > 0 {
                break;
            }
            let size = credit.min(100_000);
            pair.a.send_now(&out_sink(at_a).payload(vec![7; size]));
            sent += size as u64;
        }
        assert_still(daemon.pid(), "a stalled reader");
    }
}
