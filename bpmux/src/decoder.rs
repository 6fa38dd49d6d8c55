//! The incremental decoder: from bytes to the fields of chunks, cut anywhere.
//!
//! The decoder yields one field at a time, in the order in which the protocol says that they take effect. It never
//! holds payload: it says how many of the bytes at hand are payload and the caller does with them what it likes.
//! Only an integer or a tag that a cut has split is kept, in a few bytes of its own.

use crate::chunk::{Flags, Kind};
use crate::varint::{self, Parsed};
use crate::violation::Violation;

/// A field of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The next chunk's payload (or end payload) is the first part of `total` bytes.
    Partial {
        /// Bytes of the whole payload, above 0.
        total: u64,
    },
    /// A chunk begins.
    Head {
        /// As its sender sees it.
        kind: Kind,
        /// Which fields follow.
        flags: Flags,
        /// The entity.
        id: u64,
        /// How long the payload will be; 0 without the payload flag.
        payload_len: u64,
    },
    /// `len` bytes of payload lie before the position reached.
    Payload {
        /// Bytes at hand, 0 only for an empty payload.
        len: usize,
        /// Whether the chunk's payload ends here.
        last: bool,
    },
    /// The credit field.
    Credit(u64),
    /// The ping flag takes effect.
    Ping,
    /// The end begins: its payload will be this long.
    End {
        /// Bytes of end payload in this chunk.
        len: u64,
    },
    /// `len` bytes of end payload lie before the position reached.
    EndPayload {
        /// Bytes at hand, 0 only for an empty payload.
        len: usize,
        /// Whether the chunk's end payload ends here.
        last: bool,
    },
}

/// What comes next on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Head,
    Payload { left: u64 },
    Credit,
    Ping,
    End,
    EndPayload { left: u64 },
}

/// The longest run of bytes that is decoded as one: tag, id and payload length.
const CARRY_MAX: usize = 1 + 2 * varint::LEN_MAX;

/// An incremental decoder of one direction of a connection.
#[derive(Clone, Debug)]
pub struct Decoder {
    expect: Expect,
    flags: Flags,
    carry: [u8; CARRY_MAX],
    carried: u8,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { expect: Expect::Head, flags: Flags::NONE, carry: [0; CARRY_MAX], carried: 0 }
    }
}

/// A unit that was parsed from contiguous bytes: the field, and the bytes it took.
type Unit = Option<(Field, usize)>;

impl Decoder {
    /// Whether the next byte is the first of a chunk.
    #[must_use]
    #[inline]
    pub fn at_boundary(&self) -> bool {
        self.expect == Expect::Head && self.carried == 0
    }

    /// Payload bytes (of a message or an end) of the chunk under way that have not been seen.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        match self.expect {
            Expect::Payload { left } | Expect::EndPayload { left } => left,
            _ => 0,
        }
    }

    /// Takes `len` payload bytes as seen that did not come through [`Decoder::next`], because they went another way
    /// (spliced in the kernel). Returns whether the chunk's payload ends there.
    ///
    /// # Panics
    /// When the chunk under way has fewer payload bytes left, which is the caller's mistake.
    pub fn skip_payload(&mut self, len: u64) -> bool {
        let Expect::Payload { left } = &mut self.expect else { panic!("no payload is under way") };
        assert!(len <= *left, "skipping {len} bytes of a payload that has {left} left");
        *left -= len;
        let last = *left == 0;
        if last {
            self.after_payload();
        }
        last
    }

    /// Reads the next field. Returns how many bytes of `input` were used up, payload bytes included, and the field;
    /// without a field all of `input` is used up and more is needed.
    ///
    /// # Errors
    /// A [`Violation`]; the decoder is of no use after it.
    #[inline]
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Option<Field>), Violation> {
        match self.expect {
            Expect::Payload { left } => Ok(self.payload(left, input)),
            Expect::EndPayload { left } => Ok(self.end_payload(left, input)),
            Expect::Ping => {
                self.after_ping();
                Ok((0, Some(Field::Ping)))
            }
            Expect::Head | Expect::Credit | Expect::End if self.carried == 0 => match self.unit(input)? {
                Some((field, used)) => Ok((used, Some(field))),
                None => {
                    self.carry[..input.len()].copy_from_slice(input);
                    self.carried = input.len() as u8;
                    Ok((input.len(), None))
                }
            },
            Expect::Head | Expect::Credit | Expect::End => self.carried_unit(input),
        }
    }

    /// Continues a unit whose beginning was cut off from the rest.
    fn carried_unit(&mut self, input: &[u8]) -> Result<(usize, Option<Field>), Violation> {
        let before = usize::from(self.carried);
        let taken = input.len().min(CARRY_MAX - before);
        self.carry[before..before + taken].copy_from_slice(&input[..taken]);
        let carry = self.carry;
        match self.unit(&carry[..before + taken])? {
            Some((field, used)) => {
                self.carried = 0;
                Ok((used - before, Some(field)))
            }
            None => {
                self.carried += taken as u8;
                Ok((taken, None))
            }
        }
    }

    #[inline]
    fn unit(&mut self, bytes: &[u8]) -> Result<Unit, Violation> {
        match self.expect {
            Expect::Head => self.head(bytes),
            Expect::Credit => {
                let Parsed::Value(amount, used) = varint::parse(bytes)? else { return Ok(None) };
                self.after_credit();
                Ok(Some((Field::Credit(amount), used)))
            }
            _ => {
                let Parsed::Value(len, used) = varint::parse(bytes)? else { return Ok(None) };
                self.expect = Expect::EndPayload { left: len };
                Ok(Some((Field::End { len }, used)))
            }
        }
    }

    #[inline]
    fn head(&mut self, bytes: &[u8]) -> Result<Unit, Violation> {
        let Some(&tag) = bytes.first() else { return Ok(None) };
        let kind = Kind::of_tag(tag);
        if kind == Kind::Partial {
            return partial(tag, &bytes[1..]);
        }
        let flags = Flags::of_tag(tag);
        let Parsed::Value(id, id_len) = varint::parse(&bytes[1..])? else { return Ok(None) };
        let mut used = 1 + id_len;
        let mut payload_len = 0;
        if flags.has(Flags::PAYLOAD) {
            let Parsed::Value(len, len_len) = varint::parse(&bytes[used..])? else { return Ok(None) };
            payload_len = len;
            used += len_len;
        }
        self.flags = flags;
        if flags.has(Flags::PAYLOAD) {
            self.expect = Expect::Payload { left: payload_len };
        } else {
            self.after_payload();
        }
        Ok(Some((Field::Head { kind, flags, id, payload_len }, used)))
    }

    #[inline]
    fn payload(&mut self, left: u64, input: &[u8]) -> (usize, Option<Field>) {
        if left > 0 && input.is_empty() {
            return (0, None);
        }
        let len = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let left = left - len as u64;
        self.expect = Expect::Payload { left };
        if left == 0 {
            self.after_payload();
        }
        (len, Some(Field::Payload { len, last: left == 0 }))
    }

    fn end_payload(&mut self, left: u64, input: &[u8]) -> (usize, Option<Field>) {
        if left > 0 && input.is_empty() {
            return (0, None);
        }
        let len = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let left = left - len as u64;
        self.expect = if left == 0 { Expect::Head } else { Expect::EndPayload { left } };
        (len, Some(Field::EndPayload { len, last: left == 0 }))
    }

    #[inline]
    fn after_payload(&mut self) {
        if !self.flags.has(Flags(Flags::CREDIT.0 | Flags::PING.0 | Flags::END.0)) {
            self.expect = Expect::Head;
        } else if self.flags.has(Flags::CREDIT) {
            self.expect = Expect::Credit;
        } else {
            self.after_credit();
        }
    }

    #[inline]
    fn after_credit(&mut self) {
        if self.flags.has(Flags::PING) {
            self.expect = Expect::Ping;
        } else {
            self.after_ping();
        }
    }

    #[inline]
    fn after_ping(&mut self) {
        self.expect = if self.flags.has(Flags::END) { Expect::End } else { Expect::Head };
    }
}

/// A Partial: `LLL + 1` bytes hold the total.
fn partial(tag: u8, rest: &[u8]) -> Result<Unit, Violation> {
    let digits = usize::from(tag & 7) + 1;
    let Some(bytes) = rest.get(..digits) else { return Ok(None) };
    let total = varint::big_endian(bytes);
    if total == 0 {
        return Err(Violation::PartialTotalZero);
    }
    if varint::big_endian_len(total) != digits {
        return Err(Violation::PartialTotalNotShortest);
    }
    Ok(Some((Field::Partial { total }, 1 + digits)))
}
