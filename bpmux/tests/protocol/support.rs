//! Chunks to feed to a link, built field by field, and a transcript of what the link made of them.

use bpmux::chunk::{put_partial, put_payload_head, tag};
use bpmux::{DuplexKeys, Event, Flags, HalfKey, Kind, Limits, Link, LinkError, Opened, Over, What, varint};

/// Top-level credit that both ends of [`End::new`] hold.
pub(crate) const TOP_CREDIT: u64 = 1000;

pub(crate) const LIMITS: Limits = Limits { halves_max: 100, openings_partial_max: 10 };

/// A chunk of the peer's.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) credit: Option<u64>,
    pub(crate) ping: bool,
    pub(crate) end: Option<Vec<u8>>,
    pub(crate) ack: bool,
}

/// A chunk without any field: a pong.
pub(crate) fn chunk(kind: Kind, id: u64) -> Chunk {
    Chunk { kind, id, payload: None, credit: None, ping: false, end: None, ack: false }
}

impl Chunk {
    pub(crate) fn payload(self, bytes: &[u8]) -> Self {
        Self { payload: Some(bytes.into()), ..self }
    }

    pub(crate) fn credit(self, amount: u64) -> Self {
        Self { credit: Some(amount), ..self }
    }

    pub(crate) fn ping(self) -> Self {
        Self { ping: true, ..self }
    }

    pub(crate) fn end(self, bytes: &[u8]) -> Self {
        Self { end: Some(bytes.into()), ..self }
    }

    pub(crate) fn ack(self) -> Self {
        Self { ack: true, ..self }
    }

    /// The chunk as it stands on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let flag = |set: bool, flag: Flags| if set { flag.0 } else { 0 };
        let flags = Flags(
            flag(self.credit.is_some(), Flags::CREDIT)
                | flag(self.ping, Flags::PING)
                | flag(self.end.is_some(), Flags::END)
                | flag(self.ack, Flags::ACK_END),
        );
        let mut out = Vec::new();
        if let Some(payload) = &self.payload {
            put_payload_head(self.kind, flags, self.id, payload.len() as u64, &mut out);
            out.extend_from_slice(payload);
        } else {
            out.push(tag(self.kind, flags));
            varint::put(self.id, &mut out);
        }
        if let Some(amount) = self.credit {
            varint::put(amount, &mut out);
        }
        if let Some(payload) = &self.end {
            varint::put(payload.len() as u64, &mut out);
            out.extend_from_slice(payload);
        }
        out
    }

    /// The chunk behind a Partial.
    pub(crate) fn part_of(&self, total: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_partial(total, &mut out);
        out.extend(self.bytes());
        out
    }
}

/// What a link made of its input. Pieces that a cut has separated are joined, so that the transcript of a stream is
/// the same for every cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Opened(Opened),
    Payload { key: HalfKey, what: What, total: u64, first: bool, last: bool, bytes: Vec<u8> },
    Credit(HalfKey, u64),
    Ping(HalfKey),
    Pong(HalfKey),
    Missed(HalfKey),
    Over(HalfKey, Over),
}

/// A whole payload.
pub(crate) fn whole(key: HalfKey, what: What, bytes: &[u8]) -> Seen {
    Seen::Payload { key, what, total: bytes.len() as u64, first: true, last: true, bytes: bytes.into() }
}

/// Some of a payload of `total` bytes.
pub(crate) fn some(key: HalfKey, what: What, total: u64, first: bool, last: bool, bytes: &[u8]) -> Seen {
    Seen::Payload { key, what, total, first, last, bytes: bytes.into() }
}

/// Appends an event; `bytes` are those of a piece.
pub(crate) fn note<U>(seen: &mut Vec<Seen>, event: Event<U>, bytes: &[u8]) {
    let new = match event {
        Event::Opened(opened) => Seen::Opened(opened),
        Event::Credit(key, _, amount) => Seen::Credit(key, amount),
        Event::Ping(key, _) => Seen::Ping(key),
        Event::Pong(key, _) => Seen::Pong(key),
        Event::Missed(key, _) => Seen::Missed(key),
        Event::Over(key, _, over) => Seen::Over(key, over),
        Event::Piece(key, _, piece) => {
            let bytes = &bytes[bytes.len() - piece.len..];
            if let Some(Seen::Payload { key: of, what, total, last, bytes: before, .. }) = seen.last_mut()
                && (*of, *what, *total, *last, piece.first) == (key, piece.what, piece.total, false, false)
            {
                before.extend_from_slice(bytes);
                *last = piece.last;
                return;
            }
            some(key, piece.what, piece.total, piece.first, piece.last, bytes)
        }
    };
    seen.push(new);
}

/// Feeds `input` to `link`, appends what it meant to `seen`, and says how it ended.
pub(crate) fn feed<U: Copy + Default>(link: &mut Link<U>, input: &[u8], seen: &mut Vec<Seen>) -> Result<(), LinkError> {
    let mut at = 0;
    loop {
        let step = link.next(&input[at..])?;
        at += step.used;
        match step.event {
            Some(event) => note(seen, event, &input[..at]),
            None => {
                assert_eq!(at, input.len(), "without an event all of the input is used up");
                return Ok(());
            }
        }
    }
}

/// One end of a connection, the one under test.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) link: Link<u32>,
}

impl End {
    /// Both ends have given [`TOP_CREDIT`] at the top level.
    pub(crate) fn new() -> Self {
        Self::with(LIMITS)
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let mut end = Self { link: Link::new(limits) };
        end.link.grant(HalfKey::TOP_READER, TOP_CREDIT);
        end.flush();
        end.feed(&chunk(Kind::InStream, 0).credit(TOP_CREDIT).bytes());
        end
    }

    pub(crate) fn try_feed(&mut self, input: &[u8]) -> Result<Vec<Seen>, LinkError> {
        let mut seen = Vec::new();
        feed(&mut self.link, input, &mut seen).map(|()| seen)
    }

    pub(crate) fn feed(&mut self, input: &[u8]) -> Vec<Seen> {
        self.try_feed(input).expect("the input is valid")
    }

    /// Everything that is owed.
    pub(crate) fn flush(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(!self.link.flush_owed(&mut out, usize::MAX));
        assert!(!self.link.owes());
        out
    }

    /// Feeds an opening of a request, a sink or a stream, and gives its half.
    pub(crate) fn peer_opens(&mut self, opening: &[u8]) -> HalfKey {
        match self.feed(opening)[0] {
            Seen::Opened(Opened::Request(key) | Opened::Sink(key) | Opened::Stream(key)) => key,
            ref other => panic!("not an opening: {other:?}"),
        }
    }

    /// Feeds an opening of a duplex, and gives its halves.
    pub(crate) fn peer_opens_duplex(&mut self, opening: &[u8]) -> DuplexKeys {
        match self.feed(opening)[0] {
            Seen::Opened(Opened::Duplex(keys)) => keys,
            ref other => panic!("not a duplex: {other:?}"),
        }
    }

    /// Opens a request, a sink or a stream, with an empty opening payload.
    pub(crate) fn opens(&mut self, kind: Kind, credit: u64) -> HalfKey {
        let key = self.link.open(kind, b"", credit, &mut Vec::new()).expect("an empty opening needs no credit");
        self.flush();
        key
    }

    /// Whether the half is forgotten.
    pub(crate) fn is_gone(&self, key: HalfKey) -> bool {
        self.link.id(key).is_none()
    }
}

pub(crate) fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Reads what a link has written: chunks, each with the total of the Partial before it. Knows only valid output.
pub(crate) fn parse(mut bytes: &[u8]) -> Vec<(Option<u64>, Chunk)> {
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let mut total = None;
        if Kind::of_tag(bytes[0]) == Kind::Partial {
            let digits = usize::from(bytes[0] & 7) + 1;
            total = Some(varint::big_endian(take(&mut bytes, 1 + digits).split_at(1).1));
        }
        let tag = take(&mut bytes, 1)[0];
        let flags = Flags::of_tag(tag);
        let mut chunk = chunk(Kind::of_tag(tag), take_varint(&mut bytes));
        if flags.has(Flags::PAYLOAD) {
            chunk.payload = Some(take_payload(&mut bytes));
        }
        if flags.has(Flags::CREDIT) {
            chunk.credit = Some(take_varint(&mut bytes));
        }
        if flags.has(Flags::END) {
            chunk.end = Some(take_payload(&mut bytes));
        }
        chunk.ping = flags.has(Flags::PING);
        chunk.ack = flags.has(Flags::ACK_END);
        chunks.push((total, chunk));
    }
    chunks
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    taken
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let Ok(varint::Parsed::Value(value, len)) = varint::parse(bytes) else { panic!("no integer: {bytes:?}") };
    take(bytes, len);
    value
}

fn take_payload(bytes: &mut &[u8]) -> Vec<u8> {
    let len = take_varint(bytes);
    take(bytes, len as usize).to_vec()
}
