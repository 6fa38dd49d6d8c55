//! "No allocation per relayed message in steady state": a relay in this very process, under an allocator that counts.
//!
//! The plugins at both ends run on threads of this process, too, so they do their work in buffers that they have made
//! before: whatever is counted while messages flow is the relay's. This is a binary of its own because there is one
//! allocator for each, and one test, because another one beside it would be counted.

use std::alloc::System;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use bpmux::decoder::{Decoder, Field};
use engine::listener::Listener;
use relay::config::{Config, Environment, Overrides};
use relay::shard::Relay;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tests::bus::PATIENT;
use tests::pair::Pair;
use tests::peer::{Address, plugin};
use tests::wire::{Kind, in_stream, out_sink};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that go out in one write, about.
const BATCH_BYTES: usize = 64 << 10;
/// What the connection may have in flight.
const CAP_BYTES: u64 = 1 << 20;
/// Bytes to read at once.
const INPUT_BYTES: usize = 256 << 10;
/// Batches before anything is counted: queues and pools grow to their size.
const WARM_UP_BATCHES: usize = 200;
/// What may be allocated however many messages there are: queues and pools that grow late.
const ALLOCATIONS_MAX: usize = 150;
/// Above that, an allocation for so many messages would be one too many.
const MESSAGES_PER_ALLOCATION: usize = 1_000;

/// One way in which messages flow.
#[derive(Clone, Copy, Debug)]
struct Case {
    message_bytes: usize,
    messages: usize,
    shards: usize,
    /// Send buffer of the relay's sockets: with little room the reader is always behind, and messages wait in the relay.
    socket_bytes: usize,
}

#[test]
fn nothing_is_allocated_for_a_message() {
    let mut failures = Vec::new();
    for shards in [1, 2] {
        for socket_bytes in [1 << 20, 16 << 10] {
            for (message_bytes, messages) in [(64, 200_000), (1 << 10, 100_000), (20_000, 20_000), (200_000, 2_000)] {
                let case = Case { message_bytes, messages, shards, socket_bytes };
                let allocations = allocations(case);
                eprintln!("{case:?}: {allocations} allocations");
                if allocations > ALLOCATIONS_MAX + messages / MESSAGES_PER_ALLOCATION {
                    failures.push(format!("{case:?}: {allocations} allocations"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How often memory is asked for while messages flow.
fn allocations(case: Case) -> usize {
    let directory = tests::directory::directory();
    let path = directory.path().join("bus.sock");
    let relay = relay(&path, case);
    let address = Address::Unix(path);
    let mut pair = Pair::between(plugin(&address, "a"), plugin(&address, "b"), 1);
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    pair.b.send_now(&in_stream(at_b).credit(1 << 50));
    pair.a.wait_credit(Kind::OutSink, at_a, 1 << 19);
    let credit = pair.a.credit(Kind::OutSink, at_a);
    let mut writer = Writer::new(pair.a.into_unix_socket(), credit, at_a, case);
    let mut reader = Reader::new(pair.b.into_unix_socket());
    let warm_up = WARM_UP_BATCHES * writer.batch_messages;
    let barrier = Barrier::new(3);
    let phases = [warm_up, case.messages];
    // Whoever fails goes on to the next meeting all the same, so that nobody waits there for ever.
    let (written, read, counted) = thread::scope(|scope| {
        let writing = scope.spawn(|| phases.map(|messages| meet(&barrier, || writer.write(messages))));
        let reading = scope
            .spawn(|| phases.map(|messages| meet(&barrier, || reader.read((messages * case.message_bytes) as u64))));
        meet(&barrier, || ());
        let region = Region::new(ALLOCATOR);
        meet(&barrier, || ());
        let counted = region.change();
        (writing.join(), reading.join(), counted)
    });
    for result in [written, read] {
        result.expect("no thread panics").into_iter().for_each(|result| result.expect("messages flow"));
    }
    relay.stopper().stop();
    relay.join().expect("the relay stops in good order");
    counted.allocations + counted.reallocations
}

/// Does something that begins and ends for all at the same time.
fn meet<R>(barrier: &Barrier, act: impl FnOnce() -> R) -> R {
    barrier.wait();
    let result = act();
    barrier.wait();
    result
}

fn relay(path: &Path, case: Case) -> Relay {
    // The writer does not cut its batches to the credit that it has, so it must always have enough for one.
    let caps = ["min", "initial", "max"].map(|cap| format!("cap_{cap}_bytes = {CAP_BYTES}\n")).concat();
    let text = format!("{PATIENT}[credit]\n{caps}[socket]\nunix_send_buffer_bytes = {}\n", case.socket_bytes);
    let shards = u32::try_from(case.shards).ok();
    let flags = Overrides { unix: vec![path.display().to_string()], shards, ..Overrides::default() };
    let config = Config::parse("test", &text, &flags, &Environment::of_process()).expect("it is valid");
    let listener = Listener::unix(path, 0o600).expect("nobody listens there");
    Relay::start(config, vec![listener]).expect("there is io_uring")
}

/// Writes the same message again and again, as credit allows.
struct Writer {
    socket: UnixStream,
    decoder: Decoder,
    input: Vec<u8>,
    credit: u64,
    message_bytes: u64,
    /// A batch of messages, with their heads, and how many there are in it.
    batch: Vec<u8>,
    batch_messages: usize,
}

impl Writer {
    fn new(socket: UnixStream, credit: u64, id: u64, case: Case) -> Self {
        let message = out_sink(id).payload(vec![b'm'; case.message_bytes]).bytes();
        let batch_messages = (BATCH_BYTES / message.len()).max(1);
        let batch = message.repeat(batch_messages);
        let message_bytes = case.message_bytes as u64;
        let (decoder, input) = (Decoder::default(), vec![0; INPUT_BYTES]);
        Self { socket, decoder, input, credit, message_bytes, batch, batch_messages }
    }

    fn write(&mut self, messages: usize) -> io::Result<()> {
        let mut left = messages;
        while left > 0 {
            let count = left.min(self.batch_messages);
            let payload = count as u64 * self.message_bytes;
            while self.credit < payload {
                self.hear()?;
            }
            self.credit -= payload;
            let bytes = self.batch.len() / self.batch_messages * count;
            self.socket.write_all(&self.batch[..bytes])?;
            left -= count;
        }
        Ok(())
    }

    /// All that the relay says to the writer is credit.
    fn hear(&mut self) -> io::Result<()> {
        let credit = &mut self.credit;
        decode(&mut self.socket, &mut self.decoder, &mut self.input, |field| {
            if let Field::Credit(amount) = field {
                *credit += amount;
            }
        })
    }
}

/// Counts the payload that comes.
struct Reader {
    socket: UnixStream,
    decoder: Decoder,
    input: Vec<u8>,
}

impl Reader {
    fn new(socket: UnixStream) -> Self {
        Self { socket, decoder: Decoder::default(), input: vec![0; INPUT_BYTES] }
    }

    fn read(&mut self, payload_bytes: u64) -> io::Result<()> {
        let mut left = payload_bytes;
        while left > 0 {
            decode(&mut self.socket, &mut self.decoder, &mut self.input, |field| {
                if let Field::Payload { len, .. } = field {
                    left -= len as u64;
                }
            })?;
        }
        Ok(())
    }
}

/// Reads once, and hands over what has come.
fn decode(
    socket: &mut UnixStream,
    decoder: &mut Decoder,
    input: &mut [u8],
    mut see: impl FnMut(Field),
) -> io::Result<()> {
    let count = socket.read(input)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut at = 0;
    loop {
        let (used, field) = decoder.next(&input[at..count]).map_err(io::Error::other)?;
        at += used;
        match field {
            Some(field) => see(field),
            None => return Ok(()),
        }
    }
}
