//! "A stream opened with an empty payload gets one message with those entries (possibly empty), then `0x00 entry` for each
//! plugin that connects and `0x01 entry` for each that leaves."

use Kind::{InSink, OutStream};
use tests::audit::What;
use tests::bus::Bus;
use tests::peer::{Peer, entries};
use tests::wire::{Kind, out_sink, out_stream};

use super::{alone, rows};

/// The id of the watch in these tests.
const ID: u64 = 4;
const PLENTY: u64 = 1 << 20;

/// What a watcher is told of one plugin: whether it has come, its name, its version.
type Change = (bool, Vec<u8>, u16);

fn change(message: &[u8]) -> Change {
    let (what, rest) = message.split_first().expect("an event is not empty");
    let [(name, version)] = entries(rest).try_into().expect("one entry for each event");
    assert!(*what <= 1, "an event of kind {what}");
    (*what == 0, name, version)
}

/// The next event that speaks of a plugin of this run.
fn next_change(watcher: &mut Peer, bus: &Bus) -> Change {
    loop {
        let change = change(&watcher.message(InSink, ID));
        if bus.owns(&change.1) {
            return change;
        }
    }
}

/// Starts a watch: the entries of this run that it begins with.
fn start(watcher: &mut Peer, bus: &Bus) -> Vec<(Vec<u8>, u16)> {
    watcher.send(&out_stream(ID).payload([]).credit(PLENTY));
    bus.own(entries(&watcher.message(InSink, ID)))
}

fn stop(watcher: &mut Peer) {
    watcher.send(&out_stream(ID).end([]));
    while watcher.next_on(InSink, ID) != What::AckEnd {}
}

/// "One message with those entries": all plugins but the asker.
#[test]
fn begins_with_the_listing() {
    rows(|bus| {
        let (mut a, b) = bus.two("a", "b");
        assert_eq!(start(&mut a, bus), [(b.name().to_vec(), 1)]);
    });
}

/// "Possibly empty": then the message needs no credit.
#[test]
fn begins_with_an_empty_message() {
    alone(|bus| {
        let mut only = bus.plugin("only");
        only.send(&out_stream(ID).payload([]));
        only.expect(InSink, ID, &What::Message(Vec::new()));
        only.quiet();
    });
}

/// "`0x00 entry` for each plugin that connects and `0x01 entry` for each that leaves." With the version it came with.
#[test]
fn tells_who_comes_and_goes() {
    rows(|bus| {
        let mut watcher = bus.plugin("watcher");
        assert_eq!(start(&mut watcher, bus), []);
        for version in [7, 8] {
            let plugin = bus.plugin_of_version("clock", version);
            assert_eq!(next_change(&mut watcher, bus), (true, bus.name("clock"), version));
            drop(plugin);
            assert_eq!(next_change(&mut watcher, bus), (false, bus.name("clock"), version));
        }
    });
}

/// All watchers are told, the one that comes later just of what comes after its listing.
#[test]
fn several_watchers() {
    rows(|bus| {
        let (mut first, mut second) = bus.two("first", "second");
        assert_eq!(start(&mut first, bus), [(second.name().to_vec(), 1)]);
        assert_eq!(start(&mut second, bus), [(first.name().to_vec(), 1)]);
        let printer = bus.plugin("printer");
        for watcher in [&mut first, &mut second] {
            assert_eq!(next_change(watcher, bus), (true, bus.name("printer"), 1));
        }
        let mut third = bus.client();
        third.wait_listed(printer.name());
        assert_eq!(start(&mut third, bus).len(), 3);
        drop(printer);
        for watcher in [&mut first, &mut second, &mut third] {
            assert_eq!(next_change(watcher, bus), (false, bus.name("printer"), 1));
        }
        drop(second);
        for watcher in [&mut first, &mut third] {
            assert_eq!(next_change(watcher, bus), (false, bus.name("second"), 1));
        }
    });
}

/// "Only one at a time for each plugin: a second is closed at once with an empty payload."
#[test]
fn a_second_watch_is_closed() {
    rows(|bus| {
        let mut watcher = bus.plugin("watcher");
        start(&mut watcher, bus);
        for _ in 0..2 {
            watcher.send(&out_stream(ID + 1).payload([]).credit(PLENTY));
            watcher.expect_end(InSink, ID + 1, &[]);
        }
        let clock = bus.plugin("clock");
        assert_eq!(next_change(&mut watcher, bus), (true, clock.name().to_vec(), 1));
        let mut other = bus.client();
        other.wait_listed(clock.name());
        assert_eq!(start(&mut other, bus).len(), 2, "each plugin has a watch of its own");
    });
}

/// After a cancel the plugin may watch again, under any id, even in the same write.
#[test]
fn cancelled_and_started_again() {
    rows(|bus| {
        let (mut watcher, other) = bus.two("watcher", "other");
        for _ in 0..2 {
            assert_eq!(start(&mut watcher, bus), [(other.name().to_vec(), 1)]);
            stop(&mut watcher);
        }
        watcher.send_all(&[
            out_stream(ID).payload([]).credit(PLENTY),
            out_stream(ID).end([]),
            out_stream(ID + 1).payload([]).credit(PLENTY),
        ]);
        let again = entries(&watcher.message(InSink, ID + 1));
        assert_eq!(bus.own(again), [(other.name().to_vec(), 1)]);
    });
}

/// "Anything else: a stream closed, with an empty payload."
#[test]
fn a_stream_with_a_payload_is_closed() {
    rows(|bus| {
        let mut watcher = bus.plugin("watcher");
        start(&mut watcher, bus);
        for payload in [&b"\0"[..], b"watch", &[0xFF; 300]] {
            watcher.send(&out_stream(1).payload(payload).credit(PLENTY));
            watcher.expect_end(InSink, 1, &[]);
        }
        watcher.send(&out_sink(1).payload([]));
        watcher.expect_end(Kind::InStream, 1, &[]);
    });
}

/// "Credit must be accepted in any portion down to single bytes": the listing and the events, byte by byte.
#[test]
fn byte_by_byte() {
    alone(|bus| {
        let (mut watcher, other) = bus.two("watcher", "other");
        watcher.send(&out_stream(ID).payload([]));
        let listing = entries(&watcher.pull(OutStream, ID, 1));
        assert_eq!(listing, [(other.name().to_vec(), 1)]);
        let clock = bus.plugin("clock");
        assert_eq!(change(&watcher.pull(OutStream, ID, 1)), (true, clock.name().to_vec(), 1));
        drop(clock);
        assert_eq!(change(&watcher.pull(OutStream, ID, 1)), (false, bus.name("clock"), 1));
        watcher.quiet();
    });
}

/// "While the watcher has no credit the server keeps what it owes bounded: it may drop a whole connect+leave pair of
/// which it has told nothing, and keeps at most leave+connect for each name."
#[test]
fn a_stalled_watcher_is_told_the_difference() {
    alone(|bus| {
        let mut watcher = bus.plugin("watcher");
        let mut observer = bus.client();
        let mut present = Some(bus.plugin_of_version("present", 1));
        let leaver = bus.plugin("leaver");
        observer.wait_listed(leaver.name());
        observer.wait_listed(&bus.name("present"));
        watcher.send(&out_stream(ID).payload([]));
        let mut told = entries(&watcher.pull(OutStream, ID, 1));
        assert_eq!(told.len(), 2);
        assert_eq!(watcher.allowance(InSink, ID), 0);

        for version in 2..10 {
            drop(present.take());
            observer.wait_gone(&bus.name("present"));
            present = Some(bus.plugin_of_version("present", version));
            observer.wait_listed(&bus.name("present"));
            drop(bus.plugin("passing"));
            observer.wait_gone(&bus.name("passing"));
        }
        drop(leaver);
        observer.wait_gone(&bus.name("leaver"));
        let last = bus.plugin("last");
        watcher.wait_listed(last.name());

        watcher.send(&out_stream(ID).credit(PLENTY));
        let mut of_each = std::collections::HashMap::new();
        let expected = watcher.query();
        loop {
            let change = change(&watcher.message(InSink, ID));
            *of_each.entry(change.1.clone()).or_insert(0) += 1;
            apply(&mut told, change);
            if told == expected {
                break;
            }
        }
        watcher.quiet();
        assert!(of_each.values().all(|events| *events <= 2), "{of_each:?}");
    });
}

/// Applies a change to a sorted listing that it must fit.
fn apply(listing: &mut Vec<(Vec<u8>, u16)>, (comes, name, version): Change) {
    let at = listing.iter().position(|(known, _)| *known == name);
    match (comes, at) {
        (true, None) => listing.push((name, version)),
        (false, Some(at)) => assert_eq!(listing.remove(at), (name, version), "it leaves as what it came"),
        (true, Some(_)) => panic!("{} comes twice", name.escape_ascii()),
        (false, None) => panic!("{} leaves without having come", name.escape_ascii()),
    }
    listing.sort();
}

/// An event of which a byte was told is told to its end, whatever has happened since.
#[test]
fn what_was_begun_is_finished() {
    alone(|bus| {
        let (mut watcher, _other) = bus.two("watcher", "other");
        watcher.send(&out_stream(ID).payload([]));
        watcher.pull(OutStream, ID, 1);
        let before = watcher.bytes_total(InSink, ID);
        let clock = bus.plugin_of_version("clock", 5);
        watcher.send(&out_stream(ID).credit(1));
        watcher.wait_bytes(InSink, ID, before + 1);
        drop(clock);
        watcher.wait_gone(&bus.name("clock"));
        watcher.send(&out_stream(ID).credit(PLENTY));
        assert_eq!(change(&watcher.message(InSink, ID)), (true, bus.name("clock"), 5));
        assert_eq!(change(&watcher.message(InSink, ID)), (false, bus.name("clock"), 5));
        watcher.quiet();
    });
}
