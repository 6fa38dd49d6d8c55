//! Chunks of the oracle's to feed to a link, and a transcript of what the link made of them.

use bpmux::{Event, HalfKey, Kind, Limits, Link, LinkError, Opened, Over, Piece, What};
use oracle::wire::{self, Chunk};

/// Top-level credit that both ends of [`End::new`] hold.
pub(crate) const TOP_CREDIT: u64 = 1000;

pub(crate) const LIMITS: Limits = Limits { halves_max: 100, openings_partial_max: 10 };

/// The kinds of chunks, as the core and as the oracle names them.
const KINDS: [(Kind, wire::Kind); 7] = [
    (Kind::OutRequest, wire::Kind::OutRequest),
    (Kind::InRequest, wire::Kind::InRequest),
    (Kind::OutSink, wire::Kind::OutSink),
    (Kind::InSink, wire::Kind::InSink),
    (Kind::OutStream, wire::Kind::OutStream),
    (Kind::InStream, wire::Kind::InStream),
    (Kind::Duplex, wire::Kind::Duplex),
];

/// The oracle's name of a kind.
pub(crate) fn kind_of(kind: Kind) -> wire::Kind {
    KINDS.iter().find(|(core, _)| *core == kind).expect("a Partial is no chunk of its own").1
}

/// The core's name of a kind.
pub(crate) fn kind(of: wire::Kind) -> Kind {
    KINDS.iter().find(|(_, oracle)| *oracle == of).expect("all are there").0
}

/// A chunk without any field: a pong.
pub(crate) fn chunk(kind: Kind, id: u64) -> Chunk {
    wire::chunk(kind_of(kind), id)
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
            let Piece { what, total, first, last, .. } = piece;
            Seen::Payload { key, what, total, first, last, bytes: bytes.into() }
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
