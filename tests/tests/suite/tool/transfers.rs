//! The standard input and output of two tools, joined by the bus.

use std::thread;

use super::bytes::{self, Sum};
use super::{Place, Transport};

/// Random bytes each way.
const LEN: u64 = 256 << 20;
const THERE: u64 = 1;
const BACK: u64 = 2;

#[test]
fn a_quarter_of_a_gigabyte_each_way_at_once() {
    let sums = thread::scope(|scope| {
        let there = scope.spawn(|| bytes::sum(THERE, LEN));
        (there.join().unwrap(), bytes::sum(BACK, LEN))
    });
    assert_ne!(sums.0, sums.1);
    for shards in [1, 2] {
        for transport in [Transport::Unix, Transport::Tcp] {
            assert_eq!(both_ways(&Place::with(transport, shards)), sums, "over {transport:?} with {shards} shards");
        }
    }
}

/// What has arrived at the plugin, and what at who has connected to it.
fn both_ways(place: &Place) -> (Sum, Sum) {
    let mut provide = place.provide("sink", []);
    let mut connect = place.tool(["connect", "sink"]);
    let (to_connect, to_provide) = (connect.stdin.take().unwrap(), provide.stdin.take().unwrap());
    let (from_connect, from_provide) = (connect.take_stdout(), provide.take_stdout());
    let sums = thread::scope(|scope| {
        scope.spawn(|| bytes::write(THERE, LEN, to_connect));
        scope.spawn(|| bytes::write(BACK, LEN, to_provide));
        let there = scope.spawn(|| bytes::sum_of(from_provide));
        let back = bytes::sum_of(from_connect);
        (there.join().unwrap(), back)
    });
    for ended in [connect.end(), provide.end()] {
        ended.expect_code(0);
        assert_eq!(ended.stderr, "");
    }
    sums
}

#[test]
fn the_end_of_one_way_leaves_the_other_open() {
    for place in Place::both() {
        let mut provide = place.provide("reply", []);
        let mut connect = place.tool(["connect", "reply"]);
        connect.write("question");
        connect.close_stdin();
        assert_eq!(provide.line(), "question");
        assert_eq!(provide.line(), "", "the end has come");
        provide.write("answer\n");
        assert_eq!(connect.line(), "answer", "before the other way has ended");
        provide.end_well();
        connect.end_well();
    }
}

#[test]
fn who_writes_what_nobody_wants_is_told() {
    let place = Place::new();
    let mut provide = place.provide("deaf", ["--", "sh", "-c", "exec <&-; echo deaf; exec sleep 100"]);
    let mut connect = place.tool(["connect", "deaf"]);
    assert_eq!(connect.line(), "deaf");
    // It returns, although the connection has not ended.
    bytes::write_without_end(connect.stdin.take().unwrap());
    connect.kill();
    assert!(provide.complaint().starts_with("minbus: deaf for "), "the process has ended");
}

#[test]
fn nothing_each_way_is_a_whole_transfer() {
    let place = Place::new();
    let mut provide = place.provide("mute", []);
    provide.close_stdin();
    let connect = place.tool(["connect", "mute"]).end_well();
    assert_eq!((connect.stdout.as_str(), connect.stderr.as_str()), ("", ""));
    provide.end_well();
}

#[test]
fn a_small_window_carries_as_well() {
    let len = 1 << 20;
    let place = Place::new();
    let mut provide = place.provide("narrow", ["--window", "1000"]);
    let mut connect = place.tool(["connect", "narrow", "--window", "1"]);
    let to_connect = connect.stdin.take().unwrap();
    let from_provide = provide.take_stdout();
    thread::scope(|scope| {
        scope.spawn(|| bytes::write(THERE, len, to_connect));
        assert_eq!(bytes::sum_of(from_provide), bytes::sum(THERE, len));
    });
    provide.write("few");
    provide.end_well();
    let ended = connect.end_well();
    assert_eq!(ended.stdout, "few");
}

#[test]
fn standard_input_is_for_the_first_connection_only() {
    let place = Place::new();
    let mut provide = place.provide("once", []);
    let mut first = place.tool(["connect", "once"]);
    first.write("first\n");
    assert_eq!(provide.line(), "first");
    place.tool(["connect", "once"]).end().expect_failure(4, "once denies the channel");
    first.write("still here\n");
    assert_eq!(provide.line(), "still here");
    provide.close_stdin();
    first.end_well();
    provide.end_well();
}
