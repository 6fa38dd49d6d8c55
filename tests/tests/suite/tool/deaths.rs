//! Sudden deaths in mid-transfer: whoever is left ends by itself, and never claims success.

use rustix::process::Signal;

use super::running::under_way;
use super::{Place, Transport, bytes};

#[test]
fn a_plugin_killed_while_it_reads_breaks_the_transfer() {
    for (transport, shards) in [(Transport::Unix, 1), (Transport::Tcp, 2)] {
        let place = Place::with(transport, shards);
        let provide = place.provide("sink", []);
        under_way(place.tool(["connect", "sink"]), provide, |connect, provide, _output| {
            provide.kill();
            connect.wait().expect_failure(6, "");
        });
        works_again(&place);
    }
}

#[test]
fn a_plugin_killed_while_it_writes_breaks_the_transfer() {
    for (transport, shards) in [(Transport::Unix, 2), (Transport::Tcp, 1)] {
        let place = Place::with(transport, shards);
        let mut provide = place.provide("sink", []);
        let mut connect = place.tool(["connect", "sink"]);
        // The other way has ended in good order, which must not pass for all of it.
        connect.close_stdin();
        assert_eq!(provide.line(), "");
        under_way(provide, connect, |provide, connect, output| {
            provide.kill();
            bytes::sum_of(output);
            connect.wait().expect_failure(6, "");
        });
        works_again(&place);
    }
}

#[test]
fn a_plugin_of_processes_killed_breaks_all_its_transfers() {
    let place = Place::with(Transport::Unix, 2);
    let provide = place.provide("sink", ["--", "cat"]);
    let mut connects = [place.tool(["connect", "sink"]), place.tool(["connect", "sink"])];
    for connect in &mut connects {
        connect.write("hello\n");
        assert_eq!(connect.line(), "hello");
    }
    provide.kill();
    for connect in connects {
        connect.wait().expect_failure(6, "");
    }
    works_again(&place);
}

/// The name `sink` is free, and whoever takes it can be talked to.
fn works_again(place: &Place) {
    place.wait_free("sink");
    let provide = place.provide("sink", ["--", "cat"]);
    let mut connect = place.tool(["connect", "sink"]);
    connect.write("again");
    let ended = connect.end_well();
    assert_eq!(ended.stdout, "again");
    provide.stop(Signal::INT);
}

#[test]
fn a_tool_killed_while_it_writes_breaks_the_transfer() {
    let place = Place::new();
    let provide = place.provide("sink", []);
    under_way(place.tool(["connect", "sink"]), provide, |connect, provide, output| {
        connect.kill();
        bytes::sum_of(output);
        provide.wait().expect_failure(6, "");
    });
    works_again(&place);
}

#[test]
fn a_daemon_killed_ends_all_and_its_successor_serves_all() {
    let mut place = Place::new();
    for _ in 0..2 {
        let provide = place.tool(["provide", "sink"]);
        let mut watch = place.tool(["watch"]);
        assert!(watch.line().ends_with("sink  0"));
        let idle = place.tool(["provide", "idle", "--", "cat"]);
        assert!(watch.line().ends_with("idle  0"));
        under_way(place.tool(["connect", "sink"]), provide, |connect, provide, output| {
            place.daemon.kill();
            bytes::sum_of(output);
            for tool in [connect, provide, watch, idle] {
                tool.wait().expect_failure(1, "");
            }
        });
        place.tool(["list"]).end().expect_failure(3, &place.address);
        place.daemon.start_again();
    }
}
