//! Chunks and their bytes: a codec small enough to check by eye, able to write what the protocol forbids.

use std::fmt;

/// The rule that some bytes break.
pub type Rule = &'static str;

/// The type of a chunk; `Partial` is not among them, it is a prefix of the chunk that follows it ([`Chunk::partial`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum Kind {
    OutRequest,
    InRequest,
    OutSink,
    InSink,
    OutStream,
    InStream,
    Duplex,
}

use Kind::{Duplex, InRequest, InSink, InStream, OutRequest, OutSink, OutStream};

/// The flag bits of a tag.
pub mod flag {
    #![allow(missing_docs, reason = "the names are the protocol's")]
    pub const PAYLOAD: u8 = 0x10;
    pub const CREDIT: u8 = 0x08;
    pub const PING: u8 = 0x04;
    pub const END: u8 = 0x02;
    pub const ACK_END: u8 = 0x01;
}

const PARTIAL: u8 = 0b111;

impl Kind {
    /// Every kind, in the order of its type bits.
    pub const ALL: [Self; 7] = [OutRequest, InRequest, OutSink, InSink, OutStream, InStream, Duplex];

    /// The name that the protocol gives it.
    pub fn name(self) -> &'static str {
        ["Out-Request", "In-Request", "Out-Sink", "In-Sink", "Out-Stream", "In-Stream", "Duplex"][self as usize]
    }

    /// The type by which the other endpoint addresses the same half of `id`. A duplex chunk speaks of the opener's
    /// reading half, so it inverts as `Out-Stream` does; on the top level `In-Sink 0` and `In-Stream 0` face each other.
    pub fn inverted(self, id: u64) -> Self {
        match self {
            InSink if id == 0 => InStream,
            InStream if id == 0 => InSink,
            OutRequest => InRequest,
            InRequest => OutRequest,
            OutSink => InStream,
            InStream => OutSink,
            OutStream | Duplex => InSink,
            InSink => OutStream,
        }
    }
}

/// One chunk, with the `Partial` that stands before it if there is one.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the protocol's")]
pub struct Chunk {
    pub partial: Option<u64>,
    pub kind: Kind,
    pub id: u64,
    pub payload: Option<Vec<u8>>,
    pub credit: Option<u64>,
    pub ping: bool,
    pub end: Option<Vec<u8>>,
    pub ack_end: bool,
}

/// A chunk of `kind` without any flag: on a half that is a pong.
pub fn chunk(kind: Kind, id: u64) -> Chunk {
    Chunk { partial: None, kind, id, payload: None, credit: None, ping: false, end: None, ack_end: false }
}

macro_rules! constructors {
    ($($name:ident $kind:ident),*) => {$(
        #[doc = concat!("A chunk of type `", stringify!($kind), "` without flags.")]
        pub fn $name(id: u64) -> Chunk {
            chunk($kind, id)
        }
    )*};
}
constructors!(out_request OutRequest, in_request InRequest, out_sink OutSink, in_sink InSink,
    out_stream OutStream, in_stream InStream, duplex Duplex);

impl Chunk {
    /// Puts a `Partial` with this total before the chunk.
    pub fn partial(self, total: u64) -> Self {
        Self { partial: Some(total), ..self }
    }

    /// Adds a payload.
    pub fn payload(self, bytes: impl AsRef<[u8]>) -> Self {
        Self { payload: Some(bytes.as_ref().to_vec()), ..self }
    }

    /// Adds credit.
    pub fn credit(self, amount: u64) -> Self {
        Self { credit: Some(amount), ..self }
    }

    /// Adds a ping.
    pub fn ping(self) -> Self {
        Self { ping: true, ..self }
    }

    /// Adds an end with this payload.
    pub fn end(self, bytes: impl AsRef<[u8]>) -> Self {
        Self { end: Some(bytes.as_ref().to_vec()), ..self }
    }

    /// Adds an ack-end, beside whatever flags there are.
    pub fn ack_end(self) -> Self {
        Self { ack_end: true, ..self }
    }

    /// Whether any flag but ack-end is set.
    pub fn has_other_flags(&self) -> bool {
        self.payload.is_some() || self.credit.is_some() || self.ping || self.end.is_some()
    }

    /// The bytes on the wire, `Partial` included.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.partial.map(partial).unwrap_or_default();
        let flags = [
            (self.payload.is_some(), flag::PAYLOAD),
            (self.credit.is_some(), flag::CREDIT),
            (self.ping, flag::PING),
            (self.end.is_some(), flag::END),
            (self.ack_end, flag::ACK_END),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        out.push(tag(self.kind, flags));
        out.extend(varu64(self.id));
        if let Some(payload) = &self.payload {
            out.extend(varu64(payload.len() as u64));
            out.extend(payload);
        }
        if let Some(credit) = self.credit {
            out.extend(varu64(credit));
        }
        if let Some(end) = &self.end {
            out.extend(varu64(end.len() as u64));
            out.extend(end);
        }
        out
    }
}

/// The tag byte of a chunk.
pub fn tag(kind: Kind, flags: u8) -> u8 {
    (kind as u8) << 5 | flags
}

/// The shortest form of a VarU64.
pub fn varu64(value: u64) -> Vec<u8> {
    if value < 248 {
        return vec![value as u8];
    }
    varu64_of_width(value, width(value))
}

/// A VarU64 with `width` bytes (1 to 8) behind its first: valid only if none fewer would do.
pub fn varu64_of_width(value: u64, width: usize) -> Vec<u8> {
    let mut out = vec![0xF8 | (width - 1) as u8];
    out.extend(&value.to_be_bytes()[8 - width..]);
    out
}

/// The `Partial` that announces `total` in its shortest form.
pub fn partial(total: u64) -> Vec<u8> {
    partial_of_width(total, width(total))
}

/// A `Partial` with `width` bytes (1 to 8) of total: valid only if none fewer would do, and the total is not 0.
pub fn partial_of_width(total: u64, width: usize) -> Vec<u8> {
    let mut out = vec![PARTIAL << 5 | (width - 1) as u8];
    out.extend(&total.to_be_bytes()[8 - width..]);
    out
}

/// How many bytes `value` takes, at least one.
fn width(value: u64) -> usize {
    (64 - value.leading_zeros() as usize).div_ceil(8).max(1)
}

/// The bytes of chunks, one behind the other.
pub fn join(chunks: &[Chunk]) -> Vec<u8> {
    chunks.iter().flat_map(Chunk::bytes).collect()
}

/// Reads one chunk from the start of `input`: `None` while more bytes are needed, else the chunk and its length.
pub fn parse(input: &[u8]) -> Result<Option<(Chunk, usize)>, Rule> {
    let mut reader = Reader { input, at: 0 };
    match reader.chunk() {
        Ok(chunk) => Ok(Some((chunk, reader.at))),
        Err(Stop::Short) => Ok(None),
        Err(Stop::Broken(rule)) => Err(rule),
    }
}

/// Reads chunks until `input` is used up; what is left over is the rule `"incomplete"`.
pub fn parse_all(mut input: &[u8]) -> Result<Vec<Chunk>, Rule> {
    let mut chunks = Vec::new();
    while !input.is_empty() {
        let (chunk, length) = parse(input)?.ok_or("incomplete")?;
        chunks.push(chunk);
        input = &input[length..];
    }
    Ok(chunks)
}

/// Why a reader stops before the end of a chunk.
enum Stop {
    Short,
    Broken(Rule),
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: u64) -> Result<&[u8], Stop> {
        let rest = &self.input[self.at..];
        let count = usize::try_from(count).ok().filter(|count| *count <= rest.len()).ok_or(Stop::Short)?;
        self.at += count;
        Ok(&rest[..count])
    }

    fn number(&mut self, width: u8) -> Result<u64, Stop> {
        Ok(self.take(width.into())?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn varu64(&mut self) -> Result<u64, Stop> {
        let first = self.take(1)?[0];
        if first < 248 {
            return Ok(first.into());
        }
        let follow = (first & 7) + 1;
        let value = self.number(follow)?;
        if value < 248 || width(value) < follow.into() {
            return Err(Stop::Broken("varu64-not-shortest"));
        }
        Ok(value)
    }

    fn blob(&mut self) -> Result<Vec<u8>, Stop> {
        let length = self.varu64()?;
        Ok(self.take(length)?.to_vec())
    }

    fn partial(&mut self, tag: u8) -> Result<u64, Stop> {
        let follow = (tag & 7) + 1;
        let total = self.number(follow)?;
        if total == 0 {
            return Err(Stop::Broken("partial-total-zero"));
        }
        if width(total) < follow.into() {
            return Err(Stop::Broken("partial-total-not-shortest"));
        }
        Ok(total)
    }

    fn chunk(&mut self) -> Result<Chunk, Stop> {
        let mut tag = self.take(1)?[0];
        let mut partial = None;
        if tag >> 5 == PARTIAL {
            partial = Some(self.partial(tag)?);
            tag = self.take(1)?[0];
            if tag >> 5 == PARTIAL {
                return Err(Stop::Broken("partial-behind-partial"));
            }
            if tag & (flag::PAYLOAD | flag::END) == 0 {
                return Err(Stop::Broken("partial-before-neither-payload-nor-end"));
            }
        }
        let id = self.varu64()?;
        let mut chunk = Chunk { partial, ..chunk(Kind::ALL[usize::from(tag >> 5)], id) };
        if tag & flag::PAYLOAD != 0 {
            chunk.payload = Some(self.blob()?);
        }
        if tag & flag::CREDIT != 0 {
            chunk.credit = Some(self.varu64()?);
        }
        chunk.ping = tag & flag::PING != 0;
        if tag & flag::END != 0 {
            chunk.end = Some(self.blob()?);
        }
        chunk.ack_end = tag & flag::ACK_END != 0;
        Ok(chunk)
    }
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(total) = self.partial {
            write!(f, "Partial {total}; ")?;
        }
        write!(f, "{} {}", self.kind.name(), self.id)?;
        if let Some(payload) = &self.payload {
            write!(f, " payload={}", Bytes(payload))?;
        }
        if let Some(credit) = self.credit {
            write!(f, " credit={credit}")?;
        }
        if self.ping {
            f.write_str(" ping")?;
        }
        if let Some(end) = &self.end {
            write!(f, " end={}", Bytes(end))?;
        }
        if self.ack_end {
            f.write_str(" ack-end")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Bytes for a reader's eye: hex and text, cut when long.
pub struct Bytes<'a>(pub &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("empty");
        }
        let shown = &self.0[..self.0.len().min(48)];
        shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, " \"{}\"", shown.escape_ascii())?;
        if shown.len() < self.0.len() {
            write!(f, ".. ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}
