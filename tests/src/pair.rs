//! Two plugins with a channel between them, and the way of a message from one to the other.

use std::time::{Duration, Instant};

use crate::audit::What;
use crate::bus::Bus;
use crate::peer::{Peer, entry};
use crate::wire::{Kind, chunk, in_sink, in_stream, out_sink, out_stream};
use Kind::{InSink, InStream, OutSink, OutStream};

/// Credit that each side of a pair gives at the start, for messages and for a cancel payload. A connection moves no
/// byte by itself, so it is all there for end payloads.
pub const CREDIT: u64 = 64;

/// How long to dial. It bounds a test that fails; it measures nothing.
const PATIENCE: Duration = Duration::from_secs(15);

/// A channel from `a` to `b`, accepted.
pub struct Pair {
    /// The initiator: it writes `Out-Sink` and reads `In-Sink`.
    pub a: Peer,
    /// The acceptor: it writes `In-Sink` and reads `Out-Sink`.
    pub b: Peer,
    /// The id at `a`.
    pub at_a: u64,
    /// The id at `b`.
    pub at_b: u64,
}

impl Pair {
    /// Two new plugins, connected.
    pub fn open(bus: &Bus) -> Self {
        let (a, b) = bus.next_two();
        Self::between(a, b, 7)
    }

    /// Connects a plugin of version 1, or a client, to one that it lists.
    pub fn between(mut a: Peer, mut b: Peer, at_a: u64) -> Self {
        let at_b = connect(&mut a, at_a, &mut b);
        Self { a, b, at_a, at_b }
    }

    /// From `a` to `b`.
    pub fn forth(&mut self) -> Way<'_> {
        Way { from: &mut self.a, write: (OutSink, self.at_a), to: &mut self.b, read: (InStream, self.at_b) }
    }

    /// From `b` to `a`.
    pub fn back(&mut self) -> Way<'_> {
        Way { from: &mut self.b, write: (InSink, self.at_b), to: &mut self.a, read: (OutStream, self.at_a) }
    }

    /// A message each way.
    pub fn exchange(&mut self, text: &str, step: u64) {
        self.forth().carry(text.as_bytes(), step);
        self.back().carry(text.as_bytes(), step);
    }

    /// Ends both halves from the side of `a`, with all acks.
    pub fn finish(&mut self) {
        let (at_a, at_b) = (self.at_a, self.at_b);
        for (incoming, own) in [(OutSink, InStream), (OutStream, InSink)] {
            if self.b.allowance(incoming, at_b) == 0 {
                self.b.send_now(&chunk(own, at_b).credit(1));
            }
        }
        self.a.send_all(&[out_sink(at_a).end([]), out_stream(at_a).end([])]);
        self.a.expect(InStream, at_a, &What::AckEnd);
        self.a.expect(InSink, at_a, &What::AckEnd);
        self.b.expect_ends(at_b, &[0]);
    }

    /// Nothing is left over on either side.
    pub fn quiet(&mut self) {
        quiet(&mut self.a, &mut self.b);
    }
}

/// Nothing is left over on either of two plugins, asked by turns: what one has sent may concern the other.
pub fn quiet(a: &mut Peer, b: &mut Peer) {
    for _ in 0..2 {
        a.quiet();
        b.quiet();
    }
}

/// Connects a plugin of version 1, or a client, to one that it lists; gives the id at `b`.
pub fn connect(a: &mut Peer, at_a: u64, b: &mut Peer) -> u64 {
    a.dial_with(at_a, b.name(), CREDIT, CREDIT);
    let at_b = answer(b, &entry(a.name(), 1));
    a.expect(InSink, at_a, &What::Message(Vec::new()));
    at_b
}

/// Answers the next offer, which must be of that entry, with the empty message; gives the id at `b`.
pub fn answer(b: &mut Peer, offered: &[u8]) -> u64 {
    let (id, payload) = b.offer();
    if payload != [&[0], offered].concat() {
        b.fail(&format!("offered {}, not {}", payload.escape_ascii(), offered.escape_ascii()));
    }
    b.send_all(&[in_stream(id).credit(CREDIT), in_sink(id).credit(CREDIT)]);
    b.accept(id);
    id
}

/// What becomes of a dial of `a` to `b`: `None` when `b` is offered it, else the payload it is refused with, acked.
///
/// # Panics
/// When nothing becomes of it.
pub fn outcome(a: &mut Peer, b: &mut Peer, id: u64) -> Option<Vec<u8>> {
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        a.fence();
        b.fence();
        if b.has_offer() {
            return None;
        }
        if a.has(InSink, id) {
            let What::End(payload) = a.next_on(InSink, id) else { a.fail("neither offered nor refused") };
            a.ack(InSink, id);
            a.expect_end(InStream, id, &payload);
            return Some(payload);
        }
    }
    a.fail("neither offered nor refused")
}

/// Dials again and again until `b` is offered it: what was between them before may still be on its way out.
pub fn dial_again(a: &mut Peer, b: &mut Peer, id: u64) {
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        a.dial_with(id, b.name(), CREDIT, CREDIT);
        if outcome(a, b, id).is_none() {
            return;
        }
    }
    a.fail("refused each time")
}

/// One direction of a channel, each end addressed as that plugin's own chunks do.
pub struct Way<'a> {
    /// The writer.
    pub from: &'a mut Peer,
    /// Its half.
    pub write: (Kind, u64),
    /// The reader.
    pub to: &'a mut Peer,
    /// Its half.
    pub read: (Kind, u64),
}

impl Way<'_> {
    /// How incoming chunks address the reader's half.
    fn incoming(&self) -> (Kind, u64) {
        (self.read.0.inverted(self.read.1), self.read.1)
    }

    /// Sends one-byte messages until that many bytes of credit are used up, all of which must come.
    pub fn use_up(&mut self, credit: u64) {
        let (kind, id) = self.incoming();
        for _ in 0..credit {
            self.from.wait_credit(self.write.0, self.write.1, 1);
            self.from.send_now(&chunk(self.write.0, self.write.1).payload(b"x"));
            self.to.expect(kind, id, &What::Message(b"x".to_vec()));
        }
    }

    /// Gives credit for a message in steps, as its parts come, and sends it as credit comes. It must arrive whole.
    pub fn carry(&mut self, message: &[u8], step: u64) {
        let (kind, id) = self.incoming();
        let (write, write_id) = self.write;
        let mut arrived = self.to.bytes_total(kind, id);
        let mut rest = message;
        while !rest.is_empty() {
            if self.from.credit(write, write_id) == 0 {
                if self.to.allowance(kind, id) == 0 {
                    self.to.give(self.read.0, self.read.1, step);
                }
                self.from.wait_credit(write, write_id, 1);
            }
            let granted = usize::try_from(self.from.credit(write, write_id)).unwrap_or(usize::MAX);
            let (part, behind) = rest.split_at(granted.min(rest.len()));
            let first = chunk(write, write_id).payload(part);
            let cut = rest.len() == message.len() && !behind.is_empty();
            self.from.send_now(&if cut { first.partial(message.len() as u64) } else { first });
            arrived += part.len() as u64;
            self.to.wait_bytes(kind, id, arrived);
            rest = behind;
        }
        if message.is_empty() {
            self.from.send_now(&chunk(write, write_id).payload([]));
        }
        self.to.expect(kind, id, &What::Message(message.to_vec()));
    }
}
