//! A page of an answer: a head, a block of totals of the shard, which is empty on further pages, and a block for each flow.
//! Each block has its length before it, so that a reader can pass over what a later version adds to its end.

use std::borrow::Cow;

use super::VERSION;
use crate::entry::put_text;

/// Flag of a page: there is another one.
const FLAG_MORE: u8 = 0x01;
/// Flag of a flow: its writer has opened the channel.
const FLAG_OPENER: u8 = 0x01;

/// Declares numbers that stand on a page in this order.
macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        impl $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(put_u64(out, self.$field);)*
            }

            fn parse(fields: &mut Fields<'_>) -> Option<Self> {
                Some(Self { $($field: fields.u64()?,)* })
            }
        }
    };
}

numbers! {
    /// A shard at one time, beside its flows.
    Totals {
        /// Connections that it serves.
        connections,
        /// Ends of channels that its connections have.
        channel_ends,
        /// Payload that it may have promised to take in or be holding, in bytes.
        memory_bytes,
        /// How much of that is promised now.
        promised_bytes,
        /// What its connections may cost together besides payload, in bytes.
        overhead_memory_bytes,
        /// What they do cost.
        overhead_bytes,
        /// Receive buffers.
        receive_buffers,
        /// Those that are free now.
        receive_buffers_free,
        /// How often completions have found no room in the kernel's queue.
        overflows,
        /// How often it has looked for work.
        ticks,
    }
}

numbers! {
    /// What is counted of a flow.
    Counters {
        /// Payload that the relay has taken from the writer, in bytes.
        bytes,
        /// Messages that it has taken.
        messages,
        /// How often it has come to wait for anything but its writer.
        stalls,
        /// Credit that the writer has not spent, in bytes.
        credit_bytes,
        /// Credit of the reader's that the relay holds back, in bytes.
        banked_bytes,
        /// Payload that the relay holds, in bytes.
        held_bytes,
        /// What the relay may have granted and be holding at the most, in bytes.
        cap_bytes,
    }
}

/// The bounds of the memory of the whole relay: what for, and how many bytes.
pub type Ceiling<'a> = Vec<(Cow<'a, str>, u64)>;

/// What a direction of a channel waits for. At each instant it is exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FlowState {
    /// For its writer, which has credit and sends nothing.
    Idle,
    /// For credit of its reader.
    Reader,
    /// For credit that its reader has given and the relay holds back.
    Cap,
    /// For the reader's socket to take bytes.
    Egress,
    /// For the relay to read what the writer has sent.
    Relay,
}

impl FlowState {
    /// All states, in their order on the wire.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Reader, Self::Cap, Self::Egress, Self::Relay];

    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Reader => "reader",
            Self::Cap => "cap",
            Self::Egress => "egress",
            Self::Relay => "relay",
        }
    }
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd<'a> {
    /// The shard that serves its connection.
    pub shard: u16,
    /// The connection's number there.
    pub token: u64,
    /// The plugin's name; empty for a client.
    pub name: &'a [u8],
}

/// A flow, one direction of a channel, at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow<'a> {
    /// Who writes.
    pub writer: FlowEnd<'a>,
    /// Who reads.
    pub reader: FlowEnd<'a>,
    /// Whether the writer has opened the channel.
    pub opener: bool,
    /// What it waits for.
    pub state: FlowState,
    /// How long the channel has been open.
    pub age_ns: u64,
    /// How much of that was spent in each state, in the order of [`FlowState::ALL`].
    pub times_ns: [u64; 5],
    /// What is counted of it.
    pub counters: Counters,
}

impl<'a> Flow<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        for end in [&self.writer, &self.reader] {
            out.extend_from_slice(&end.shard.to_be_bytes());
            put_u64(out, end.token);
        }
        out.push(if self.opener { FLAG_OPENER } else { 0 });
        out.push(self.state as u8);
        put_u64(out, self.age_ns);
        self.times_ns.iter().for_each(|time| put_u64(out, *time));
        self.counters.put(out);
        put_text(self.writer.name, out);
        put_text(self.reader.name, out);
    }

    fn parse(mut fields: Fields<'a>) -> Option<Self> {
        let (writer, reader) = ((fields.u16()?, fields.u64()?), (fields.u16()?, fields.u64()?));
        let opener = fields.u8()? & FLAG_OPENER != 0;
        let state = *FlowState::ALL.get(usize::from(fields.u8()?))?;
        let age_ns = fields.u64()?;
        let mut times_ns = [0; 5];
        for time in &mut times_ns {
            *time = fields.u64()?;
        }
        let counters = Counters::parse(&mut fields)?;
        let mut end = |(shard, token)| Some(FlowEnd { shard, token, name: fields.text()? });
        Some(Self { writer: end(writer)?, reader: end(reader)?, opener, state, age_ns, times_ns, counters })
    }
}

/// A page that is being written.
#[derive(Debug)]
pub struct PageWriter {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl PageWriter {
    /// Where the flags and the next cursor stand.
    const FLAGS_AT: usize = 1;
    const CURSOR_AT: usize = 6;

    /// An empty page of a shard. `time_ns`: since the shard has begun.
    #[must_use]
    pub fn new(shard: u16, shards: u16, time_ns: u64, bytes_max: usize) -> Self {
        let mut bytes = vec![VERSION, 0];
        bytes.extend_from_slice(&shard.to_be_bytes());
        bytes.extend_from_slice(&shards.to_be_bytes());
        put_u64(&mut bytes, 0);
        put_u64(&mut bytes, time_ns);
        Self { bytes, bytes_max }
    }

    /// What follows the head: the totals, or nothing in their place on a further page.
    pub fn put_totals(&mut self, totals: Option<(&Totals, &[(&str, u64)])>) {
        self.put_block(|out| {
            let Some((totals, ceiling)) = totals else { return };
            totals.put(out);
            out.push(ceiling.len() as u8);
            for (part, bytes) in ceiling {
                put_text(part.as_bytes(), out);
                put_u64(out, *bytes);
            }
        });
    }

    /// Adds a flow; returns false when it does not fit.
    pub fn put_flow(&mut self, flow: &Flow<'_>) -> bool {
        let before = self.bytes.len();
        self.put_block(|out| flow.put(out));
        let fits = self.bytes.len() <= self.bytes_max;
        if !fits {
            self.bytes.truncate(before);
        }
        fits
    }

    /// The bytes; the next page begins at the cursor `next`, if there is one.
    #[must_use]
    pub fn finish(mut self, next: Option<u64>) -> Vec<u8> {
        if let Some(next) = next {
            self.bytes[Self::FLAGS_AT] |= FLAG_MORE;
            self.bytes[Self::CURSOR_AT..Self::CURSOR_AT + 8].copy_from_slice(&next.to_be_bytes());
        }
        self.bytes
    }

    /// A block with its length before it.
    fn put_block(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        put(&mut self.bytes);
        let len = (self.bytes.len() - start - 2) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_be_bytes());
    }
}

/// A page that has been read.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Whose it is.
    pub shard: u16,
    /// How many shards there are.
    pub shards: u16,
    /// The cursor at which the next page begins, if there is one.
    pub next: Option<u64>,
    /// Since the shard has begun.
    pub time_ns: u64,
    /// The totals, on a first page.
    pub totals: Option<(Totals, Ceiling<'a>)>,
    /// Flows.
    pub flows: Vec<Flow<'a>>,
}

impl<'a> Page<'a> {
    /// Reads a page. What a later relay adds to the end of a block is passed over.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u8()? != VERSION {
            return None;
        }
        let more = fields.u8()? & FLAG_MORE != 0;
        let (shard, shards, cursor, time_ns) = (fields.u16()?, fields.u16()?, fields.u64()?, fields.u64()?);
        let totals = fields.block()?;
        let totals = if totals.0.is_empty() { None } else { Some(totals.totals()?) };
        let mut flows = Vec::new();
        while !fields.0.is_empty() {
            flows.push(Flow::parse(fields.block()?)?);
        }
        Some(Self { shard, shards, next: more.then_some(cursor), time_ns, totals, flows })
    }
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Takes fields off the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(slice)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.slice(len.into())
    }

    fn block(&mut self) -> Option<Self> {
        let len = self.u16()?;
        self.slice(len.into()).map(Self)
    }

    fn totals(mut self) -> Option<(Totals, Ceiling<'a>)> {
        let totals = Totals::parse(&mut self)?;
        let mut ceiling = Vec::new();
        for _ in 0..self.u8()? {
            ceiling.push((String::from_utf8_lossy(self.text()?), self.u64()?));
        }
        Some((totals, ceiling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page as the protocol lays it out, with `extra` bytes at the end of each block.
    fn page(extra: usize) -> Vec<u8> {
        let mut page = vec![VERSION, FLAG_MORE, 0, 1, 0, 2];
        page.extend((7_u64 << 32).to_be_bytes());
        page.extend(5_000_000_000_u64.to_be_bytes());
        let mut block = |fields: &[u8]| {
            page.extend(((fields.len() + extra) as u16).to_be_bytes());
            page.extend(fields);
            page.extend(vec![0xff; extra]);
        };
        let numbers = |numbers: std::ops::Range<u64>| numbers.flat_map(u64::to_be_bytes).collect::<Vec<_>>();
        block(&[&numbers(1..11)[..], &[1, 5], b"rings", &numbers(9..10)].concat());
        let ends = [&[0, 1][..], &numbers(2..3), &[0, 3], &numbers(4..5)].concat();
        block(&[&ends[..], &[FLAG_OPENER, 2], &numbers(10..23), &[5], b"clock", &[0]].concat());
        page
    }

    #[test]
    fn pages_to_the_byte() {
        let bytes = page(0);
        let read = Page::parse(&bytes).expect("a page");
        assert_eq!(Page::parse(&page(3)).as_ref(), Some(&read), "what is added later is passed over");
        assert_eq!((read.shard, read.shards, read.next, read.time_ns), (1, 2, Some(7 << 32), 5_000_000_000));
        let (totals, ceiling) = read.totals.as_ref().expect("it has totals");
        assert_eq!((totals.connections, totals.ticks, &ceiling[..]), (1, 10, &[("rings".into(), 9)][..]));
        let [flow] = read.flows.as_slice() else { panic!("{:?}", read.flows) };
        assert_eq!(flow.writer, FlowEnd { shard: 1, token: 2, name: b"clock" });
        assert_eq!(flow.reader, FlowEnd { shard: 3, token: 4, name: b"" });
        assert!(flow.opener && flow.state == FlowState::Cap);
        assert_eq!((flow.age_ns, flow.times_ns), (10, [11, 12, 13, 14, 15]));
        assert_eq!((flow.counters.bytes, flow.counters.stalls, flow.counters.cap_bytes), (16, 18, 22));
        // And written again.
        let mut page = PageWriter::new(read.shard, read.shards, read.time_ns, usize::MAX);
        page.put_totals(Some((totals, &[("rings", 9)])));
        assert!(page.put_flow(flow));
        assert_eq!(page.finish(read.next), bytes);
    }

    #[test]
    fn pages_that_are_cut_are_none() {
        // Behind a whole block nothing shows that another one is missing.
        const TOTALS_END: usize = 22 + 2 + 10 * 8 + 1 + 6 + 8;
        let page = page(0);
        for len in 0..page.len() {
            assert_eq!(Page::parse(&page[..len]).is_some(), len == TOTALS_END, "{len}");
        }
        assert!(Page::parse(&[2; 30]).is_none(), "another version");
    }
}
