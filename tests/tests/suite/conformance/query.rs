//! "A request with an empty payload is answered with the entries of all connected plugins but the asker, in name order,
//! in as many parts as the credit on the request allows."

use Kind::{InRequest, OutRequest};
use tests::audit::What;
use tests::bus::Bus;
use tests::peer::{Peer, entries, entry};
use tests::wire::{Kind, out_request};

use super::{alone, rows, twos};

/// "All connected plugins but the asker."
#[test]
fn lists_all_but_the_asker() {
    twos(|bus, mut a, mut b| {
        assert_eq!(bus.own(a.query()), [(b.name().to_vec(), 1)]);
        assert_eq!(bus.own(b.query()), [(a.name().to_vec(), 1)]);
    });
}

/// "In name order": byte by byte, a name before those it begins.
#[test]
fn in_name_order() {
    rows(|bus| {
        let suffixes: [&[u8]; 8] = [b"b", b"ab", b"\xFF", b"a", b"", b"B", b"\0", b"a\0"];
        let _plugins = suffixes.map(|suffix| bus.plugin(suffix));
        let mut observer = bus.client();
        suffixes.iter().for_each(|suffix| observer.wait_listed(&bus.name(suffix)));
        let listing = observer.query();
        assert!(listing.is_sorted_by(|(one, _), (next, _)| one < next), "{listing:?}");
        assert_eq!(bus.own(listing).len(), suffixes.len());
    });
}

/// Nobody else is there: an empty response, which needs no credit.
#[test]
fn nobody_else() {
    alone(|bus| {
        let mut only = bus.plugin("only");
        only.send(&out_request(1).payload([]));
        only.expect(InRequest, 1, &What::Message(Vec::new()));
        only.ack(InRequest, 1);
        only.quiet();
    });
}

fn asker_beside_others(bus: &Bus) -> (Peer, [Peer; 2]) {
    let others = [bus.plugin("other"), bus.plugin("another")];
    let mut asker = bus.plugin("asker");
    others.iter().for_each(|other| asker.wait_listed(other.name()));
    (asker, others)
}

/// "In as many parts as the credit on the request allows": each byte of credit brings a byte of the response.
#[test]
fn byte_by_byte() {
    alone(|bus| {
        let (mut asker, others) = asker_beside_others(bus);
        asker.send(&out_request(5).payload([]));
        let response = asker.pull(OutRequest, 5, 1);
        let [first, second] = [&others[1], &others[0]].map(|other| entry(other.name(), 1));
        assert_eq!(response, [first, second].concat());
        asker.ack(InRequest, 5);
        asker.quiet();
    });
}

/// "on Out-Request it cancels the request": in the middle of the response, which is never finished then.
#[test]
fn cancelled_half_way() {
    rows(|bus| {
        let (mut asker, _others) = asker_beside_others(bus);
        for credit in [0, 1, 5] {
            asker.send(&out_request(5).payload([]));
            asker.give(OutRequest, 5, credit);
            asker.wait_bytes(InRequest, 5, credit);
            asker.end(OutRequest, 5);
        }
        asker.send(&out_request(5).payload([]).end([]));
        asker.expect(InRequest, 5, &What::AckEnd);
        asker.quiet();
    });
}

/// "A complete response counts as the responder's end, and is acked likewise", and then the id is free.
#[test]
fn the_id_is_free_after_the_ack() {
    rows(|bus| {
        let (mut asker, others) = asker_beside_others(bus);
        for _ in 0..3 {
            asker.send(&out_request(0).payload([]).credit(1 << 20));
            let listing = entries(&asker.message(InRequest, 0));
            assert_eq!(bus.own(listing).len(), others.len());
            asker.ack(InRequest, 0);
        }
        asker.quiet();
    });
}

/// Until its ack the asker may still send; "until then it accepts and drops what still arrives".
#[test]
fn credit_after_the_response_is_dropped() {
    rows(|bus| {
        let (mut asker, _others) = asker_beside_others(bus);
        asker.send(&out_request(1).payload([]).credit(1 << 20));
        asker.message(InRequest, 1);
        asker.send_all(&[out_request(1).credit(1), out_request(1).ping(), out_request(1).ack_end()]);
        asker.quiet();
    });
}

/// A response and a cancel that cross: "they crossed: no acks then". Whichever came first, the id is free after it.
#[test]
fn cancel_crosses_the_response() {
    rows(|bus| {
        let (mut asker, _others) = asker_beside_others(bus);
        for _ in 0..4 {
            asker.send_all(&[out_request(1).payload([]).credit(1 << 20), out_request(1).end([])]);
            let outcome = asker.next_on(InRequest, 1);
            assert!(matches!(outcome, What::AckEnd | What::Message(_)), "{outcome:?}");
        }
        asker.quiet();
    });
}

/// Several requests at once, each with credit of its own.
#[test]
fn many_at_once() {
    rows(|bus| {
        let (mut asker, others) = asker_beside_others(bus);
        (0..20).for_each(|id| asker.send(&out_request(id).payload([])));
        for id in (0..20).rev() {
            asker.give(OutRequest, id, 1 << 20);
            let listing = entries(&asker.message(InRequest, id));
            assert_eq!(bus.own(listing).len(), others.len());
            asker.ack(InRequest, id);
        }
        asker.quiet();
    });
}
