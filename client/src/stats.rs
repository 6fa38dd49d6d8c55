//! What the relay tells of itself: its shards, and each direction of each channel with what it waits for.

use std::time::Duration;

use wire::stats::{FLAG_MORE, FLAG_OPENER, VERSION};

use crate::name::Name;

/// What a direction of a channel waits for. At each instant it is exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// All states, in the order of [`Flow::times`].
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

/// Names a connection to the bus, be it a plugin's or a client's. No other connection ever has the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The shard that serves it.
    pub shard: u16,
    /// Its number there.
    pub port: u64,
}

/// One end of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The plugin's name; empty for a client.
    pub name: Name,
    /// Its connection.
    pub connection: ConnectionId,
}

/// One direction of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who writes.
    pub writer: End,
    /// Who reads.
    pub reader: End,
    /// Whether the writer has opened the channel.
    pub opened_by_writer: bool,
    /// What it waits for now.
    pub state: FlowState,
    /// How long the channel has been open.
    pub age: Duration,
    /// How much of that was spent in each state, in the order of [`FlowState::ALL`]. They sum up to `age`.
    pub times: [Duration; 5],
    /// Payload that the relay has taken from the writer, in bytes.
    pub bytes: u64,
    /// Messages that it has taken.
    pub messages: u64,
    /// How often it has come to wait for anything but its writer.
    pub stalls: u64,
    /// Credit that the writer has not spent, in bytes.
    pub credit_bytes: u64,
    /// Credit of the reader's that the relay holds back, in bytes.
    pub banked_bytes: u64,
    /// Payload that the relay holds, in bytes.
    pub held_bytes: u64,
    /// What the relay may have granted and be holding at the most, in bytes.
    pub cap_bytes: u64,
}

impl Flow {
    /// How much of its age was spent in a state.
    #[must_use]
    pub fn time(&self, state: FlowState) -> Duration {
        self.times[state as usize]
    }

    /// What tells it from all others: who writes, who reads, and whether the writer has opened the channel.
    #[must_use]
    pub fn key(&self) -> (ConnectionId, ConnectionId, bool) {
        (self.writer.connection, self.reader.connection, self.opened_by_writer)
    }
}

/// A thread of the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Which one.
    pub shard: u16,
    /// How long it has been running.
    pub age: Duration,
    /// Connections that it serves.
    pub connections: u64,
    /// Ends of channels that its connections have.
    pub channel_ends: u64,
    /// Payload that it may have promised to take in or be holding, in bytes.
    pub memory_bytes: u64,
    /// How much of that is promised now.
    pub promised_bytes: u64,
    /// What its connections may cost together besides payload, in bytes.
    pub overhead_memory_bytes: u64,
    /// What they do cost.
    pub overhead_bytes: u64,
    /// Receive buffers.
    pub receive_buffers: u64,
    /// Those that are free now.
    pub receive_buffers_free: u64,
    /// How often completions have found no room in the kernel's queue.
    pub overflows: u64,
    /// How often it has looked for work.
    pub ticks: u64,
}

/// All that the relay tells of itself. The shards are asked one after another, so it is not of one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The shards, in order.
    pub shards: Vec<ShardStats>,
    /// Both directions of each channel that both ends have agreed on.
    pub flows: Vec<Flow>,
    /// What the relay's memory is bounded by: what for, and how many bytes.
    pub ceiling: Vec<(String, u64)>,
}

impl Stats {
    pub(crate) fn add(&mut self, page: Page) {
        if let Some((shard, ceiling)) = page.totals {
            self.shards.push(shard);
            self.ceiling = ceiling;
        }
        self.flows.extend(page.flows);
    }
}

/// A page of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) shards: u16,
    /// Where the next one begins.
    pub(crate) next: Option<u64>,
    totals: Option<(ShardStats, Vec<(String, u64)>)>,
    flows: Vec<Flow>,
}

impl Page {
    /// Reads a page. What a later relay adds to the end of a block is passed over.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u8()? != VERSION {
            return None;
        }
        let more = fields.u8()? & FLAG_MORE != 0;
        let (shard, shards, cursor, age) = (fields.u16()?, fields.u16()?, fields.u64()?, fields.nanos()?);
        let totals = fields.block()?;
        let totals = if totals.0.is_empty() { None } else { Some(totals.totals(shard, age)?) };
        let mut flows = Vec::new();
        while !fields.0.is_empty() {
            flows.push(fields.block()?.flow()?);
        }
        Some(Self { shards, next: more.then_some(cursor), totals, flows })
    }
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

    fn nanos(&mut self) -> Option<Duration> {
        self.u64().map(Duration::from_nanos)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.slice(len.into())
    }

    fn name(&mut self) -> Option<Name> {
        Some(Name::new(self.text()?).expect("a byte holds the length of a name"))
    }

    fn block(&mut self) -> Option<Self> {
        let len = self.u16()?;
        self.slice(len.into()).map(Self)
    }

    fn connection(&mut self) -> Option<ConnectionId> {
        Some(ConnectionId { shard: self.u16()?, port: self.u64()? })
    }

    fn totals(mut self, shard: u16, age: Duration) -> Option<(ShardStats, Vec<(String, u64)>)> {
        let totals = ShardStats {
            shard,
            age,
            connections: self.u64()?,
            channel_ends: self.u64()?,
            memory_bytes: self.u64()?,
            promised_bytes: self.u64()?,
            overhead_memory_bytes: self.u64()?,
            overhead_bytes: self.u64()?,
            receive_buffers: self.u64()?,
            receive_buffers_free: self.u64()?,
            overflows: self.u64()?,
            ticks: self.u64()?,
        };
        let mut ceiling = Vec::new();
        for _ in 0..self.u8()? {
            ceiling.push((String::from_utf8_lossy(self.text()?).into_owned(), self.u64()?));
        }
        Some((totals, ceiling))
    }

    fn flow(mut self) -> Option<Flow> {
        let (writer, reader) = (self.connection()?, self.connection()?);
        let opened_by_writer = self.u8()? & FLAG_OPENER != 0;
        let state = *FlowState::ALL.get(usize::from(self.u8()?))?;
        let age = self.nanos()?;
        let mut times = [Duration::ZERO; 5];
        for time in &mut times {
            *time = self.nanos()?;
        }
        Some(Flow {
            opened_by_writer,
            state,
            age,
            times,
            bytes: self.u64()?,
            messages: self.u64()?,
            stalls: self.u64()?,
            credit_bytes: self.u64()?,
            banked_bytes: self.u64()?,
            held_bytes: self.u64()?,
            cap_bytes: self.u64()?,
            writer: End { name: self.name()?, connection: writer },
            reader: End { name: self.name()?, connection: reader },
        })
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
        let page = |extra| Page::parse(&page(extra)).expect("a page");
        assert_eq!(page(3), page(0), "what is added later is passed over");
        let Page { shards, next, totals, flows } = page(0);
        assert_eq!((shards, next), (2, Some(7 << 32)));
        let (shard, ceiling) = totals.expect("it has totals");
        assert_eq!((shard.shard, shard.age, shard.connections, shard.ticks), (1, Duration::from_secs(5), 1, 10));
        assert_eq!(ceiling, [("rings".to_owned(), 9)]);
        let [flow] = flows.as_slice() else { panic!("{flows:?}") };
        let ids = (ConnectionId { shard: 1, port: 2 }, ConnectionId { shard: 3, port: 4 });
        assert_eq!(flow.key(), (ids.0, ids.1, true));
        assert!(flow.writer.name == "clock" && flow.reader.name.is_empty() && flow.state == FlowState::Cap);
        assert_eq!((flow.age, flow.time(FlowState::Relay)), (Duration::from_nanos(10), Duration::from_nanos(15)));
        assert_eq!((flow.bytes, flow.stalls, flow.cap_bytes), (16, 18, 22));
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
