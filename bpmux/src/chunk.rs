//! What a chunk looks like on the wire: its tag, its fields, and how to write them.
//!
//! `tag | id | [payload length, payload] | [credit] | [end length, end payload]`. The tag is three bits of
//! [`Kind`] and five of [`Flags`]. A Partial has another form: `111xxLLL` and `LLL + 1` bytes of total.

use crate::varint;

/// The bits of a tag that hold the kind.
const KIND_SHIFT: u8 = 5;

/// The type of a chunk, as its sender sees the entity it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A request that the sender of the chunk has asked.
    OutRequest = 0,
    /// A request that the sender answers.
    InRequest = 1,
    /// A sink that the sender opened: it writes.
    OutSink = 2,
    /// A sink that the receiver opened as a stream: the sender writes.
    InSink = 3,
    /// A stream that the sender opened: it reads.
    OutStream = 4,
    /// A stream that the receiver opened as a sink: the sender reads.
    InStream = 5,
    /// Opens a sink and a stream under one id.
    Duplex = 6,
    /// Says that the next payload comes in parts.
    Partial = 7,
}

impl Kind {
    /// The kind in a tag.
    #[must_use]
    #[inline]
    pub const fn of_tag(tag: u8) -> Self {
        match tag >> KIND_SHIFT {
            0 => Self::OutRequest,
            1 => Self::InRequest,
            2 => Self::OutSink,
            3 => Self::InSink,
            4 => Self::OutStream,
            5 => Self::InStream,
            6 => Self::Duplex,
            _ => Self::Partial,
        }
    }

    /// The same entity seen from the other end: In and Out swap, Sink and Stream swap.
    ///
    /// A Duplex is seen as the half on which its chunk's credit, ping and end act: the receiver's `InSink`.
    #[must_use]
    pub const fn inverted(self) -> Self {
        match self {
            Self::OutRequest => Self::InRequest,
            Self::InRequest => Self::OutRequest,
            Self::OutSink => Self::InStream,
            Self::InSink => Self::OutStream,
            Self::OutStream | Self::Duplex => Self::InSink,
            Self::InStream => Self::OutSink,
            Self::Partial => Self::Partial,
        }
    }

    /// Whether the sender of such a chunk opened the entity.
    #[must_use]
    pub const fn is_out(self) -> bool {
        matches!(self, Self::OutRequest | Self::OutSink | Self::OutStream | Self::Duplex)
    }

    /// Whether the sender of such a chunk writes messages (or the response) on it.
    #[must_use]
    pub const fn is_writer(self) -> bool {
        matches!(self, Self::InRequest | Self::OutSink | Self::InSink)
    }
}

/// The flags of a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No field: a pong.
    pub const NONE: Self = Self(0);
    /// A payload length and a payload follow the id.
    pub const PAYLOAD: Self = Self(0x10);
    /// An amount of credit follows.
    pub const CREDIT: Self = Self(0x08);
    /// The sender wants a pong.
    pub const PING: Self = Self(0x04);
    /// The sender ends the half; a length and an end payload follow.
    pub const END: Self = Self(0x02);
    /// The sender has seen the end.
    pub const ACK_END: Self = Self(0x01);
    /// All of them.
    const MASK: u8 = 0x1f;

    /// The flags in a tag.
    #[must_use]
    #[inline]
    pub const fn of_tag(tag: u8) -> Self {
        Self(tag & Self::MASK)
    }

    /// Whether one of `flags` is set.
    #[must_use]
    #[inline]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }
}

/// The first byte of a chunk.
#[must_use]
#[inline]
pub const fn tag(kind: Kind, flags: Flags) -> u8 {
    (kind as u8) << KIND_SHIFT | flags.0
}

/// The longest head that [`put_payload_head`] and [`put_partial`] write together, in bytes.
pub const HEAD_LEN_MAX: usize = 9 + 1 + 2 * varint::LEN_MAX;

/// Writes tag, id and payload length; the payload is the caller's to append. Further `flags` may announce fields
/// that the caller appends behind it.
#[inline]
pub fn put_payload_head(kind: Kind, flags: Flags, id: u64, payload_len: u64, out: &mut Vec<u8>) {
    out.push(tag(kind, Flags(flags.0 | Flags::PAYLOAD.0)));
    varint::put(id, out);
    varint::put(payload_len, out);
}

/// Writes a chunk without payload: a pong (no flags), a ping, credit, or an acknowledgement.
pub fn put_control(kind: Kind, ping: bool, credit: u64, id: u64, out: &mut Vec<u8>) {
    let flags = if credit > 0 { Flags::CREDIT.0 } else { 0 } | if ping { Flags::PING.0 } else { 0 };
    out.push(tag(kind, Flags(flags)));
    varint::put(id, out);
    if credit > 0 {
        varint::put(credit, out);
    }
}

/// Writes an acknowledgement of the peer's end.
pub fn put_ack_end(kind: Kind, id: u64, out: &mut Vec<u8>) {
    out.push(tag(kind, Flags::ACK_END));
    varint::put(id, out);
}

/// Writes an end with its whole payload.
pub fn put_end(kind: Kind, id: u64, payload: &[u8], out: &mut Vec<u8>) {
    out.push(tag(kind, Flags::END));
    varint::put(id, out);
    varint::put(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// How long a Partial with this tag is, in bytes.
pub(crate) const fn partial_len(tag: u8) -> usize {
    2 + (tag & 7) as usize
}

/// Writes a Partial: the next chunk's payload is the first part of `total` bytes, which must not be 0.
pub fn put_partial(total: u64, out: &mut Vec<u8>) {
    debug_assert_ne!(total, 0, "a partial payload has at least one byte");
    let digits = varint::big_endian_len(total);
    out.push((Kind::Partial as u8) << KIND_SHIFT | (digits - 1) as u8);
    out.extend_from_slice(&total.to_be_bytes()[8 - digits..]);
}
