//! What the relay tells of itself: its shards, and each direction of each channel with what it waits for.

use std::time::Duration;

pub use wire::stats::FlowState;
use wire::stats::{self, Counters, FlowEnd};

use crate::name::Name;

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
    /// Adds what another page tells.
    pub(crate) fn add(&mut self, page: Self) {
        self.shards.extend(page.shards);
        self.flows.extend(page.flows);
        if !page.ceiling.is_empty() {
            self.ceiling = page.ceiling;
        }
    }
}

/// A page of an answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) shards: u16,
    /// Where the next one begins.
    pub(crate) next: Option<u64>,
    pub(crate) stats: Stats,
}

impl Page {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let page = stats::Page::parse(bytes)?;
        let mut stats = Stats { flows: page.flows.into_iter().map(flow).collect(), ..Stats::default() };
        if let Some((totals, ceiling)) = page.totals {
            stats.shards.push(shard(page.shard, page.time_ns, totals));
            stats.ceiling = ceiling.into_iter().map(|(part, bytes)| (part.into_owned(), bytes)).collect();
        }
        Some(Self { shards: page.shards, next: page.next, stats })
    }
}

fn shard(shard: u16, age_ns: u64, totals: stats::Totals) -> ShardStats {
    ShardStats {
        shard,
        age: Duration::from_nanos(age_ns),
        connections: totals.connections,
        channel_ends: totals.channel_ends,
        memory_bytes: totals.memory_bytes,
        promised_bytes: totals.promised_bytes,
        overhead_memory_bytes: totals.overhead_memory_bytes,
        overhead_bytes: totals.overhead_bytes,
        receive_buffers: totals.receive_buffers,
        receive_buffers_free: totals.receive_buffers_free,
        overflows: totals.overflows,
        ticks: totals.ticks,
    }
}

fn flow(flow: stats::Flow<'_>) -> Flow {
    let Counters { bytes, messages, stalls, credit_bytes, banked_bytes, held_bytes, cap_bytes } = flow.counters;
    Flow {
        writer: end(&flow.writer),
        reader: end(&flow.reader),
        opened_by_writer: flow.opener,
        state: flow.state,
        age: Duration::from_nanos(flow.age_ns),
        times: flow.times_ns.map(Duration::from_nanos),
        bytes,
        messages,
        stalls,
        credit_bytes,
        banked_bytes,
        held_bytes,
        cap_bytes,
    }
}

fn end(end: &FlowEnd<'_>) -> End {
    let name = Name::new(end.name).expect("a byte holds the length of a name");
    End { name, connection: ConnectionId { shard: end.shard, port: end.token } }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each number is in the place that its name says.
    #[test]
    fn pages_become_what_the_library_tells() {
        let totals = stats::Totals {
            connections: 1,
            channel_ends: 2,
            memory_bytes: 3,
            promised_bytes: 4,
            overhead_memory_bytes: 5,
            overhead_bytes: 6,
            receive_buffers: 7,
            receive_buffers_free: 8,
            overflows: 9,
            ticks: 10,
        };
        let counters = Counters {
            bytes: 11,
            messages: 12,
            stalls: 13,
            credit_bytes: 14,
            banked_bytes: 15,
            held_bytes: 16,
            cap_bytes: 17,
        };
        let (writer, reader) =
            (FlowEnd { shard: 1, token: 2, name: b"clock" }, FlowEnd { shard: 3, token: 4, name: b"" });
        let (state, times_ns) = (FlowState::Cap, [21, 22, 23, 24, 25]);
        let told = stats::Flow { writer, reader, opener: true, state, age_ns: 20, times_ns, counters };
        let mut page = stats::PageWriter::new(7, 8, 9_000_000_000, 1 << 10);
        page.put_totals(Some((&totals, &[("rings", 30)])));
        assert!(page.put_flow(&told));
        let Page { shards, next, stats } = Page::parse(&page.finish(Some(31))).expect("a page");
        assert_eq!((shards, next, stats.ceiling), (8, Some(31), vec![("rings".to_owned(), 30)]));
        let shard = format!("{:?}", stats.shards);
        assert_eq!(
            shard,
            "[ShardStats { shard: 7, age: 9s, connections: 1, channel_ends: 2, memory_bytes: 3, promised_bytes: 4, \
             overhead_memory_bytes: 5, overhead_bytes: 6, receive_buffers: 7, receive_buffers_free: 8, overflows: 9, \
             ticks: 10 }]"
        );
        let [flow] = &stats.flows[..] else { panic!("{:?}", stats.flows) };
        let ids = (ConnectionId { shard: 1, port: 2 }, ConnectionId { shard: 3, port: 4 });
        assert_eq!(flow.key(), (ids.0, ids.1, true));
        assert!(flow.writer.name == "clock" && flow.reader.name.is_empty() && flow.state == FlowState::Cap);
        assert_eq!((flow.age, flow.time(FlowState::Relay)), (Duration::from_nanos(20), Duration::from_nanos(25)));
        let counted = [flow.bytes, flow.messages, flow.stalls, flow.credit_bytes, flow.banked_bytes, flow.held_bytes];
        assert_eq!((counted, flow.cap_bytes), ([11, 12, 13, 14, 15, 16], 17));
    }
}
