//! "On accept the server grants top-level credit at once, and keeps it topped up. It does nothing else until it has a
//! registration."

use std::time::{Duration, Instant};

use Kind::{InRequest, InSink};
use tests::audit::What;
use tests::peer::{Peer, connect_to, entry};
use tests::wire::{Kind, duplex, in_sink, in_stream, join, out_request, out_sink, out_stream};

use super::{Bystanders, configured, rows};

/// "On accept the server grants top-level credit at once": without anything from the plugin.
#[test]
fn credit_on_accept() {
    rows(|bus| bus.connection().wait_credit(InSink, 0, 1));
}

/// "... and keeps it topped up", "a top-level message is ignored": twice the first credit goes through.
#[test]
fn credit_is_topped_up() {
    rows(|bus| {
        let mut peer = bus.plugin("flood");
        let total = 2 * peer.credit_total(InSink, 0) as u64 + 1;
        let mut sent = 0;
        while sent < total {
            peer.wait_credit(InSink, 0, 1);
            let length = peer.credit(InSink, 0).min(1000);
            peer.send(&in_sink(0).payload(vec![b'x'; length as usize]));
            sent += length;
        }
        peer.quiet();
    });
}

/// One message that is larger than all the credit there is at any moment, in parts as credit comes.
#[test]
fn credit_is_topped_up_in_mid_message() {
    rows(|bus| {
        let mut peer = bus.plugin("flood");
        let total = 2 * peer.credit_total(InSink, 0) as u64 + 1;
        peer.send_in_parts(total, |_| in_sink(0));
        peer.quiet();
    });
}

/// "The first top-level message, exactly one entry with a free name": any bytes, up to 255 of them, any version.
#[test]
fn names_and_versions_of_every_kind() {
    rows(|bus| {
        let mut observer = bus.client();
        let longest = vec![b'n'; 255 - bus.name("").len()];
        let suffixes: [&[u8]; 7] = [b"echo", b"", b"Echo", b"echo ", &[0xFF, 0xFE, 0x00], "Grüße".as_bytes(), &longest];
        let versions = [0, 1, 255, 256, 0x1234, u16::MAX - 1, u16::MAX];
        let mut plugins = Vec::new();
        for (suffix, version) in suffixes.into_iter().zip(versions) {
            plugins.push(bus.plugin_of_version(suffix, version));
            observer.wait_listed(&bus.name(suffix));
        }
        let mut expected: Vec<_> = suffixes.iter().map(|suffix| bus.name(suffix)).zip(versions).collect();
        expected.sort();
        assert_eq!(bus.own(observer.query()), expected);
    });
}

/// "payloads may arrive, in any portion": a registration in partial pieces of one byte.
#[test]
fn registration_in_parts() {
    rows(|bus| {
        let mut peer = bus.connection();
        let name = bus.name("parts");
        let registration = entry(&name, 3);
        peer.wait_credit(InSink, 0, registration.len() as u64);
        peer.send_now(&in_sink(0).payload(&registration[..1]).partial(registration.len() as u64));
        for part in registration[1..].chunks(1) {
            peer.send_now(&in_sink(0).payload(part));
        }
        peer.fence();
        bus.client().wait_listed(&name);
    });
}

/// What follows a registration in the same write is of the registered plugin.
#[test]
fn requests_right_behind_the_registration() {
    rows(|bus| {
        let mut peer = bus.connection();
        let name = bus.name("eager");
        let absent = connect_to(&bus.name("absent"));
        peer.wait_credit(InSink, 0, 300);
        peer.send_bytes(&join(&[
            in_stream(0).credit(1000),
            in_sink(0).payload(entry(&name, 1)),
            out_request(1).payload([]).credit(1 << 20),
            duplex(2).payload(absent).credit(1),
            out_sink(2).credit(1),
        ]));
        let listing = tests::peer::entries(&peer.message(InRequest, 1));
        assert_eq!(bus.own(listing), [], "the asker is not listed");
        peer.refused(2, &[1]);
        bus.client().wait_listed(&name);
    });
}

/// "A taken name: the connection is ended." Its holder does not notice.
#[test]
fn taken_name() {
    rows(|bus| {
        let mut holder = bus.plugin("name");
        let mut observer = bus.client();
        observer.wait_listed(holder.name());
        for version in [1, 2] {
            let mut second = bus.connection();
            second.register(holder.name(), version);
            second.closed();
        }
        assert_eq!(bus.own(observer.query()), [(holder.name().to_vec(), 1)]);
        holder.quiet();
    });
}

/// "A malformed entry: the connection is ended." An empty first message is a disconnection.
#[test]
fn malformed_registrations() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        let malformed: [&[u8]; 9] = [
            b"",
            b"\0",
            b"\0\0",
            b"\0\0\x01\0",
            b"\x04echo",
            b"\x04echo\0",
            b"\x04echo\0\x01\0",
            b"\x05echo\0\x01",
            b"\xFFecho\0\x01",
        ];
        for bytes in malformed {
            let mut peer = bus.connection();
            peer.send(&in_stream(0).credit(1000));
            peer.send(&in_sink(0).payload(bytes));
            peer.closed();
            bystanders.notice_nothing();
        }
    });
}

/// "Any other payload before it: the connection is ended."
#[test]
fn another_payload_before_the_registration() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        let connect = connect_to(&bus.name("bystander a"));
        for first in [
            out_request(1).payload([]),
            out_stream(1).payload([]),
            out_request(1).payload(b"?"),
            out_sink(1).payload(b"?"),
            duplex(1).payload(&connect),
        ] {
            let mut peer = bus.connection();
            peer.send(&first);
            peer.closed();
            bystanders.notice_nothing();
        }
    });
}

/// "None within `registration_timeout`: the connection is ended", whatever else was sent.
#[test]
fn registration_timeout() {
    // Longer than any scheduling of a busy machine lasts, so that who is in time is.
    configured("[bus]\nregistration_timeout_ms = 2500\n", |bus| {
        let mut in_time = bus.plugin("in time");
        let silent = |_: &mut Peer| {};
        let with_credit = |peer: &mut Peer| peer.send(&in_stream(0).credit(1000));
        let half_done = |peer: &mut Peer| {
            peer.wait_credit(InSink, 0, 4);
            peer.send(&in_sink(0).payload(b"\x04ech").partial(7));
        };
        let mut late = [silent, with_credit, half_done].map(|begin| {
            let mut peer = bus.connection();
            begin(&mut peer);
            peer
        });
        late.iter_mut().for_each(|peer| {
            peer.closed();
        });
        in_time.quiet();
        assert_eq!(in_time.query(), []);
    });
}

/// Pings without end put nothing off, though who sends them is slowed and not read all the time.
#[test]
fn pings_do_not_put_the_registration_off() {
    let config =
        "[bus]\nregistration_timeout_ms = 400\n[limits]\nwork_units_per_s = 20_000\nwork_burst_units = 2_000\n";
    configured(config, |bus| {
        let mut late = bus.connection();
        late.send_now(&in_stream(0).credit(1000));
        let pings = in_stream(0).ping().bytes().repeat(2_000);
        late.pour_some(&pings);
        let give_up = Instant::now() + Duration::from_secs(15);
        while late.drop_some() {
            assert!(Instant::now() < give_up, "it is still there");
            late.pour_some(&pings);
        }
    });
}

/// "A name of length 0 is a client: any number may connect, they are never listed, announced or connected to, and can do
/// all else."
#[test]
fn clients() {
    rows(|bus| {
        let mut watcher = bus.plugin("watcher");
        watcher.send(&out_stream(1).payload([]).credit(1 << 20));
        watcher.message(InSink, 1);
        let mut clients = [bus.client(), bus.client(), bus.client()];
        let last = bus.plugin("last");
        loop {
            let event = watcher.message(InSink, 1);
            let [(name, _)] = tests::peer::entries(&event[1..]).try_into().expect("one entry for each event");
            assert!(!name.is_empty(), "a client is announced");
            if name == last.name() {
                break;
            }
        }
        for client in &mut clients {
            client.wait_listed(last.name());
            assert!(client.query().iter().all(|(name, _)| !name.is_empty()), "a client is listed");
            client.dial_with(1, b"", 1, 1);
            client.refused(1, &[1]);
            client.send(&out_stream(1).payload([]).credit(1 << 20));
            client.message(InSink, 1);
        }
        assert!(watcher.query().iter().all(|(name, _)| !name.is_empty()), "a client is listed");
    });
}

/// A registration is one message: a second entry is "anything else: a top-level message is ignored".
#[test]
fn a_second_registration_changes_nothing() {
    rows(|bus| {
        let mut peer = bus.plugin("first");
        let mut observer = bus.client();
        observer.wait_listed(peer.name());
        peer.send(&in_sink(0).payload(entry(&bus.name("second"), 9)));
        peer.quiet();
        assert_eq!(bus.own(observer.query()), [(peer.name().to_vec(), 1)]);
        peer.send(&in_stream(0).ping());
        peer.expect(InSink, 0, &What::Pong);
    });
}
