//! "Anything else: a top-level message is ignored; a request is declined, a sink cancelled, a stream closed, a duplex closed
//! and cancelled, each with an empty payload. So a plugin can probe for extensions without harm."

use Kind::{Duplex, InRequest, InSink, InStream, OutRequest, OutSink, OutStream};
use tests::audit::What;
use tests::wire::{Kind, chunk, in_sink, out_request, out_sink};

use super::{Bystanders, rows};

/// Payloads that mean nothing to the bus as the opening of anything but a duplex or a sink.
fn unknown_payloads() -> Vec<Vec<u8>> {
    vec![b"?".to_vec(), vec![0], vec![0xFF; 300], b"\0\x04echo".to_vec(), b"\x01\x04echo\0\0".to_vec()]
}

/// Each kind of opening with each payload, twice, so that the ids must be free again.
#[test]
fn is_turned_down() {
    rows(|bus| {
        let mut peer = bus.plugin("prober");
        for payload in unknown_payloads() {
            let of_duplex = [&[0xEE], &payload[..]].concat();
            for id in [6, 6] {
                peer.send(&out_request(id).payload(&payload).credit(9));
                peer.expect_end(InRequest, id, &[]);
                peer.send(&out_sink(id).payload(&payload).credit(9));
                peer.expect_end(InStream, id, &[]);
                peer.send(&chunk(OutStream, id).payload(&payload).credit(9));
                peer.expect_end(InSink, id, &[]);
                peer.send(&chunk(Duplex, id).payload(&of_duplex).credit(9));
                peer.refused(id, &[]);
            }
        }
        peer.send(&out_sink(6).payload([]));
        peer.expect_end(InStream, 6, &[]);
        peer.quiet();
    });
}

/// Opening payloads larger than all the top-level credit, in parts as credit comes: turned down when they are complete, or
/// before; and the credit comes on.
#[test]
fn large_openings_are_turned_down() {
    rows(|bus| {
        let mut peer = bus.plugin("prober");
        let total = peer.credit_total(InSink, 0) as u64 + 1000;
        for (kind, then) in [(OutRequest, OutRequest), (OutSink, OutSink), (OutStream, OutStream), (Duplex, OutStream)]
        {
            peer.send_in_parts(total, |first| chunk(if first { kind } else { then }, 6));
            peer.expect_end(kind.inverted(6), 6, &[]);
            if kind == Duplex {
                peer.expect_end(InStream, 6, &[]);
            }
        }
        peer.quiet();
    });
}

/// The id spaces: "one for requests, one for sinks, one for streams"; a duplex takes its id in the last two.
#[test]
fn id_spaces_are_apart() {
    rows(|bus| {
        let mut peer = bus.plugin("prober");
        peer.send_all(&[
            out_request(6).payload(b"?"),
            out_sink(6).payload(b"?"),
            chunk(OutStream, 6).payload(b"?"),
            out_request(7).payload(b"?"),
            chunk(Duplex, 7).payload(b"?"),
        ]);
        for (kind, id) in [(InRequest, 6), (InStream, 6), (InSink, 6), (InRequest, 7), (InSink, 7), (InStream, 7)] {
            peer.expect_end(kind, id, &[]);
        }
        peer.quiet();
    });
}

/// Chunks that open, with every other field in the same chunk: an end that crosses is no violation.
#[test]
fn with_every_field() {
    rows(|bus| {
        let mut peer = bus.plugin("prober");
        for kind in [OutRequest, OutSink, OutStream] {
            peer.send(&chunk(kind, 6).payload(b"?").credit(3).ping().end([]));
            let half = kind.inverted(6);
            let outcome = loop {
                match peer.next_on(half, 6) {
                    What::Pong => {}
                    outcome => break outcome,
                }
            };
            assert!(matches!(outcome, What::AckEnd | What::End(_)), "{outcome:?}");
            peer.send(&chunk(kind, 6).payload(b"?"));
            loop {
                match peer.next_on(half, 6) {
                    What::Pong => {}
                    outcome => break assert_eq!(outcome, What::End(Vec::new())),
                }
            }
            peer.ack(half, 6);
        }
        peer.quiet();
    });
}

/// Top-level messages, whole and in parts.
#[test]
fn top_level_messages_are_ignored() {
    rows(|bus| {
        let mut bystanders = Bystanders::new(bus);
        let mut peer = bus.plugin("prober");
        for payload in unknown_payloads() {
            peer.send(&in_sink(0).payload(payload));
        }
        peer.send_all(&[in_sink(0).payload(b"par").partial(5), in_sink(0).payload(b"t"), in_sink(0).payload(b"s")]);
        peer.quiet();
        bystanders.notice_nothing();
    });
}
