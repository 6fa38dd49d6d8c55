//! Says what a link says in other words: the same on each half, cut and joined as the protocol allows.
//!
//! Payloads, openings and ends go out in parts, empty ones among them; credit in portions; what follows each other on a half
//! in one chunk. What is about other halves may overtake the rest of it.

use std::collections::VecDeque;

use bpmux::chunk::{put_partial, tag};
use bpmux::varint::{self, Parsed};
use bpmux::{Flags, Kind};

use super::rng::Rng;

/// The most parts of one payload, the empty ones not counted.
const PARTS_MAX: usize = 4;

/// A chunk, and the total of the Partial before it.
#[derive(Clone, Debug)]
struct Chunk {
    total: Option<u64>,
    kind: Kind,
    id: u64,
    payload: Option<Vec<u8>>,
    credit: Option<u64>,
    ping: bool,
    end: Option<Vec<u8>>,
    ack: bool,
}

/// What is still to be said about one half.
#[derive(Debug)]
struct Half {
    name: (Kind, u64),
    chunks: VecDeque<Chunk>,
    /// Bytes of the payload that the link itself sends in parts.
    left: u64,
}

#[derive(Debug)]
pub(super) struct Cutter {
    rng: Rng,
    halves: Vec<Half>,
}

impl Cutter {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, halves: Vec::new() }
    }

    /// Whether all has been said.
    pub(super) fn is_empty(&self) -> bool {
        self.halves.iter().all(|half| half.chunks.is_empty())
    }

    /// What is still to be said never will be.
    pub(super) fn forget_all(&mut self) {
        self.halves.clear();
    }

    /// Takes chunks, all of them whole.
    pub(super) fn take(&mut self, mut said: &[u8], out: &mut Vec<u8>) {
        while !said.is_empty() {
            let chunk = Chunk::parse(&mut said);
            let is_first = matches!(chunk.kind, Kind::Duplex) || chunk.name() == (Kind::InSink, 0);
            if chunk.kind == Kind::Duplex {
                // What was said of an id that is used again comes before it, on both of its halves.
                self.finish((Kind::OutSink, chunk.id), out);
            }
            if chunk.name() == (Kind::InSink, 0) {
                // The registration comes before all else, and a goodbye behind it.
                self.finish_all(out);
            }
            let name = chunk.name();
            let parts = self.cut(chunk);
            if !is_first {
                self.half(name).chunks.extend(parts);
                continue;
            }
            self.finish(name, out);
            self.half(name).chunks.extend(parts);
            if name == (Kind::InSink, 0) {
                self.finish(name, out);
            } else {
                self.say(name, out);
            }
        }
    }

    /// Says `chunks_max` of what is still to be said.
    pub(super) fn go_on(&mut self, chunks_max: usize, out: &mut Vec<u8>) {
        for _ in 0..chunks_max {
            self.halves.retain(|half| !half.chunks.is_empty() || half.left > 0);
            let waiting: Vec<_> =
                self.halves.iter().filter(|half| !half.chunks.is_empty()).map(|half| half.name).collect();
            if waiting.is_empty() {
                return;
            }
            let name = self.rng.pick(&waiting);
            self.say(name, out);
        }
    }

    /// Says all that is still to be said.
    pub(super) fn finish_all(&mut self, out: &mut Vec<u8>) {
        self.go_on(usize::MAX, out);
    }

    fn finish(&mut self, name: (Kind, u64), out: &mut Vec<u8>) {
        while self.say(name, out) {}
    }

    fn half(&mut self, name: (Kind, u64)) -> &mut Half {
        let index = self.halves.iter().position(|half| half.name == name).unwrap_or_else(|| {
            self.halves.push(Half { name, chunks: VecDeque::new(), left: 0 });
            self.halves.len() - 1
        });
        &mut self.halves[index]
    }

    /// Says the next chunk about a half, and perhaps what follows it as well; whether there was any.
    fn say(&mut self, name: (Kind, u64), out: &mut Vec<u8>) -> bool {
        let rng = &mut self.rng;
        let Some(half) = self.halves.iter_mut().find(|half| half.name == name) else { return false };
        let Some(mut chunk) = half.chunks.pop_front() else { return false };
        while let Some(next) = half.chunks.front()
            && chunk.may_join(next)
            && rng.once_in(2)
        {
            let next = half.chunks.pop_front().expect("it was looked at");
            chunk.join(next);
        }
        chunk.put(out);
        true
    }

    /// The same in several chunks.
    fn cut(&mut self, chunk: Chunk) -> Vec<Chunk> {
        let name = chunk.name();
        let len = chunk.payload.as_ref().map_or(0, |payload| payload.len() as u64);
        let before = self.half(name).left;
        let left = chunk.total.unwrap_or(before.max(len)) - len;
        self.half(name).left = if chunk.end.is_some() || chunk.ack { 0 } else { left };
        if self.rng.once_in(2) {
            return vec![chunk];
        }
        if let Some(payload) = chunk.payload.as_ref().filter(|payload| !payload.is_empty()) {
            let in_parts = chunk.total.is_some() || before > 0;
            let parts = self.parts(payload);
            let total = if in_parts { chunk.total } else { Some(len).filter(|_| parts.len() > 1) };
            let later = |part| Chunk { payload: Some(part), ..Chunk::bare(name) };
            let mut chunks: Vec<_> = parts.into_iter().map(later).collect();
            // Whatever else it says stands at its beginning, as the link has said it.
            chunks[0] = Chunk { total, payload: chunks[0].payload.take(), ..chunk };
            return chunks;
        }
        if let Some(end) = chunk.end.as_ref().filter(|end| !end.is_empty() && left == 0) {
            let total = end.len() as u64;
            let parts = self.parts(end);
            let total = Some(total).filter(|_| parts.len() > 1);
            let mut chunks: Vec<_> = parts.into_iter().map(|part| Chunk { end: Some(part), ..chunk.clone() }).collect();
            chunks[0].total = total;
            return chunks;
        }
        if let Some(credit) = chunk.credit.filter(|credit| *credit > 1 && chunk.payload.is_none()) {
            let first = 1 + self.rng.next() % (credit - 1);
            return vec![
                Chunk { credit: Some(first), ping: false, ..chunk.clone() },
                Chunk { credit: Some(credit - first), ..chunk },
            ];
        }
        vec![chunk]
    }

    /// Cuts bytes, of which there are some; the last part is none of the empty ones, which would be another payload.
    fn parts(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            if self.rng.once_in(4) {
                parts.push(Vec::new());
            }
            let last = parts.len() + 1 >= PARTS_MAX;
            let len = if last { bytes.len() } else { 1 + self.rng.below(bytes.len()) };
            let (part, leftover) = bytes.split_at(len);
            parts.push(part.to_vec());
            bytes = leftover;
        }
        parts
    }
}

impl Chunk {
    /// The half that it is about.
    fn name(&self) -> (Kind, u64) {
        (if self.kind == Kind::Duplex { Kind::OutStream } else { self.kind }, self.id)
    }

    /// One that says nothing.
    fn bare((kind, id): (Kind, u64)) -> Self {
        Self { total: None, kind, id, payload: None, credit: None, ping: false, end: None, ack: false }
    }

    /// Reads a chunk off the front of what a link has written.
    fn parse(bytes: &mut &[u8]) -> Self {
        let mut total = None;
        if Kind::of_tag(bytes[0]) == Kind::Partial {
            let digits = usize::from(bytes[0] & 7) + 1;
            total = Some(varint::big_endian(&take(bytes, 1 + digits)[1..]));
        }
        let first = take(bytes, 1)[0];
        let (kind, flags) = (Kind::of_tag(first), Flags::of_tag(first));
        let id = take_varint(bytes);
        let payload = flags.has(Flags::PAYLOAD).then(|| take_payload(bytes));
        let credit = flags.has(Flags::CREDIT).then(|| take_varint(bytes));
        let end = flags.has(Flags::END).then(|| take_payload(bytes));
        Self { total, kind, id, payload, credit, ping: flags.has(Flags::PING), end, ack: flags.has(Flags::ACK_END) }
    }

    fn put(&self, out: &mut Vec<u8>) {
        if let Some(total) = self.total {
            put_partial(total, out);
        }
        let flag = |set: bool, flag: Flags| if set { flag.0 } else { 0 };
        let flags = flag(self.payload.is_some(), Flags::PAYLOAD)
            | flag(self.credit.is_some(), Flags::CREDIT)
            | flag(self.ping, Flags::PING)
            | flag(self.end.is_some(), Flags::END)
            | flag(self.ack, Flags::ACK_END);
        out.push(tag(self.kind, Flags(flags)));
        varint::put(self.id, out);
        if let Some(payload) = &self.payload {
            varint::put(payload.len() as u64, out);
            out.extend_from_slice(payload);
        }
        if let Some(credit) = self.credit {
            varint::put(credit, out);
        }
        if let Some(end) = &self.end {
            varint::put(end.len() as u64, out);
            out.extend_from_slice(end);
        }
    }

    /// Whether it has a field.
    fn says(&self) -> bool {
        self.payload.is_some() || self.credit.is_some() || self.ping || self.end.is_some()
    }

    /// Whether `next`, which is about the same half, may stand in the same chunk: fields take effect in a fixed order.
    fn may_join(&self, next: &Self) -> bool {
        let ordered = if next.credit.is_some() {
            self.credit.is_none() && !self.ping
        } else if next.ping {
            !self.ping
        } else {
            next.end.is_some()
        };
        let plain = |chunk: &Self| !chunk.ack && chunk.says();
        // A Partial is about the payload, if there is one.
        let clear = next.total.is_none() || self.payload.is_none();
        plain(self) && plain(next) && next.payload.is_none() && self.end.is_none() && ordered && clear
    }

    fn join(&mut self, next: Self) {
        self.total = self.total.or(next.total);
        self.credit = self.credit.or(next.credit);
        self.ping |= next.ping;
        self.end = next.end;
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, leftover) = bytes.split_at(len);
    *bytes = leftover;
    taken
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let Ok(Parsed::Value(value, len)) = varint::parse(bytes) else { panic!("no integer: {bytes:?}") };
    take(bytes, len);
    value
}

fn take_payload(bytes: &mut &[u8]) -> Vec<u8> {
    let len = take_varint(bytes);
    take(bytes, len as usize).to_vec()
}
