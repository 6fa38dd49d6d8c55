//! Says what a link says in other words: the same on each half, cut and joined as the protocol allows.
//!
//! Payloads, openings and ends go out in parts, empty ones among them; credit in portions; what follows each other on a half
//! in one chunk. What is about other halves may overtake the rest of it.

use std::collections::VecDeque;

use oracle::wire::{Chunk, Kind, chunk, parse};

use super::rng::Rng;

/// The most parts of one payload, the empty ones not counted.
const PARTS_MAX: usize = 4;

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
            let (chunk, len) = parse(said).expect("a link keeps the rules").expect("it writes whole chunks");
            said = &said[len..];
            let name = name(&chunk);
            let is_first = chunk.kind == Kind::Duplex || name == (Kind::InSink, 0);
            if chunk.kind == Kind::Duplex {
                // What was said of an id that is used again comes before it, on both of its halves.
                self.finish((Kind::OutSink, chunk.id), out);
            }
            if name == (Kind::InSink, 0) {
                // The registration comes before all else, and a goodbye behind it.
                self.finish_all(out);
            }
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
            && may_join(&chunk, next)
            && rng.once_in(2)
        {
            let next = half.chunks.pop_front().expect("it was looked at");
            join(&mut chunk, next);
        }
        out.extend(chunk.bytes());
        true
    }

    /// The same in several chunks.
    fn cut(&mut self, whole: Chunk) -> Vec<Chunk> {
        let name = name(&whole);
        let len = whole.payload.as_ref().map_or(0, |payload| payload.len() as u64);
        let before = self.half(name).left;
        let left = whole.partial.unwrap_or(before.max(len)) - len;
        self.half(name).left = if whole.end.is_some() || whole.ack_end { 0 } else { left };
        if self.rng.once_in(2) {
            return vec![whole];
        }
        if let Some(payload) = whole.payload.as_ref().filter(|payload| !payload.is_empty()) {
            let in_parts = whole.partial.is_some() || before > 0;
            let parts = self.parts(payload);
            let total = if in_parts { whole.partial } else { Some(len).filter(|_| parts.len() > 1) };
            let later = |part| chunk(name.0, name.1).payload(part);
            let mut chunks: Vec<_> = parts.into_iter().map(later).collect();
            // Whatever else it says stands at its beginning, as the link has said it.
            chunks[0] = Chunk { partial: total, payload: chunks[0].payload.take(), ..whole };
            return chunks;
        }
        if let Some(end) = whole.end.as_ref().filter(|end| !end.is_empty() && left == 0) {
            let total = end.len() as u64;
            let parts = self.parts(end);
            let total = Some(total).filter(|_| parts.len() > 1);
            let mut chunks: Vec<_> = parts.into_iter().map(|part| Chunk { end: Some(part), ..whole.clone() }).collect();
            chunks[0].partial = total;
            return chunks;
        }
        if let Some(credit) = whole.credit.filter(|credit| *credit > 1 && whole.payload.is_none()) {
            let first = 1 + self.rng.next() % (credit - 1);
            return vec![
                Chunk { credit: Some(first), ping: false, ..whole.clone() },
                Chunk { credit: Some(credit - first), ..whole },
            ];
        }
        vec![whole]
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

/// The half that a chunk is about.
fn name(chunk: &Chunk) -> (Kind, u64) {
    (if chunk.kind == Kind::Duplex { Kind::OutStream } else { chunk.kind }, chunk.id)
}

/// Whether `next`, which is about the same half, may stand in the same chunk: fields take effect in a fixed order.
fn may_join(chunk: &Chunk, next: &Chunk) -> bool {
    let ordered = if next.credit.is_some() {
        chunk.credit.is_none() && !chunk.ping
    } else if next.ping {
        !chunk.ping
    } else {
        next.end.is_some()
    };
    let plain = |chunk: &Chunk| !chunk.ack_end && chunk.has_other_flags();
    // A Partial is about the payload, if there is one.
    let clear = next.partial.is_none() || chunk.payload.is_none();
    plain(chunk) && plain(next) && next.payload.is_none() && chunk.end.is_none() && ordered && clear
}

fn join(chunk: &mut Chunk, next: Chunk) {
    chunk.partial = chunk.partial.or(next.partial);
    chunk.credit = chunk.credit.or(next.credit);
    chunk.ping |= next.ping;
    chunk.end = next.end;
}
