//! Processes that are stopped and go on: nobody is given up for a time in which nobody ran.

use std::process::Command;
use std::thread::{self, sleep};
use std::time::Duration;

use minbus::{Address, Bus};
use rustix::process::Signal;
use tests::daemon::Daemon;
use tests::process::{Process, eventually};

use super::runtime;
use crate::{WORKER, start_with};

/// The heartbeat of the plugins, long enough for a busy machine, and a pause that is much longer than both together.
const INTERVAL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_millis(5_000);
const PAUSE: Duration = Duration::from_millis(7_500);

/// Plugins of a process. With two shards and one, unix and TCP, this makes more than 50 for each kind of runtime.
const PLUGINS: usize = 13;

/// A process with idle plugins with a quick heartbeat, on a runtime of this kind.
fn idlers(address: &str, name: &str, kind: &str) -> Process {
    let numbers = [INTERVAL, TIMEOUT].map(|time| time.as_millis().to_string());
    let mut command = Command::new(WORKER);
    command.args([address, name, "idle"]).args(numbers).args([&PLUGINS.to_string(), kind]);
    let mut idlers = Process::spawn(&mut command);
    idlers.wait_until("all are registered", |idlers| idlers.output().contains(&"ready".to_owned()).then_some(()));
    idlers
}

/// The plugins that the relay knows.
fn connected(address: &Address) -> usize {
    runtime().block_on(async {
        let bus = Bus::builder().address(address.clone()).connect().await.expect("a client");
        bus.list().await.expect("a list").len()
    })
}

/// Processes of both kinds, on all ways to a relay.
fn all_idlers(daemon: &Daemon) -> Vec<Process> {
    let addresses = [Address::Unix(daemon.unix().to_owned()).to_string(), format!("tcp:{}", daemon.tcp())];
    let each = addresses.iter().flat_map(|address| ["one", "many"].map(|kind| (address, kind)));
    each.map(|(address, kind)| idlers(address, &format!("{kind} over {}", &address[..4]), kind)).collect()
}

#[test]
fn nobody_is_given_up_for_a_pause_but_who_does_not_answer_is() {
    thread::scope(|scope| {
        for shards in [1, 2] {
            scope.spawn(move || pause(shards));
        }
    });
}

fn pause(shards: usize) {
    let daemon = start_with(shards, "");
    let unix = Address::Unix(daemon.unix().to_owned());
    let mut idlers = all_idlers(&daemon);
    for with_relay in [false, true] {
        if with_relay {
            daemon.signal(Signal::STOP);
        }
        idlers.iter().for_each(|idlers| idlers.signal(Signal::STOP));
        sleep(PAUSE);
        idlers.iter().for_each(|idlers| idlers.signal(Signal::CONT));
        if with_relay {
            // As when a machine goes on: not all at once.
            sleep(INTERVAL);
            daemon.signal(Signal::CONT);
        }
        // Long enough for whoever counts the pause to draw conclusions.
        sleep(2 * INTERVAL);
        assert_eq!(connected(&unix), idlers.len() * PLUGINS, "with the relay: {with_relay}");
        for idlers in &idlers {
            assert_eq!(idlers.output(), ["ready"], "with the relay: {with_relay}");
        }
    }
    // A relay that is stopped while they run is asked, and given up.
    daemon.signal(Signal::STOP);
    for idlers in &mut idlers {
        let said = |idlers: &Process| idlers.output().get(1..=PLUGINS).map(<[String]>::to_vec);
        let said = eventually("all give it up", || said(idlers));
        assert!(said.iter().all(|said| said.contains("no sign of life")), "{said:?}");
    }
    daemon.signal(Signal::CONT);
}
