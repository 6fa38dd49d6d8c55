//! The fast path for many small messages: whole, plain messages that follow each other on one half are checked, counted and
//! given another id in one loop, in the buffer in which they arrived.

use crate::chunk::{self, Flags, Kind};
use crate::half::{Ending, HalfKey, Incoming};
use crate::link::Link;
use crate::varint::{self, Encoded, Parsed};

/// A tag and an id as they stand on the wire, for turning messages of one half into messages of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    to: Encoded,
}

impl Rewrite {
    /// Messages get this id. It must be as wide on the wire as the one they arrive with.
    #[must_use]
    pub fn to(id: u64) -> Self {
        Self { to: Encoded::new(id) }
    }

    /// Writes the head of `len` bytes of a message that comes with chunks of this kind. `partial` is how long the whole
    /// message is, when these are its first bytes and not all.
    pub fn put_head(&self, kind: Kind, partial: Option<u64>, len: u64, out: &mut Vec<u8>) {
        if let Some(total) = partial {
            chunk::put_partial(total, out);
        }
        out.push(chunk::tag(kind, Flags::PAYLOAD));
        out.extend_from_slice(self.to.as_bytes());
        varint::put(len, out);
    }
}

/// Whole messages at the front of some input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// How long they are, heads included.
    pub bytes: usize,
    /// How many they are.
    pub messages: u64,
    /// Their payloads, without the heads.
    pub payload_bytes: u64,
}

/// A tag that says: a message and nothing else.
const fn is_plain_message(tag: u8) -> bool {
    Flags::of_tag(tag).0 == Flags::PAYLOAD.0 && matches!(Kind::of_tag(tag), Kind::OutSink | Kind::InSink)
}

impl<U: Copy + Default> Link<U> {
    /// The half of which a run might begin at the front of `input`: its tag and id are there, it takes whole messages
    /// now, and it is not the top level.
    #[must_use]
    #[inline]
    pub fn run_at(&self, input: &[u8]) -> Option<(HalfKey, U)> {
        let key = self.message_at(input)?;
        let half = self.ledger.half(key)?;
        (half.incoming() == Incoming::Whole).then_some((key, half.user))
    }

    /// The half on which the chunk at the front of `input` brings payload, of a message or a part of one, and nothing else; a
    /// Partial may stand before it. Its tag, id and length are there.
    #[must_use]
    pub fn part_at(&self, input: &[u8]) -> Option<(HalfKey, U)> {
        let input = match input.first() {
            Some(&tag) if Kind::of_tag(tag) == Kind::Partial => input.get(chunk::partial_len(tag)..)?,
            _ => input,
        };
        let key = self.message_at(input)?;
        let half = self.ledger.half(key)?;
        let length = varint::parse(&input[1 + varint::len(half.id)..]);
        matches!(length, Ok(Parsed::Value(1.., _))).then_some((key, half.user))
    }

    #[inline]
    fn message_at(&self, input: &[u8]) -> Option<HalfKey> {
        if !self.decoder.at_boundary() || self.current.expects_partial() {
            return None;
        }
        let &tag = input.first()?;
        if !is_plain_message(tag) {
            return None;
        }
        let kind = Kind::of_tag(tag);
        let Ok(Parsed::Value(id, _)) = varint::parse(&input[1..]) else { return None };
        if kind == Kind::InSink && id == 0 {
            return None;
        }
        let slot = self.ledger.slot_of(kind.inverted(), id)?;
        let half = &self.ledger.halves[slot as usize];
        (half.ending == Ending::Open && half.opened).then_some(HalfKey { slot, generation: half.generation })
    }

    /// Takes as many whole messages of the half `key` (see [`Link::run_at`]) from the front of `input` as stand there
    /// one after another and as its credit covers, and gives them their new id (or leaves them alone). An empty run
    /// means that the ordinary way is to be taken: the message is cut, too expensive, or something else comes first.
    ///
    /// # Panics
    /// When the new id is wider or narrower than the old one, which is the caller's mistake.
    #[inline]
    pub fn take_run(&mut self, key: HalfKey, input: &mut [u8], rewrite: Option<&Rewrite>) -> Run {
        let Some(half) = self.ledger.half_mut(key) else { return Run::default() };
        // What the peer sends as a writer we know as a reader.
        let tag = chunk::tag(half.kind.inverted(), Flags::PAYLOAD);
        let from = Encoded::new(half.id);
        let from = from.as_bytes();
        let to = rewrite.map_or(from, |rewrite| rewrite.to.as_bytes());
        assert_eq!(from.len(), to.len(), "ids are exchanged for ids of the same width");
        let credit = half.may_receive.left();
        let run = match from.len() {
            1 => exchange::<2>(input, tag, from, to, credit),
            2 => exchange::<3>(input, tag, from, to, credit),
            3 => exchange::<4>(input, tag, from, to, credit),
            4 => exchange::<5>(input, tag, from, to, credit),
            5 => exchange::<6>(input, tag, from, to, credit),
            6 => exchange::<7>(input, tag, from, to, credit),
            7 => exchange::<8>(input, tag, from, to, credit),
            8 => exchange::<9>(input, tag, from, to, credit),
            _ => exchange::<10>(input, tag, from, to, credit),
        };
        half.may_receive.spend(run.payload_bytes).expect("the run stays within the credit");
        run
    }
}

/// Gives the whole messages at the front of `input` with this tag and id their new id, while their payloads come to no
/// more than `credit`. `HEAD` is how long tag and id are together: known here, they are compared and exchanged as words.
#[inline]
fn exchange<const HEAD: usize>(input: &mut [u8], tag: u8, from: &[u8], to: &[u8], credit: u64) -> Run {
    let head = |id: &[u8]| {
        let mut head = [tag; HEAD];
        head[1..].copy_from_slice(id);
        head
    };
    let (from, to) = (head(from), head(to));
    let mut run = Run::default();
    let mut len_before = None;
    while let Some((head, rest)) = input[run.bytes..].split_first_chunk_mut::<HEAD>()
        && *head == from
        && let Ok(Parsed::Value(len, len_len)) = varint::parse(rest)
        && len <= (rest.len() - len_len) as u64
        && len <= credit - run.payload_bytes
    {
        let stride = HEAD + len_len + len as usize;
        // Where no two messages are alike, looking for those that are would take longer than all else.
        let messages = if len_before.replace(len).is_none_or(|before| before == len) {
            let pattern = Pattern::of(&input[run.bytes..], HEAD + len_len);
            let alike_max = (credit - run.payload_bytes).checked_div(len).unwrap_or(u64::MAX);
            exchange_alike::<HEAD>(&mut input[run.bytes..], to, stride, pattern, alike_max).max(1)
        } else {
            1
        };
        input[run.bytes..][..HEAD].copy_from_slice(&to);
        run.bytes += messages as usize * stride;
        run.payload_bytes += messages * len;
        run.messages += messages;
    }
    run
}

/// The first bytes of a message, to be recognized in one comparison: all of its head, when it is that short.
#[derive(Clone, Copy)]
struct Pattern {
    word: u64,
    mask: u64,
}

impl Pattern {
    const BYTES: usize = size_of::<u64>();

    /// The first `len` bytes of `message`, if they and the message fit.
    fn of(message: &[u8], len: usize) -> Option<Self> {
        let word = u64::from_le_bytes(*message.first_chunk()?);
        let mask = u64::MAX.checked_shr(8 * Self::BYTES.checked_sub(len)? as u32)?;
        Some(Self { word: word & mask, mask })
    }

    fn begins(self, message: &[u8; Self::BYTES]) -> bool {
        u64::from_le_bytes(*message) & self.mask == self.word
    }
}

/// The same for messages that begin with the same bytes as the first, of which there are usually many in a row: where
/// the next one begins is known without reading this one, so that the processor need not wait for it. Returns how many
/// they are, at most `messages_max`; 0 when the head is too long to be compared so, or the message too short.
#[inline]
fn exchange_alike<const HEAD: usize>(
    input: &mut [u8],
    to: [u8; HEAD],
    stride: usize,
    pattern: Option<Pattern>,
    messages_max: u64,
) -> u64 {
    let Some(pattern) = pattern.filter(|_| stride >= Pattern::BYTES) else { return 0 };
    let messages_max = usize::try_from(messages_max).unwrap_or(usize::MAX);
    let mut messages = 0;
    for message in input.chunks_exact_mut(stride).take(messages_max) {
        let Some(first) = message.first_chunk() else { break };
        if !pattern.begins(first) {
            break;
        }
        message[..HEAD].copy_from_slice(&to);
        messages += 1;
    }
    messages
}

/// Copies a run to `out` with another id, of any width.
///
/// # Panics
/// When `run` does not consist of whole plain messages with ids of `id_len` bytes, as [`Link::take_run`] yields them.
pub fn copy_run(mut run: &[u8], id_len: usize, rewrite: &Rewrite, out: &mut Vec<u8>) {
    while let Some(&tag) = run.first() {
        let Ok(Parsed::Value(len, len_len)) = varint::parse(&run[1 + id_len..]) else { panic!("a run is well-formed") };
        let end = 1 + id_len + len_len + len as usize;
        out.push(tag);
        out.extend_from_slice(rewrite.to.as_bytes());
        out.extend_from_slice(&run[1 + id_len..end]);
        run = &run[end..];
    }
}
