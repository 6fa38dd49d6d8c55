//! "Else it opens a duplex to `b` (spending `b`'s top-level credit)": a plugin that never gives enough of that for a whole
//! opening payload gets it in parts, since "payloads may arrive in any portion down to single bytes".

use Kind::{Duplex, InSink, InStream, OutSink, OutStream};
use tests::audit::What;
use tests::bus::{Bus, FEW_ROWS, PATIENT, private};
use tests::pair::{CREDIT, Pair, answer, quiet};
use tests::peer::{Peer, entry};
use tests::wire::{Kind, chunk, in_sink, in_stream, out_sink, out_stream};

use super::rows;
use crate::DAEMON;

/// The id of the duplex at `a` in these tests, and the one that the relay gives the first one at `b`.
const ID: u64 = 7;
const AT_B: u64 = 1;

/// A plugin `b` that has given no top-level credit, and `a`, which has dialled it.
fn dialled(bus: &Bus, number: usize) -> (Peer, Peer) {
    let mut a = bus.plugin(format!("a{number}"));
    let b = bus.plugin_without_credit(format!("b{number}"));
    a.wait_listed(b.name());
    a.dial_with(ID, b.name(), CREDIT, CREDIT);
    a.fence();
    (a, b)
}

/// Gives top-level credit one by one, each when the one before is used up, for `bytes` of opening payloads.
fn trickle(b: &mut Peer, bytes: usize) {
    for _ in 0..bytes {
        assert!(!b.has_offer(), "it is whole already");
        b.send(&in_stream(0).credit(1));
        b.wait_spent();
    }
}

/// How long the opening payload is by which a plugin with this entry asks.
fn opening_len(entry: &[u8]) -> usize {
    1 + entry.len()
}

#[test]
fn byte_by_byte() {
    rows(|bus| {
        let (mut a, mut b) = dialled(bus, 0);
        let mut client = bus.client();
        let entries = [entry(a.name(), 1), entry(&[], 1)];
        client.dial_with(ID, b.name(), CREDIT, CREDIT);
        client.fence();
        trickle(&mut b, opening_len(&entries[0]));
        let at_b = answer(&mut b, &entries[0]);
        a.expect(InSink, ID, &What::Message(Vec::new()));
        // The next one has waited for its turn, and for credit.
        trickle(&mut b, opening_len(&entries[1]));
        answer(&mut b, &entries[1]);
        client.expect(InSink, ID, &What::Message(Vec::new()));
        let mut pair = Pair { a, b, at_a: ID, at_b };
        pair.exchange("as any other", bus.step());
        pair.quiet();
    });
}

/// What `a` does before it is whole takes effect when it is.
#[test]
fn the_asker_goes_on_meanwhile() {
    rows(|bus| {
        for (number, ends) in [OutSink, OutStream].into_iter().enumerate() {
            let (mut a, mut b) = dialled(bus, number);
            trickle(&mut b, 2);
            a.send_all(&[out_sink(ID).payload([]), out_sink(ID).ping(), chunk(ends, ID).end([])]);
            a.expect(ends.inverted(ID), ID, &What::AckEnd);
            quiet(&mut a, &mut b);
            let entry = entry(a.name(), 1);
            trickle(&mut b, opening_len(&entry) - 2);
            let at_b = answer(&mut b, &entry);
            let mut told = vec![b.next_on(OutSink, at_b), b.next_on(OutSink, at_b)];
            assert!(told.contains(&What::Ping) && told.contains(&What::Message(Vec::new())), "{told:?}");
            told.clear();
            b.expect_end(ends, at_b, &[0]);
            let mut pair = Pair { a, b, at_a: ID, at_b };
            if ends == OutSink {
                pair.a.expect(InSink, ID, &What::Message(Vec::new()));
                pair.back().carry(b"the other half goes on", bus.step());
            } else {
                pair.forth().carry(b"the other half goes on", bus.step());
            }
        }
    });
}

/// `a` ends both halves, or leaves: nobody is to be asked any more, and an end "gives that message up".
#[test]
fn the_asker_goes_away_meanwhile() {
    rows(|bus| {
        for (number, leaves) in [false, true].into_iter().enumerate() {
            let (mut a, mut b) = dialled(bus, number);
            trickle(&mut b, 3);
            if leaves {
                a.leave();
            } else {
                a.send_all(&[out_sink(ID).end([]), out_stream(ID).end([])]);
                a.expect(InStream, ID, &What::AckEnd);
                a.expect(InSink, ID, &What::AckEnd);
            }
            taken_back(bus, &mut b);
        }
    });
}

/// Both halves are ended, and whoever comes next is offered.
fn taken_back(bus: &Bus, b: &mut Peer) {
    b.expect_ends(AT_B, &[]);
    b.quiet();
    still_asked(bus, b);
}

fn still_asked(bus: &Bus, b: &mut Peer) {
    let mut client = bus.client();
    client.dial_with(ID, b.name(), CREDIT, CREDIT);
    trickle(b, opening_len(&entry(&[], 1)));
    answer(b, &entry(&[], 1));
    client.expect(InSink, ID, &What::Message(Vec::new()));
}

/// "A connect that waits longer than `limits.offer_timeout_ms` is refused with `0x00`", in the middle of it too.
#[test]
fn it_takes_too_long() {
    let config = format!("{PATIENT}\n[limits]\noffer_timeout_ms = 200\n");
    private(DAEMON, &config, &FEW_ROWS, |bus| {
        let (mut a, mut b) = dialled(bus, 0);
        b.send(&in_stream(0).credit(3));
        a.refused(ID, &[0]);
        b.expect_ends(AT_B, &[]);
        quiet(&mut a, &mut b);
    });
}

/// "`b` ends either half before that: a denial."
#[test]
fn denied_half_way() {
    rows(|bus| {
        let denials = [&[in_sink as fn(u64) -> _, in_stream][..], &[in_stream, in_sink], &[in_sink], &[in_stream]];
        for (number, ends) in denials.into_iter().enumerate() {
            let (mut a, mut b) = dialled(bus, number);
            trickle(&mut b, 3);
            for end in ends {
                b.send(&end(AT_B).end([]));
                b.fence();
            }
            a.refused(ID, &[1]);
            for half in [OutSink, OutStream] {
                match b.next_on(half, AT_B) {
                    What::AckEnd => {}
                    What::End(payload) if payload.is_empty() => {
                        let crossed = ends.iter().any(|end| end(AT_B).kind.inverted(AT_B) == half);
                        if !crossed {
                            b.ack(half, AT_B);
                        }
                    }
                    other => b.fail(&format!("after the denial: {other:?}")),
                }
            }
            quiet(&mut a, &mut b);
            still_asked(bus, &mut b);
        }
    });
}

/// A plugin may accept, and say more, before it knows who asks.
#[test]
fn accepted_half_way() {
    rows(|bus| {
        let (mut a, mut b) = dialled(bus, 0);
        trickle(&mut b, 3);
        b.send_all(&[in_sink(AT_B).payload([]), in_stream(AT_B).credit(CREDIT), in_sink(AT_B).payload([])]);
        b.send_all(&[in_sink(AT_B).credit(CREDIT), in_sink(AT_B).ping()]);
        b.expect(OutStream, AT_B, &What::Pong);
        quiet(&mut a, &mut b);
        let entry = entry(a.name(), 1);
        trickle(&mut b, opening_len(&entry) - 3);
        let (id, offered) = b.offer();
        assert_eq!((id, offered), (AT_B, [&[0], &entry[..]].concat()));
        for _ in 0..2 {
            a.expect(InSink, ID, &What::Message(Vec::new()));
        }
        let mut pair = Pair { a, b, at_a: ID, at_b: AT_B };
        pair.forth().use_up(CREDIT);
        pair.back().carry(b"and back", bus.step());
        pair.quiet();
    });
}

/// One whose first part is all there is credit for, and the rest comes at once.
#[test]
fn in_two_parts() {
    rows(|bus| {
        let (mut a, mut b) = dialled(bus, 0);
        let whole = [&[0], &entry(a.name(), 1)[..]].concat();
        b.give(InStream, 0, whole.len() as u64 - 1);
        quiet(&mut a, &mut b);
        assert!(!b.has(Duplex, AT_B));
        b.give(InStream, 0, 1_000);
        answer(&mut b, &whole[1..]);
        a.expect(InSink, ID, &What::Message(Vec::new()));
    });
}
