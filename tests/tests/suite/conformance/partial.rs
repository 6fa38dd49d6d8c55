//! Partial payloads that break a rule, each alone.

use Kind::OutSink;
use tests::pair::Pair;
use tests::wire::{
    Chunk, Kind, chunk, duplex, in_sink, in_stream, join, out_sink, out_stream, partial, partial_of_width,
};

use super::violations::{Case, check};

fn begin_message(pair: &mut Pair) {
    pair.a.wait_credit(OutSink, pair.at_a, 10);
    pair.a.send(&out_sink(pair.at_a).payload(b"ab").partial(5));
}

fn begin_end(pair: &mut Pair) {
    pair.a.wait_credit(OutSink, pair.at_a, 10);
    pair.a.send(&out_sink(pair.at_a).end(b"ab").partial(5));
}

fn credit(pair: &mut Pair) {
    pair.a.wait_credit(OutSink, pair.at_a, 10);
}

fn begin_opening(pair: &mut Pair) {
    pair.a.send(&duplex(99).payload(b"\0").partial(5));
}

fn one(chunk: &Chunk) -> Vec<u8> {
    chunk.bytes()
}

#[test]
fn second_partial() {
    check(&[
        Case("a second Partial in a message", begin_message, |pair| one(&out_sink(pair.at_a).payload(b"c").partial(3))),
        Case("a second Partial that says the same", begin_message, |pair| {
            one(&out_sink(pair.at_a).payload(b"cde").partial(5))
        }),
        Case("a second Partial in an end payload", begin_end, |pair| one(&out_sink(pair.at_a).end(b"cde").partial(3))),
        Case("a second Partial in an opening", begin_opening, |_| one(&out_stream(99).payload(b"x").partial(4))),
        Case("a second Partial, for the end, in a message", begin_message, |pair| {
            one(&out_sink(pair.at_a).end(b"x").partial(1))
        }),
    ]);
}

#[test]
fn partial_behind_partial() {
    check(&[
        Case("another Partial right behind", credit, |pair| {
            [partial(5), out_sink(pair.at_a).payload(b"ab").partial(5).bytes()].concat()
        }),
        Case("another Partial right behind, of another total", credit, |pair| {
            [partial(1), partial(300), out_sink(pair.at_a).payload(b"a").bytes()].concat()
        }),
    ]);
}

#[test]
fn more_than_the_total() {
    check(&[
        Case("more than `total` in one part", credit, |pair| one(&out_sink(pair.at_a).payload(b"abc").partial(2))),
        Case("more than `total` in the last part", begin_message, |pair| one(&out_sink(pair.at_a).payload(b"cdef"))),
        Case("more than `total` of an end payload", credit, |pair| one(&out_sink(pair.at_a).end(b"abc").partial(2))),
        Case("more than `total` in the last part of an end", begin_end, |pair| one(&out_sink(pair.at_a).end(b"cdef"))),
        Case("more than `total` of an opening", begin_opening, |_| one(&out_stream(99).payload(b"12345"))),
        Case("more than `total` of a top-level message", |_| {}, |_| one(&in_sink(0).payload(b"abc").partial(2))),
    ]);
}

#[test]
fn payload_amid_a_partial_end() {
    check(&[
        Case("a payload amid a partial end payload", begin_end, |pair| one(&out_sink(pair.at_a).payload(b"c"))),
        Case("an empty one", begin_end, |pair| one(&out_sink(pair.at_a).payload(b""))),
    ]);
}

#[test]
fn before_neither_payload_nor_end() {
    check(&[
        Case("Partial before credit", credit, |pair| one(&out_sink(pair.at_a).credit(1).partial(5))),
        Case("Partial before a ping", credit, |pair| one(&out_sink(pair.at_a).ping().partial(5))),
        Case("Partial before a chunk without flags", credit, |pair| one(&out_sink(pair.at_a).partial(5))),
        Case("Partial before top-level credit", credit, |_| one(&in_stream(0).credit(1).partial(5))),
    ]);
}

#[test]
fn total_of_zero() {
    check(&[
        Case("a total of 0", credit, |pair| [partial(0), out_sink(pair.at_a).payload(b"").bytes()].concat()),
        Case("a total of 0 in eight bytes", credit, |pair| {
            [partial_of_width(0, 8), out_sink(pair.at_a).payload(b"").bytes()].concat()
        }),
    ]);
}

#[test]
fn total_not_in_the_shortest_form() {
    check(&[
        Case("a total of 1 in two bytes", credit, |pair| not_shortest(pair, 1, 2)),
        Case("a total of 255 in two bytes", credit, |pair| not_shortest(pair, 0xFF, 2)),
        Case("a total in three bytes", credit, |pair| not_shortest(pair, 0xFFFF, 3)),
        Case("a total in four bytes", credit, |pair| not_shortest(pair, 0xFF_FFFF, 4)),
        Case("a total in five bytes", credit, |pair| not_shortest(pair, 0xFFFF_FFFF, 5)),
        Case("a total in six bytes", credit, |pair| not_shortest(pair, 0xFF_FFFF_FFFF, 6)),
        Case("a total in seven bytes", credit, |pair| not_shortest(pair, 0xFFFF_FFFF_FFFF, 7)),
        Case("a total in eight bytes", credit, |pair| not_shortest(pair, 0xFF_FFFF_FFFF_FFFF, 8)),
    ]);
}

fn not_shortest(pair: &Pair, total: u64, width: usize) -> Vec<u8> {
    [partial_of_width(total, width), join(&[chunk(OutSink, pair.at_a).payload(b"x")])].concat()
}
