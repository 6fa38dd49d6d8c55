//! The protocol core by itself: integers, the decoder, and the ways to read and write messages.

use std::hint::black_box;

use bench::{Lengths, Messages, Reader};
use bpmux::decoder::{Decoder, Field};
use bpmux::{Event, Flags, HalfKey, Kind, Limits, Link, Rewrite, chunk, copy_run, varint};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What the relay receives into.
const BUFFER_LEN: usize = 64 << 10;

fn integers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("varint");
    for (name, value) in [("short", 100), ("long", 1 << 40)] {
        let encoded = varint::Encoded::new(value);
        let mut out = Vec::with_capacity(varint::LEN_MAX);
        group.bench_function(format!("parse/{name}"), |bencher| {
            bencher.iter(|| varint::parse(black_box(encoded.as_bytes())));
        });
        group.bench_function(format!("put/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                varint::put(black_box(value), &mut out);
            });
        });
    }
}

/// Decodes all of a piece of input. Returns the bytes of payload.
fn decode(decoder: &mut Decoder, input: &[u8]) -> usize {
    let (mut at, mut payload_bytes) = (0, 0);
    loop {
        let (used, field) = decoder.next(&input[at..]).expect("the input is valid");
        at += used;
        match field {
            Some(Field::Payload { len, .. }) => payload_bytes += len,
            Some(_) => {}
            None => return payload_bytes,
        }
    }
}

/// Each time is that of a whole buffer, each throughput that of messages.
fn reading(criterion: &mut Criterion) {
    for payload_len in [64, 1024] {
        let Messages { bytes: mut input, count } = Messages::fill(Lengths::Alike(payload_len), BUFFER_LEN);
        let mut group = criterion.benchmark_group(format!("read/{payload_len}"));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function("decoder", |bencher| {
            let mut decoder = Decoder::default();
            bencher.iter(|| decode(&mut decoder, black_box(&input)));
        });
        group.bench_function("decoder/cut", |bencher| {
            // A length that falls on every place of a message in turn.
            let mut decoder = Decoder::default();
            bencher.iter(|| input.chunks(payload_len + 1).map(|piece| decode(&mut decoder, piece)).sum::<usize>());
        });
        group.bench_function("events", |bencher| {
            let mut reader = Reader::default();
            bencher.iter(|| reader.read_events(black_box(&input)));
        });
        group.bench_function("run", |bencher| {
            let mut reader = Reader::default();
            bencher.iter(|| reader.read_run(black_box(&mut input)));
        });
    }
}

/// Heads for messages, and a run with an id of another width: what the relay writes.
fn writing(criterion: &mut Criterion) {
    for payload_len in [64, 1024] {
        let Messages { bytes: run, count } = Messages::fill(Lengths::Alike(payload_len), BUFFER_LEN);
        let mut group = criterion.benchmark_group(format!("write/{payload_len}"));
        group.throughput(Throughput::Elements(count as u64));
        let payload = vec![0x5a; payload_len];
        let mut out = Vec::with_capacity(2 * BUFFER_LEN);
        let (mut link, half) = writer();
        group.bench_function("put_part", |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..count {
                    link.put_part(half, payload_len as u64, payload_len as u64, &mut out);
                    out.extend_from_slice(black_box(&payload));
                }
            });
        });
        group.bench_function("copy_run", |bencher| {
            let rewrite = Rewrite::to(1000);
            bencher.iter(|| {
                out.clear();
                copy_run(black_box(&run), 1, &rewrite, &mut out);
            });
        });
    }
}

/// An endpoint that may write on a stream of the peer's, more than any benchmark does.
fn writer() -> (Link<u64>, HalfKey) {
    let mut link = Link::new(Limits { halves_max: 1, openings_partial_max: 1 });
    let mut opening = Vec::new();
    chunk::put_payload_head(Kind::OutStream, Flags::CREDIT, 1, 0, &mut opening);
    varint::put(u64::MAX, &mut opening);
    let (mut at, mut half) = (0, None);
    loop {
        let step = link.next(&opening[at..]).expect("the opening is valid");
        at += step.used;
        match step.event {
            Some(Event::Credit(key, ..)) => half = Some(key),
            Some(_) => {}
            None => return (link, half.expect("there is credit")),
        }
    }
}

criterion_group!(benches, integers, reading, writing);
criterion_main!(benches);
