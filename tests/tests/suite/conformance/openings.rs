//! "The first chunk of an `Out-Request`, `Out-Sink`, `Out-Stream` or `Duplex` id opens it": openings in parts, with other
//! fields, and against the top-level credit.

use Kind::{Duplex, InSink, InStream, OutRequest, OutSink, OutStream};
use tests::audit::What;
use tests::pair::{CREDIT, Pair, answer, quiet};
use tests::peer::{connect_to, entry};
use tests::wire::{Chunk, Kind, chunk, flag, out_sink, out_stream, tag, varu64};

use super::{Bystanders, rows, twos};

/// "(that of a duplex is continued on `Out-Stream`)": a connect in parts of one byte, with credit and a ping on the way.
#[test]
fn connect_in_parts() {
    twos(|bus, mut a, mut b| {
        let payload = connect_to(b.name());
        a.send(&chunk(Duplex, 5).payload(&payload[..1]).partial(payload.len() as u64).credit(10));
        for byte in &payload[1..payload.len() - 1] {
            a.send(&out_stream(5).payload([*byte]));
        }
        a.send_all(&[out_stream(5).credit(CREDIT - 10), out_sink(5).credit(CREDIT)]);
        b.fence();
        assert!(!b.has_offer(), "offered before it was complete");
        a.send(&out_stream(5).payload(&payload[payload.len() - 1..]));
        let at_b = answer(&mut b, &entry(a.name(), 1));
        a.expect(InSink, 5, &What::Message(Vec::new()));
        Pair { a, b, at_a: 5, at_b }.exchange("hello", bus.step());
    });
}

/// "on `Out-Request` or `Out-Stream` it may only continue a partial opening payload", and a sink's is continued, too.
#[test]
fn every_kind_in_parts() {
    rows(|bus| {
        let mut peer = bus.plugin("parts");
        for (kind, then) in [(OutRequest, OutRequest), (OutSink, OutSink), (OutStream, OutStream), (Duplex, OutStream)]
        {
            let parts: [Chunk; 3] = [
                chunk(kind, 5).payload(b"\xEEa").partial(4),
                chunk(then, 5).payload(b""),
                chunk(then, 5).payload(b"bc"),
            ];
            peer.send_all(&parts[..2]);
            peer.fence();
            peer.send(&parts[2]);
            peer.expect_end(kind.inverted(5), 5, &[]);
            if kind == Duplex {
                peer.expect_end(InStream, 5, &[]);
            }
        }
        peer.quiet();
    });
}

/// A plugin that leaves, or ends the half, in the middle of an opening payload harms nobody.
#[test]
fn given_up_half_way() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for kind in [OutRequest, OutSink, OutStream, Duplex] {
            let mut peer = bus.plugin("parts");
            peer.send(&chunk(kind, 5).payload(b"\0").partial(100));
            peer.fence();
            peer.leave();
            bystanders.notice_nothing();
            bystanders.0.a.wait_gone(peer.name());
        }
    });
}

/// "Opening payloads and top-level messages spend the top-level credit": one that announces more than there can be of it
/// ends the connection, at the latest when the bytes have come.
#[test]
fn more_than_the_top_level_credit() {
    /// Announced, and never sent in full.
    const LENGTH: u64 = 1 << 50;
    /// Far beyond what a server gives of top-level credit.
    const BYTES_MAX: usize = 256 << 20;
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        for (kind, id) in [(InSink, 0), (OutRequest, 5), (OutSink, 5), (OutStream, 5), (Duplex, 5)] {
            let mut peer = bus.plugin("greedy");
            let head = [vec![tag(kind, flag::PAYLOAD)], varu64(id), varu64(LENGTH)].concat();
            peer.send_bytes(&head);
            let block = vec![0; 1 << 16];
            let poured = (0..BYTES_MAX / block.len()).take_while(|_| peer.pour(&block)).count();
            assert!(poured < BYTES_MAX / block.len(), "{} is taken without end", kind.name());
            peer.closed();
            bystanders.notice_nothing();
            bystanders.0.a.wait_gone(peer.name());
        }
    });
}

/// Credit and ping in a `Duplex` chunk "mean the opener's reading half, as on `Out-Stream`".
#[test]
fn duplex_with_credit_and_ping() {
    twos(|_, mut a, mut b| {
        a.send(&chunk(Duplex, 5).payload(connect_to(b.name())).credit(3).ping());
        let (id, _) = b.offer();
        b.expect(OutStream, id, &What::Ping);
        b.send(&chunk(InSink, id));
        a.expect(InSink, 5, &What::Pong);
        b.accept(id);
        a.expect(InSink, 5, &What::Message(Vec::new()));
        let mut pair = Pair { a, b, at_a: 5, at_b: id };
        pair.back().use_up(3);
        pair.quiet();
        assert_eq!(pair.b.credit(InStream, id), 0);
    });
}

/// "In a `Duplex` chunk `end` means the opener's reading half": a channel that is half over from its start.
#[test]
fn duplex_with_end() {
    twos(|_, mut a, mut b| {
        a.send(&chunk(Duplex, 5).payload(connect_to(b.name())).end([]));
        a.expect(InSink, 5, &What::AckEnd);
        a.send(&out_sink(5).credit(CREDIT));
        let (id, _) = b.offer();
        b.send_all(&[chunk(InStream, id).credit(CREDIT), chunk(InSink, id).credit(CREDIT)]);
        b.expect_end(OutStream, id, &[0]);
        b.send(&chunk(InStream, id).end([]));
        b.expect(OutSink, id, &What::AckEnd);
        let outcome = a.next_on(InStream, 5);
        assert!(matches!(outcome, What::End(_)), "{outcome:?}");
        a.ack(InStream, 5);
        quiet(&mut a, &mut b);
    });
}
