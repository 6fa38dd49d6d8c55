//! The log: "Each connection that ends by the server's will is logged with peer, plugin and reason. Nothing is logged
//! per message."

use serde_json::Value;
use tests::pair::Pair;
use tests::peer::{Pace, Peer, entry};
use tests::wire::{in_sink, in_stream};

use super::{logging, plugin};

fn field<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}

#[test]
fn each_line_is_a_json_object_when_it_is_asked_for() {
    let mut daemon = logging("trace", "json", 2, "");
    let [unix, tcp] = daemon.addresses();
    let mut peer = plugin(&unix, "echo");
    peer.send_now(&in_sink(9).payload([]));
    peer.closed();
    drop(plugin(&tcp, "clock"));
    daemon.end(rustix::process::Signal::TERM);
    let lines: Vec<Value> = daemon
        .log_to_its_end()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        for name in ["timestamp", "level", "message"] {
            assert_ne!(field(line, name), "", "no {name} in {line}");
        }
    }
    for message in ["started", "listening", "connection ended", "stopped"] {
        assert!(lines.iter().any(|line| field(line, "message") == message), "no {message:?} in {lines:#?}");
    }
}

#[test]
fn a_connection_that_the_server_ends_is_logged_with_peer_plugin_and_reason() {
    // Longer than any scheduling of a busy machine lasts, so that only who says nothing is late.
    let mut daemon = logging("info", "json", 2, "bus.registration_timeout_ms = 2500\n");
    for (number, address) in daemon.addresses().iter().enumerate() {
        let name = format!("echo {number}");
        let mut violates = plugin(address, &name);
        let mut taken = Peer::connect(address, Pace::Whole);
        taken.send(&in_sink(0).payload(entry(name.as_bytes(), 1)));
        taken.closed();
        violates.send_now(&in_stream(9).ping());
        violates.closed();
        let mut silent = Peer::connect(address, Pace::Whole);
        silent.closed();
        for (peer, plugin, reason) in [
            (&violates, name.as_str(), "protocol violation"),
            (&taken, "(unregistered)", "is taken"),
            (&silent, "(unregistered)", "no registration in time"),
        ] {
            let label = peer.label();
            daemon.wait_until(reason, |process| {
                let lines = process.log();
                let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let mut ended = lines.filter(|line| field(line, "message") == "connection ended");
                let is_it = |line: &Value| field(line, "peer") == label && field(line, "plugin") == plugin;
                ended.any(|line| is_it(&line) && field(&line, "reason").contains(reason)).then_some(())
            });
        }
    }
    // One that leaves by itself is none of these.
    let before = daemon.log().len();
    for address in daemon.addresses() {
        let mut leaves = plugin(&address, "leaves");
        leaves.send(&in_sink(0).payload([]));
        leaves.closed();
        drop(plugin(&address, "drops"));
        plugin(&address, "sees").wait_gone(b"drops");
    }
    assert_eq!(daemon.log()[before..], Vec::<String>::new()[..]);
}

#[test]
fn nothing_is_logged_for_a_message() {
    /// A line for each of them, or for one in ten, would show.
    const MESSAGES: usize = 1_000;
    for log in ["info", "trace"] {
        let daemon = logging(log, "human", 2, "");
        let [unix, tcp] = daemon.addresses();
        let mut pair = Pair::between(plugin(&unix, "a"), plugin(&tcp, "b"), 1);
        let before = daemon.log().len();
        for _ in 0..MESSAGES {
            pair.exchange("tick", 64);
        }
        let lines = daemon.log().len() - before;
        assert!(
            lines <= if log == "info" { 0 } else { MESSAGES / 100 },
            "{lines} lines, the last:\n{}",
            daemon.log_tail()
        );
    }
}
