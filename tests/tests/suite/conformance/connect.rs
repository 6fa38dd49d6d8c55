//! "`a` opens a duplex with `0x00 <length u8><name of b>`", and what becomes of it until `b` has answered.

use Kind::{InSink, InStream, OutSink, OutStream};
use tests::audit::What;
use tests::bus::{Bus, PATIENT};
use tests::pair::{CREDIT, Pair, answer, connect, dial_again, quiet};
use tests::peer::{Peer, entry};
use tests::wire::{Kind, chunk, duplex, in_sink, in_stream, join, out_sink, out_stream};

use super::{alone, configured, rows, twos};

/// The id of the duplex at `a` in these tests.
const ID: u64 = 7;

/// "b accepts with an empty message on the duplex: a gets an empty message, then both get the banked credit."
#[test]
fn accepted_with_banked_credit() {
    twos(|_, mut a, mut b| {
        a.send(&duplex(ID).payload(tests::peer::connect_to(b.name())).credit(10));
        a.give(OutStream, ID, 20);
        a.give(OutSink, ID, 5);
        let (id, offered) = b.offer();
        assert_eq!(offered, [&[0], &entry(a.name(), 1)[..]].concat());
        b.give(InStream, id, 40);
        b.give(InSink, id, 6);
        quiet(&mut a, &mut b);
        assert_eq!(a.credit_total(OutSink, ID) + a.credit_total(OutStream, ID), 0, "credit before the answer");
        assert_eq!(b.credit_total(InSink, id) + b.credit_total(InStream, id), 0, "credit before the answer");

        b.accept(id);
        a.expect(InSink, ID, &What::Message(Vec::new()));
        assert_eq!(a.credit_total(OutSink, ID), 0, "credit before the message that accepts");
        let mut pair = Pair { a, b, at_a: ID, at_b: id };
        pair.forth().use_up(40);
        pair.back().use_up(30);
        pair.a.wait_credit(OutStream, ID, 1);
        pair.b.wait_credit(InStream, id, 1);
        pair.quiet();
        assert_eq!(pair.a.credit_total(OutSink, ID), 40);
        assert_eq!(pair.b.credit_total(InSink, id), 30);
        assert!(pair.a.credit_total(OutStream, ID) <= 6, "more than was given");
        assert!(pair.b.credit_total(InStream, id) <= 5, "more than was given");
    });
}

/// "Until b answers, pings and empty messages are relayed."
#[test]
fn pings_and_empty_messages_before_the_answer() {
    twos(|bus, mut a, mut b| {
        a.dial_with(ID, b.name(), CREDIT, CREDIT);
        let (id, _) = b.offer();
        a.send(&out_sink(ID).ping());
        b.expect(OutSink, id, &What::Ping);
        b.send(&in_stream(id));
        a.expect(InStream, ID, &What::Pong);
        for _ in 0..3 {
            a.send(&out_sink(ID).payload([]));
            b.expect(OutSink, id, &What::Message(Vec::new()));
        }
        a.send(&out_stream(ID).ping());
        b.expect(OutStream, id, &What::Ping);
        b.send(&in_sink(id));
        a.expect(InSink, ID, &What::Pong);
        b.send(&in_stream(id).ping());
        a.expect(InStream, ID, &What::Ping);
        a.send(&out_sink(ID));
        b.expect(OutSink, id, &What::Pong);

        b.send(&in_stream(id).credit(CREDIT));
        b.accept(id);
        a.expect(InSink, ID, &What::Message(Vec::new()));
        Pair { a, b, at_a: ID, at_b: id }.exchange("after", bus.step());
    });
}

/// "b ends either half before that: a denial. The server ends what is left of it, and closes and cancels a's with 0x01."
/// A denial is over: a may try again.
#[test]
fn denied() {
    twos(|_, mut a, mut b| {
        for ends in [&[in_sink as fn(u64) -> _, in_stream][..], &[in_stream, in_sink], &[in_sink], &[in_stream]] {
            dial_again(&mut a, &mut b, ID);
            let (id, _) = b.offer();
            b.send_all(&[in_stream(id).credit(CREDIT), in_sink(id).credit(CREDIT)]);
            ends.iter().for_each(|end| b.send(&end(id).end([])));
            for half in [OutSink, OutStream] {
                let own_end = ends.iter().any(|end| end(id).kind.inverted(id) == half);
                match b.next_on(half, id) {
                    What::End(_) if own_end => {}
                    What::End(_) => b.ack(half, id),
                    What::AckEnd if own_end => {}
                    other => b.fail(&format!("after the denial: {other:?}")),
                }
            }
            a.refused(ID, &[1]);
            a.quiet();
            b.quiet();
        }
    });
}

/// What stands right behind the accepting message is relayed behind it.
#[test]
fn accepted_and_more_in_one_write() {
    twos(|_, mut a, mut b| {
        a.dial_with(ID, b.name(), CREDIT, CREDIT);
        let (id, _) = b.offer();
        b.send_bytes(&join(&[
            in_sink(id).payload([]),
            in_sink(id).payload([]),
            in_stream(id).credit(CREDIT),
            in_sink(id).payload([]).end([]),
        ]));
        for _ in 0..3 {
            a.expect(InSink, ID, &What::Message(Vec::new()));
        }
        a.expect_end(InSink, ID, &[0]);
        b.expect(OutStream, id, &What::AckEnd);
        let mut pair = Pair { a, b, at_a: ID, at_b: id };
        pair.forth().use_up(CREDIT);
        pair.quiet();
    });
}

/// An initiator that closes its half before the answer: it is relayed, and `b` may still accept and write.
#[test]
fn closed_before_the_answer() {
    twos(|bus, mut a, mut b| {
        a.dial_with(ID, b.name(), CREDIT, CREDIT);
        a.send_all(&[out_sink(ID).payload([]), out_sink(ID).end([])]);
        a.expect(InStream, ID, &What::AckEnd);
        let id = answer(&mut b, &entry(a.name(), 1));
        a.expect(InSink, ID, &What::Message(Vec::new()));
        b.expect(OutSink, id, &What::Message(Vec::new()));
        b.expect_end(OutSink, id, &[0]);
        let mut pair = Pair { a, b, at_a: ID, at_b: id };
        pair.back().carry(b"the other half goes on", bus.step());
        pair.quiet();
    });
}

/// "b is not connected, or is a itself: closes and cancels with 0x01."
#[test]
fn nobody_by_that_name() {
    rows(|bus| {
        let mut a = bus.plugin("a");
        let mut gone = bus.plugin("gone");
        a.wait_listed(gone.name());
        gone.leave();
        a.wait_gone(gone.name());
        let longest = [b'n'; 255];
        let own = a.name().to_vec();
        for name in [&bus.name("absent")[..], gone.name(), &own, b"", &longest] {
            a.dial_with(ID, name, 1, 1);
            a.refused(ID, &[1]);
        }
        a.quiet();
    });
}

/// "a already has a connection to b that is not over in both directions (one still waiting for b counts): the server
/// closes and cancels it, both empty."
#[test]
fn a_second_connection() {
    twos(|_, mut a, mut b| {
        let refuse = |a: &mut Peer, b: &mut Peer| {
            a.dial_with(ID + 1, b.name(), CREDIT, CREDIT);
            a.refused(ID + 1, &[]);
            b.fence();
            assert!(!b.has_offer(), "it is offered all the same");
        };
        a.dial_with(ID, b.name(), CREDIT, CREDIT);
        let (id, _) = b.offer();
        refuse(&mut a, &mut b);
        b.send_all(&[in_stream(id).credit(CREDIT), in_sink(id).credit(CREDIT)]);
        b.accept(id);
        a.expect(InSink, ID, &What::Message(Vec::new()));
        refuse(&mut a, &mut b);
        a.end(OutSink, ID);
        refuse(&mut a, &mut b);
        b.expect_end(OutSink, id, &[0]);
        refuse(&mut a, &mut b);
        b.end(InSink, id);
        a.expect_end(InSink, ID, &[0]);
        dial_again(&mut a, &mut b, ID);
        answer(&mut b, &entry(a.name(), 1));
        a.expect(InSink, ID, &What::Message(Vec::new()));
        refuse(&mut a, &mut b);
    });
}

/// "a second is refused" for each pair of plugins, not for each name: two clients may connect to one plugin, and one
/// plugin to two.
#[test]
fn other_connections_do_not_count() {
    rows(|bus| {
        let (mut b, c) = bus.two("b", "c");
        let mut clients = [bus.client(), bus.client()];
        for client in &mut clients {
            client.wait_listed(b.name());
            connect(client, ID, &mut b);
        }
        let [mut client, _other] = clients;
        client.wait_listed(c.name());
        Pair::between(client, c, ID + 1).exchange("c", bus.step());
    });
}

/// "`a → b` and `b → a` are different connections and may both exist."
#[test]
fn both_directions_at_once() {
    rows(|bus| {
        let mut there = Pair::open(bus);
        there.b.dial_with(ID, there.a.name(), CREDIT, CREDIT);
        let offered = entry(there.b.name(), 1);
        let at_a = answer(&mut there.a, &offered);
        there.b.expect(InSink, ID, &What::Message(Vec::new()));
        there.exchange("there", bus.step());
        let (at_there_a, at_there_b) = (there.at_a, there.at_b);
        let mut back = Pair { a: there.b, b: there.a, at_a: ID, at_b: at_a };
        back.exchange("and back", bus.step());
        back.finish();
        let mut there = Pair { a: back.b, b: back.a, at_a: at_there_a, at_b: at_there_b };
        there.exchange("still there", bus.step());
        there.finish();
        there.quiet();
    });
}

/// "(spending b's top-level credit; it waits for that in a bounded queue)".
#[test]
fn an_offer_waits_for_credit() {
    rows(|bus| {
        let (mut a, mut client) = (bus.plugin("a"), bus.client());
        let mut b = bus.plugin_without_credit("b");
        a.wait_listed(b.name());
        a.dial_with(ID, b.name(), CREDIT, CREDIT);
        a.send_all(&[out_sink(ID).payload([]), out_sink(ID).payload([]), out_sink(ID).ping()]);
        quiet(&mut a, &mut b);
        let offered = entry(a.name(), 1);
        b.give(InStream, 0, offered.len() as u64);
        quiet(&mut a, &mut b);
        b.give(InStream, 0, 1);
        let id = answer(&mut b, &offered);
        a.expect(InSink, ID, &What::Message(Vec::new()));
        let mut relayed: Vec<What> = (0..3).map(|_| b.next_on(OutSink, id)).collect();
        relayed.retain(|what| *what != What::Ping);
        assert_eq!(relayed, [What::Message(Vec::new()), What::Message(Vec::new())]);

        client.wait_listed(b.name());
        client.dial_with(ID, b.name(), CREDIT, CREDIT);
        quiet(&mut client, &mut b);
        b.give(InStream, 0, 4);
        assert_ne!(id, answer(&mut b, &entry(&[], 1)));
        client.expect(InSink, ID, &What::Message(Vec::new()));
    });
}

/// One whose initiator has left while it waited harms nobody.
#[test]
fn an_offer_whose_initiator_has_left() {
    rows(|bus| {
        let (mut a, mut c) = (bus.plugin("a"), bus.plugin("c"));
        let mut b = bus.plugin_without_credit("b");
        a.wait_listed(b.name());
        a.dial_with(ID, b.name(), CREDIT, CREDIT);
        a.fence();
        a.leave();
        c.wait_gone(a.name());
        c.wait_listed(b.name());
        c.dial_with(ID, b.name(), CREDIT, CREDIT);
        b.give(InStream, 0, 1000);
        let of_c = [&[0], &entry(c.name(), 1)[..]].concat();
        let id = loop {
            let (id, offered) = b.offer();
            b.send_all(&[in_stream(id).credit(1), in_sink(id).credit(1)]);
            if offered == of_c {
                break id;
            }
            b.expect_ends(id, &[1]);
        };
        b.accept(id);
        c.expect(InSink, ID, &What::Message(Vec::new()));
    });
}

/// "With `initiator = "anonymous"` the entry is the empty name and version 0."
#[test]
fn anonymous_initiator() {
    let anonymous = PATIENT.replace("[bus]", "[bus]\ninitiator = \"anonymous\"");
    let named = PATIENT.replace("[bus]", "[bus]\ninitiator = \"named\"");
    for (config, is_named) in [(anonymous, false), (named, true)] {
        configured(&config, |bus: &Bus| {
            let (mut a, mut b) = bus.two("a", "b");
            a.dial_with(ID, b.name(), CREDIT, CREDIT);
            answer(&mut b, &if is_named { entry(a.name(), 1) } else { entry(&[], 0) });
            a.expect(InSink, ID, &What::Message(Vec::new()));
        });
    }
}

/// Ids of the initiator's choosing, each width of their VarU64 among them, and each free again after its use.
#[test]
fn ids_of_every_width() {
    twos(|bus, mut a, mut b| {
        let ids = (0..8).map(|width| 1 << (8 * width)).chain([247, 248, 255, u64::MAX]);
        for id in ids {
            dial_again(&mut a, &mut b, id);
            let at_b = answer(&mut b, &entry(a.name(), 1));
            a.expect(InSink, id, &What::Message(Vec::new()));
            let mut pair = Pair { a, b, at_a: id, at_b };
            pair.exchange("hello", bus.step());
            pair.finish();
            (a, b) = (pair.a, pair.b);
        }
    });
}

/// Channels across shards work as within one: every plugin of eight connects to every other.
#[test]
fn everyone_with_everyone() {
    rows(|bus| {
        let mut plugins: Vec<Peer> = (0..8).map(|number| bus.plugin(format!("{number}"))).collect();
        let names: Vec<Vec<u8>> = plugins.iter().map(|plugin| plugin.name().to_vec()).collect();
        for plugin in &mut plugins {
            let own = plugin.name().to_vec();
            names.iter().filter(|name| **name != own).for_each(|name| plugin.wait_listed(name));
        }
        for (from, to) in (0..64).map(|pair| (pair / 8, pair % 8)).filter(|(from, to)| from != to) {
            plugins[from].dial_with(to as u64, &names[to], CREDIT, CREDIT);
            let at_b = answer(&mut plugins[to], &entry(&names[from], 1));
            plugins[from].expect(InSink, to as u64, &What::Message(Vec::new()));
            plugins[from].wait_credit(OutSink, to as u64, 2);
            plugins[from].send(&out_sink(to as u64).payload([from as u8, to as u8]));
            plugins[to].expect(OutSink, at_b, &What::Message(vec![from as u8, to as u8]));
            plugins[to].wait_credit(InSink, at_b, 2);
            plugins[to].send(&in_sink(at_b).payload([to as u8, from as u8]));
            plugins[from].expect(InSink, to as u64, &What::Message(vec![to as u8, from as u8]));
        }
        plugins.iter_mut().for_each(Peer::quiet);
    });
}

/// "So heads need no move": an id that is wider than the first ones, and a half that is over before the other plugin agrees.
#[test]
fn accepted_when_one_half_is_over_already() {
    /// Ids that take one byte.
    const NARROW: usize = 247;
    alone(|bus| {
        let mut b = bus.plugin("b");
        let mut others: Vec<_> = (0..NARROW).map(|_| bus.client()).collect();
        for other in &mut others {
            other.dial_with(ID, b.name(), CREDIT, CREDIT);
            b.offer();
        }
        let mut a = bus.client();
        a.dial_with(ID, b.name(), CREDIT, CREDIT);
        let (id, _) = b.offer();
        assert!(id > NARROW as u64, "{id} is as wide as the others");
        b.give(InStream, id, 1);
        a.send(&out_sink(ID).end([]));
        b.expect_end(OutSink, id, &[0]);
        b.accept(id);
        for _ in 0..3 {
            b.send(&in_sink(id).payload([]));
        }
        for _ in 0..4 {
            a.expect(InSink, ID, &What::Message(Vec::new()));
        }
        b.fence();
    });
}

/// "b ends either half before that: a denial": also when the other end of it is over for its sake, and waits for credit.
#[test]
fn denied_when_the_asker_has_ended_its_half_already() {
    rows(|bus| {
        for reading in [true, false] {
            // The halves of the asker that ends first, and of the other one that answers: what each of them sends, hears its
            // ack on, and is left with.
            let (a_ends, a_acked, a_left) =
                if reading { (OutStream, InSink, InStream) } else { (OutSink, InStream, InSink) };
            let (b_ends, b_acked, b_left) =
                if reading { (InSink, OutStream, OutSink) } else { (InStream, OutSink, OutStream) };
            let (mut a, mut b) = bus.two("a", "b");
            a.dial_with(ID, b.name(), CREDIT, CREDIT);
            let (id, _) = b.offer();
            a.send(&chunk(a_ends, ID).end([]));
            a.expect(a_acked, ID, &What::AckEnd);
            // The end towards b waits for credit.
            b.fence();
            b.send(&chunk(b_ends, id).end([]));
            b.expect(b_acked, id, &What::AckEnd);
            b.expect_end(b_left, id, &[]);
            a.expect_end(a_left, ID, &[1]);
            quiet(&mut a, &mut b);
        }
    });
}
