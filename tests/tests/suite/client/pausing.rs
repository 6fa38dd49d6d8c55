//! Processes that are stopped and go on: nobody is given up for a time in which nobody ran.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use minbus::{Address, Bus};
use rustix::process::Signal;
use tests::daemon::{Daemon, Options};
use tests::process::{Process, eventually};

use super::runtime;
use crate::{DAEMON, WORKER};

/// The heartbeat of the plugins, long enough for a busy machine, and a pause that is much longer than both together.
const INTERVAL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_millis(5_000);
const PAUSE: Duration = Duration::from_millis(7_500);

/// An idle plugin with a quick heartbeat.
fn idler(address: &str, name: &str) -> Process {
    let [interval, timeout] = [INTERVAL, TIMEOUT].map(|time| time.as_millis().to_string());
    let mut idler = Process::spawn(Command::new(WORKER).args([address, name, "idle", &interval, &timeout]));
    idler.wait_until("it is registered", |idler| idler.output().contains(&"ready".to_owned()).then_some(()));
    idler
}

/// The plugins that the relay knows.
fn connected(address: &Address) -> usize {
    runtime().block_on(async {
        let bus = Bus::builder().address(address.clone()).connect().await.expect("a client");
        bus.list().await.expect("a list").len()
    })
}

#[test]
fn nobody_is_given_up_for_a_pause_but_who_does_not_answer_is() {
    let mut daemon = Daemon::start(&Options { program: DAEMON.into(), shards: 1, ..Options::default() });
    let unix = Address::Unix(daemon.unix().to_owned());
    let addresses = [unix.to_string(), format!("tcp:{}", daemon.tcp())];
    let mut idlers = addresses.map(|address| idler(&address, &format!("over {}", &address[..4])));
    for with_relay in [false, true] {
        if with_relay {
            daemon.process().signal(Signal::STOP);
        }
        idlers.iter().for_each(|idler| idler.signal(Signal::STOP));
        sleep(PAUSE);
        idlers.iter().for_each(|idler| idler.signal(Signal::CONT));
        if with_relay {
            // As when a machine goes on: not all at once.
            sleep(INTERVAL);
            daemon.process().signal(Signal::CONT);
        }
        // Long enough for whoever counts the pause to draw conclusions.
        sleep(2 * INTERVAL);
        assert_eq!(connected(&unix), 2, "with the relay: {with_relay}");
        for idler in &idlers {
            assert_eq!(idler.output(), ["ready"], "with the relay: {with_relay}");
        }
    }
    // A relay that is stopped while they run is asked, and given up.
    daemon.process().signal(Signal::STOP);
    for idler in &mut idlers {
        let said = eventually("it gives up", || idler.output().get(1).cloned());
        assert!(said.contains("asked for a sign of life"), "{said}");
    }
    daemon.process().signal(Signal::CONT);
}
