//! What dies without a word: a plugin in the middle of a transfer, and the daemon itself.

use std::process::Command;

use tests::flood;
use tests::pair::{Pair, answer};
use tests::peer::{Address, entry};
use tests::process::Process;
use tests::wire::{Kind, in_stream};

use super::{on_cross, plugin, start};
use crate::FLOODER;

/// Bytes of a message: so many that a killed writer leaves one unfinished.
const MESSAGE_BYTES: usize = 300_000;
/// Messages to be read before the writer is killed.
const MESSAGES: u64 = 20;

#[test]
fn a_plugin_that_is_killed_in_the_middle_of_a_transfer() {
    on_cross("", |_, address, _| {
        let mut reader = plugin(address, "reader");
        let mut bystanders = Pair::between(plugin(address, "one"), plugin(address, "other"), 1);
        let mut command = Command::new(FLOODER);
        command.args([&address.to_string(), "writer", "reader", &MESSAGE_BYTES.to_string()]);
        let mut writer = Process::spawn(&mut command);
        let at = answer(&mut reader, &entry(b"writer", 1));
        reader.send_now(&in_stream(at).credit(1 << 40));
        for number in 0..MESSAGES {
            assert!(reader.message(Kind::OutSink, at) == flood::message(number, MESSAGE_BYTES), "message {number}");
        }
        writer.signal(rustix::process::Signal::KILL);
        writer.wait();
        // What the daemon has accepted still comes, in order, and then the end.
        for number in MESSAGES.. {
            let Some(message) = reader.message_or_end(Kind::OutSink, at) else { break };
            assert!(message == flood::message(number, MESSAGE_BYTES), "message {number}");
        }
        reader.expect_end(Kind::OutSink, at, &[1]);
        reader.expect_end(Kind::OutStream, at, &[1]);
        // Its name is free again.
        reader.wait_gone(b"writer");
        let mut again = plugin(address, "writer");
        again.wait_listed(b"reader");
        bystanders.exchange("still here", 64);
        bystanders.quiet();
        reader.quiet();
    });
}

#[test]
fn a_daemon_that_is_killed_and_started_again() {
    for shards in [1, 2] {
        let mut daemon = start(shards, "");
        for round in 0..3 {
            let mut peers = Vec::new();
            for address in daemon.addresses() {
                let kind = if matches!(address, Address::Unix(_)) { "unix" } else { "tcp" };
                let (a, b) = (plugin(&address, &format!("{kind} a")), plugin(&address, &format!("{kind} b")));
                let mut pair = Pair::between(a, b, 1);
                pair.exchange("hello", 64);
                peers.extend([pair.a, pair.b]);
            }
            assert_eq!(peers[0].query().len(), 3, "round {round}: the names of the dead daemon are forgotten");
            daemon.kill();
            assert!(daemon.unix().exists(), "a killed daemon leaves its socket behind, or this test shows nothing");
            for peer in &mut peers {
                assert_eq!(peer.closed(), None);
            }
            daemon.start_again();
        }
    }
}
