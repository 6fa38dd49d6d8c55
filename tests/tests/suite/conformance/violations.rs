//! "Violations end the connection at once": each alone, on a plugin that is fine until then and has a channel to
//! another, with two bystanders that must not notice.

use Kind::{InRequest, InSink, InStream, OutRequest, OutSink};
use oracle::vectors::meaning;
use tests::bus::Bus;
use tests::pair::{CREDIT, Pair};
use tests::peer::Peer;
use tests::wire::{
    Chunk, Kind, chunk, duplex, flag, in_request, join, out_request, out_sink, partial, partial_of_width, tag, varu64,
    varu64_of_width,
};

use super::{Bystanders, rows};

/// The rule that is broken; what goes before, all of it right; and what breaks the rule, no more than that. Both are chunks
/// as in `oracle/vectors`, with `|` between, and `ID` for the id of the channel at the offender.
type Case = (&'static str, &'static str, &'static str);

fn chunks(text: &str, id: u64) -> Vec<Chunk> {
    let texts = text.split('|').filter(|text| !text.is_empty());
    texts.map(|text| meaning(text.replace("ID", &id.to_string()).trim())).collect()
}

/// The initiator of a connection breaks the rules.
fn initiator(cases: &[Case]) {
    check(cases, |pair| (&mut pair.a, (OutSink, pair.at_a), &mut pair.b));
}

/// The acceptor does.
fn acceptor(cases: &[Case]) {
    check(cases, |pair| (&mut pair.b, (InSink, pair.at_b), &mut pair.a));
}

/// Who breaks the rules, on which half it writes, and who is at the other end.
type Side = fn(&mut Pair) -> (&mut Peer, (Kind, u64), &mut Peer);

fn check(cases: &[Case], side: Side) {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for (rule, before, bad) in cases {
            offends(bus, &mut bystanders, side, rule, before, |_, id| join(&chunks(bad, id)));
        }
    });
}

/// The initiator sends these bytes.
fn check_bytes(rule: &str, before: &str, bad: impl Fn(&mut Peer, u64) -> Vec<u8>) {
    let side: Side = |pair| (&mut pair.a, (OutSink, pair.at_a), &mut pair.b);
    rows(|bus| offends(bus, &mut Bystanders::new(bus), side, rule, before, &bad));
}

fn offends(
    bus: &Bus,
    bystanders: &mut Bystanders,
    side: Side,
    rule: &str,
    before: &str,
    bad: impl Fn(&mut Peer, u64) -> Vec<u8>,
) {
    let mut pair = Pair::open(bus);
    let (offender, (writes, id), other) = side(&mut pair);
    // All that it may send is there, so that nothing but the rule is broken.
    offender.wait_credit(writes, id, CREDIT);
    offender.send_all(&chunks(before, id));
    let bytes = bad(offender, id);
    offender.fence();
    offender.begin(rule);
    offender.send_bytes(&bytes);
    offender.closed();
    other.wait_gone(offender.name());
    bystanders.notice_nothing();
}

/// A plugin without any channel sends these bytes.
fn offends_alone(bus: &Bus, bystanders: &mut Bystanders, rule: &str, bad: &[u8]) {
    let mut peer = bus.plugin("offender");
    peer.begin(rule);
    peer.send_bytes(bad);
    peer.closed();
    bystanders.0.a.wait_gone(peer.name());
    bystanders.notice_nothing();
}

/// A request that waits for credit: there are others to be listed.
const PENDING: &str = "Out-Request 3 payload=empty";
const WATCH: &str = "Out-Stream 3 payload=empty";
/// A request that the server has ended, so that it awaits the ack.
const DECLINED: &str = "Out-Request 4 payload=3f";
/// A duplex of which the server has ended both halves.
const REFUSED: &str = "Duplex 4 payload=3f";

#[test]
fn more_payload_than_credit() {
    assert_eq!(CREDIT, 64, "as the cases have it");
    initiator(&[
        ("a message beyond the credit", "", "Out-Sink ID payload=78*65"),
        ("a partial message beyond the credit", "", "Partial 1000; Out-Sink ID payload=78*65"),
        ("a second message beyond the credit", "Out-Sink ID payload=78*64", "Out-Sink ID payload=78"),
        ("a close payload beyond the credit", "", "Out-Sink ID end=78*65"),
        ("a cancel payload beyond the credit", "", "Out-Stream ID end=78*65"),
    ]);
    acceptor(&[
        ("a message beyond the credit", "", "In-Sink ID payload=78*65"),
        ("a close payload beyond the credit", "", "In-Sink ID end=78*65"),
        ("a cancel payload beyond the credit", "", "In-Stream ID end=78*65"),
    ]);
    check_bytes("a cancel payload on a request that has no credit", PENDING, |peer, _| {
        let granted = peer.credit(OutRequest, 3) as usize;
        out_request(3).end(vec![b'x'; granted + 1]).bytes()
    });
}

#[test]
fn credit_above_its_largest_sum() {
    initiator(&[
        ("on a reading half", "", "Out-Stream ID credit=18446744073709551615"),
        ("on a writing half", "", "Out-Sink ID credit=18446744073709551615"),
        ("on the top level", "", "In-Stream 0 credit=18446744073709551615"),
        ("on a watch", WATCH, "Out-Stream 3 credit=18446744073709551615 | Out-Stream 3 credit=18446744073709551615"),
    ]);
    acceptor(&[
        ("on a reading half", "", "In-Stream ID credit=18446744073709551615"),
        ("on a writing half", "", "In-Sink ID credit=18446744073709551615"),
    ]);
}

/// "`In-*` with an id that is not open": each of the three types with each flag and without any. "An opening without
/// `payload`": each of the four types with each other flag and without any.
#[test]
fn ids_that_are_not_open_and_openings_without_payload() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for kind in Kind::ALL {
            let bare = chunk(kind, 5);
            let special = match kind {
                InRequest | InSink | InStream => bare.clone().payload([]),
                _ => bare.clone().end(b"x").partial(2),
            };
            let [credit, ping] = [bare.clone().credit(1), bare.clone().ping()];
            for bad in [special, credit, ping, bare.clone().end([]), bare.clone().ack_end(), bare] {
                offends_alone(bus, &mut bystanders, &format!("not open: {bad}"), &bad.bytes());
            }
        }
    });
}

#[test]
fn a_duplex_id_in_use() {
    initiator(&[
        ("by a duplex", "", "Duplex ID payload=3f"),
        ("by a watch", WATCH, "Duplex 3 payload=3f"),
        ("by a sink that was cancelled and is not acked", "Out-Sink 3 payload=empty", "Duplex 3 payload=3f"),
        ("by a duplex that was refused and is not acked", REFUSED, "Duplex 4 payload=3f"),
    ]);
}

/// "`payload` on an existing `Out-Request` or `Out-Stream` may only continue a partial opening payload."
#[test]
fn a_payload_where_no_message_goes() {
    initiator(&[
        ("on a pending request", PENDING, PENDING),
        ("on a watch", WATCH, WATCH),
        ("on the reading half of a duplex", "", "Out-Stream ID payload=empty"),
    ]);
}

#[test]
fn after_ones_own_end() {
    initiator(&[
        ("credit after close", "", "Out-Sink ID end=empty | Out-Sink ID credit=1"),
        ("ping after close", "", "Out-Sink ID end=empty | Out-Sink ID ping"),
        ("pong after close", "", "Out-Sink ID end=empty | Out-Sink ID"),
        ("a second close", "", "Out-Sink ID end=empty | Out-Sink ID end=empty"),
        ("credit after cancel", "", "Out-Stream ID end=empty | Out-Stream ID credit=1"),
        ("a second cancel", "", "Out-Stream ID end=empty | Out-Stream ID end=empty"),
        ("credit after the cancel of a request", PENDING, "Out-Request 3 end=empty | Out-Request 3 credit=1"),
        ("a second cancel of a request", PENDING, "Out-Request 3 end=empty | Out-Request 3 end=empty"),
        ("ping after the cancel of a watch", WATCH, "Out-Stream 3 end=empty | Out-Stream 3 ping"),
    ]);
    acceptor(&[
        ("a message after close", "", "In-Sink ID end=empty | In-Sink ID payload=empty"),
        ("a second close", "", "In-Sink ID end=empty | In-Sink ID end=empty"),
        ("credit after cancel", "", "In-Stream ID end=empty | In-Stream ID credit=1"),
        ("a second cancel", "", "In-Stream ID end=empty | In-Stream ID end=empty"),
    ]);
}

#[test]
fn an_ack_without_an_end() {
    initiator(&[
        ("on a writing half", "", "Out-Sink ID ack-end"),
        ("on a reading half", "", "Out-Stream ID ack-end"),
        ("on a pending request", PENDING, "Out-Request 3 ack-end"),
        ("on a watch", WATCH, "Out-Stream 3 ack-end"),
        ("on the top level", "", "In-Stream 0 ack-end"),
        ("on the other top level", "", "In-Sink 0 ack-end"),
        ("a second ack", DECLINED, "Out-Request 4 ack-end | Out-Request 4 ack-end"),
    ]);
    acceptor(&[("on a writing half", "", "In-Sink ID ack-end"), ("on a reading half", "", "In-Stream ID ack-end")]);
}

/// "Any other flag beside `ack-end`."
#[test]
fn flags_beside_an_ack() {
    initiator(&[
        ("a payload", REFUSED, "Out-Sink 4 payload=empty ack-end"),
        ("credit", DECLINED, "Out-Request 4 credit=1 ack-end"),
        ("a ping", DECLINED, "Out-Request 4 ping ack-end"),
        ("an end", DECLINED, "Out-Request 4 end=empty ack-end"),
        ("credit on a stream", REFUSED, "Out-Stream 4 credit=1 ack-end"),
        ("a ping on a sink", REFUSED, "Out-Sink 4 ping ack-end"),
        ("an end on a stream", REFUSED, "Out-Stream 4 end=empty ack-end"),
    ]);
}

const MESSAGE_BEGUN: &str = "Partial 5; Out-Sink ID payload=6162";
const END_BEGUN: &str = "Partial 5; Out-Sink ID end=6162";
const OPENING_BEGUN: &str = "Partial 5; Duplex 99 payload=00";

#[test]
fn a_second_partial() {
    initiator(&[
        ("in a message", MESSAGE_BEGUN, "Partial 3; Out-Sink ID payload=63"),
        ("in a message, of the same total", MESSAGE_BEGUN, "Partial 5; Out-Sink ID payload=636465"),
        ("in an end payload", END_BEGUN, "Partial 3; Out-Sink ID end=636465"),
        ("in an opening", OPENING_BEGUN, "Partial 4; Out-Stream 99 payload=78"),
        ("for the end, in a message", MESSAGE_BEGUN, "Partial 1; Out-Sink ID end=78"),
    ]);
    check_bytes("right behind", "", |_, id| [partial(5), out_sink(id).payload(b"ab").partial(5).bytes()].concat());
    check_bytes("right behind, of another total", "", |_, id| {
        [partial(1), partial(300), out_sink(id).payload(b"a").bytes()].concat()
    });
}

#[test]
fn more_than_the_total() {
    initiator(&[
        ("in one part", "", "Partial 2; Out-Sink ID payload=616263"),
        ("in the last part", MESSAGE_BEGUN, "Out-Sink ID payload=63646566"),
        ("of an end payload", "", "Partial 2; Out-Sink ID end=616263"),
        ("in the last part of an end", END_BEGUN, "Out-Sink ID end=63646566"),
        ("of an opening", OPENING_BEGUN, "Out-Stream 99 payload=3132333435"),
        ("of a top-level message", "", "Partial 2; In-Sink 0 payload=616263"),
    ]);
}

#[test]
fn payload_amid_a_partial_end() {
    initiator(&[
        ("some", END_BEGUN, "Out-Sink ID payload=63"),
        ("an empty one", END_BEGUN, "Out-Sink ID payload=empty"),
    ]);
}

#[test]
fn a_partial_before_neither_payload_nor_end() {
    initiator(&[
        ("before credit", "", "Partial 5; Out-Sink ID credit=1"),
        ("before a ping", "", "Partial 5; Out-Sink ID ping"),
        ("before a chunk without flags", "", "Partial 5; Out-Sink ID"),
        ("before top-level credit", "", "Partial 5; In-Stream 0 credit=1"),
    ]);
}

/// A total of 0; and totals of 1 and of the largest number that a form of one byte less can hold.
#[test]
fn totals_of_zero_or_not_in_the_shortest_form() {
    let largest = (2..=8).map(|width| (u64::MAX >> (8 * (9 - width)), width));
    for (total, width) in [(0, 1), (0, 8), (1, 2)].into_iter().chain(largest) {
        check_bytes(&format!("a total of {total} in {width} bytes"), "", |_, id| {
            let payload = &b"x"[..usize::from(total > 0)];
            [partial_of_width(total, width), out_sink(id).payload(payload).bytes()].concat()
        });
    }
}

/// "Only the shortest form is valid": each field with the largest number that a form of one byte less can hold.
#[test]
fn varu64_not_in_the_shortest_form() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for width in 1..=8 {
            let number = if width == 1 { 247 } else { u64::MAX >> (8 * (9 - width)) };
            for value in [0, number] {
                let long = varu64_of_width(value, width);
                let head = |kind, flags| vec![tag(kind, flags)];
                for bad in [
                    [head(OutRequest, flag::PAYLOAD), long.clone(), varu64(0)].concat(),
                    [head(InStream, flag::CREDIT), varu64(0), long.clone()].concat(),
                    [head(OutRequest, flag::PAYLOAD), varu64(5), varu64_of_width(0, width)].concat(),
                    [head(InSink, flag::END), varu64(0), varu64_of_width(0, width)].concat(),
                ] {
                    offends_alone(bus, &mut bystanders, &format!("{value} in {width} bytes and the first"), &bad);
                }
            }
        }
    });
}

/// Before its end a plugin is told why, in UTF-8, or nothing; and everything it sends behind the violation is lost.
#[test]
fn what_follows_a_violation_is_not_read() {
    rows(|bus| {
        let mut observer = bus.plugin("observer");
        let mut peer = bus.plugin("offender");
        let behind: [Chunk; 2] =
            [duplex(5).payload(tests::peer::connect_to(observer.name())), out_request(6).payload([]).credit(1 << 20)];
        peer.send_bytes(&join(&[&[in_request(1).payload([])][..], &behind].concat()));
        peer.closed();
        observer.wait_gone(peer.name());
        observer.quiet();
    });
}
