//! What the relay tells of itself: the request for it, and the pages of the answer (protocol, section 4).
//!
//! Each shard tells of its own, a page at a time. A page is no longer than the credit that was given for it, so that it
//! never waits here, and says where the next one goes on.

use super::address::ConnId;
use super::name::Name;
use super::waits::Report;
use wire::put_text;
use wire::stats::{CODE, FLAG_MORE, FLAG_OPENER, VERSION, declined, parse_request};

/// Why a request is declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declined {
    Version,
    Right,
    Malformed,
    Shard,
    Busy,
}

impl Declined {
    /// What it is declined with.
    pub(super) fn payload(self) -> &'static [u8] {
        match self {
            Self::Version => &[declined::VERSION, VERSION, VERSION],
            Self::Right => &[declined::RIGHT],
            Self::Malformed => &[declined::MALFORMED],
            Self::Shard => &[declined::SHARD],
            Self::Busy => &[declined::BUSY],
        }
    }
}

/// Where a page begins: the slot of a connection, and of a leg of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Index of the connection in its shard.
    pub conn: u32,
    /// Index of the leg in its connection.
    pub leg: u32,
}

impl Cursor {
    fn to_u64(self) -> u64 {
        u64::from(self.conn) << 32 | u64::from(self.leg)
    }

    fn from_u64(cursor: u64) -> Self {
        Self { conn: (cursor >> 32) as u32, leg: cursor as u32 }
    }
}

/// Reads a request: which shard, and from where on.
pub(super) fn parse(opening: &[u8]) -> Result<(u16, Cursor), Declined> {
    match opening {
        [CODE, VERSION, rest @ ..] => {
            let (shard, cursor) = parse_request(rest).ok_or(Declined::Malformed)?;
            Ok((shard, Cursor::from_u64(cursor)))
        }
        _ => Err(Declined::Version),
    }
}

/// A shard at one time, beside its flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that it serves.
    pub connections: u64,
    /// Ends of channels that its connections have.
    pub legs: u64,
    /// Payload that it may have promised, in bytes.
    pub memory_bytes: u64,
    /// How much of that is promised now.
    pub promised_bytes: u64,
    /// What its connections may cost besides payload, in bytes.
    pub overhead_memory_bytes: u64,
    /// And what they do.
    pub overhead_bytes: u64,
    /// Receive buffers.
    pub buffers: u64,
    /// Those that are free now.
    pub buffers_free: u64,
    /// How often completions have not fitted into the kernel's queue.
    pub overflows: u64,
    /// Ticks so far.
    pub ticks: u64,
    /// The bounds of the memory of the whole relay, by what it is for, in bytes.
    pub ceiling: Vec<(&'static str, u64)>,
}

impl Totals {
    fn put(&self, out: &mut Vec<u8>) {
        for number in [
            self.connections,
            self.legs,
            self.memory_bytes,
            self.promised_bytes,
            self.overhead_memory_bytes,
            self.overhead_bytes,
            self.buffers,
            self.buffers_free,
            self.overflows,
            self.ticks,
        ] {
            put_u64(out, number);
        }
        out.push(self.ceiling.len() as u8);
        for (part, bytes) in &self.ceiling {
            put_text(part.as_bytes(), out);
            put_u64(out, *bytes);
        }
    }
}

/// A flow at one time.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Who writes, and the name of it; empty for a client.
    pub writer: (ConnId, &'a Name),
    /// Who reads.
    pub reader: (ConnId, &'a Name),
    /// Whether the writer has opened the channel.
    pub opener: bool,
    /// What has become of it.
    pub report: Report,
    /// Credit that the writer has not spent, in bytes.
    pub credit_bytes: u64,
    /// Credit of the reader's that was not granted, in bytes.
    pub banked_bytes: u64,
    /// Payload that the relay holds, in bytes.
    pub held_bytes: u64,
    /// What the relay may have granted and be holding at the most, in bytes.
    pub cap_bytes: u64,
}

impl Flow<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let Report { age, times, state, stalls, bytes, messages } = self.report;
        for (conn, _) in [self.writer, self.reader] {
            out.extend_from_slice(&conn.shard.to_be_bytes());
            put_u64(out, conn.token);
        }
        out.push(if self.opener { FLAG_OPENER } else { 0 });
        out.push(state as u8);
        put_u64(out, age);
        times.iter().for_each(|time| put_u64(out, *time));
        let Self { credit_bytes, banked_bytes, held_bytes, cap_bytes, .. } = *self;
        for number in [bytes, messages, stalls, credit_bytes, banked_bytes, held_bytes, cap_bytes] {
            put_u64(out, number);
        }
        put_text(self.writer.1.as_bytes(), out);
        put_text(self.reader.1.as_bytes(), out);
    }
}

/// A page that is being written.
#[derive(Debug)]
pub struct Page {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Page {
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
    pub fn put_totals(&mut self, totals: Option<&Totals>) {
        self.put_block(|out| {
            if let Some(totals) = totals {
                totals.put(out);
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

    /// The bytes; the next page begins at `next`, if there is one.
    #[must_use]
    pub fn finish(mut self, next: Option<Cursor>) -> Vec<u8> {
        if let Some(next) = next {
            self.bytes[Self::FLAGS_AT] |= FLAG_MORE;
            self.bytes[Self::CURSOR_AT..Self::CURSOR_AT + 8].copy_from_slice(&next.to_u64().to_be_bytes());
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

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::waits::WaitStates;
    use super::*;
    use limits::STATS_PAGE_BYTES_MIN;

    #[test]
    fn requests_are_exact() {
        let request = |bytes: &[u8]| [&[CODE, VERSION], bytes].concat();
        let expected = Ok((258, Cursor { conn: 7, leg: 9 }));
        assert_eq!(parse(&request(&[1, 2, 0, 0, 0, 7, 0, 0, 0, 9])), expected);
        for malformed in [&[][..], &[1], &[1, 2, 0, 0, 0, 7, 0, 0, 0], &[1, 2, 0, 0, 0, 7, 0, 0, 0, 9, 0]] {
            assert_eq!(parse(&request(malformed)), Err(Declined::Malformed), "{malformed:?}");
        }
        for other in [&[CODE][..], &[CODE, 0], &[CODE, 2, 0, 0]] {
            assert_eq!(parse(other), Err(Declined::Version), "{other:?}");
        }
    }

    #[test]
    fn the_shortest_page_has_room_for_the_totals_or_for_the_longest_flow() {
        let name = Name::new(&[b'x'; 255]);
        let conn = ConnId { shard: 1, token: 2 };
        let flow = Flow {
            writer: (conn, &name),
            reader: (conn, &name),
            opener: true,
            report: WaitStates::new(7).report(1_000_000_007, 0),
            credit_bytes: 1,
            banked_bytes: 2,
            held_bytes: 3,
            cap_bytes: 4,
        };
        let mut page = Page::new(0, 1, 0, STATS_PAGE_BYTES_MIN as usize);
        page.put_totals(None);
        assert!(page.put_flow(&flow) && !page.put_flow(&flow), "one fits and not two");
        let bytes = page.finish(Some(Cursor { conn: 1, leg: 2 }));
        assert!(bytes.len() as u64 <= STATS_PAGE_BYTES_MIN);
        assert_eq!(bytes[..14], [1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]);

        let mut page = Page::new(0, 1, 0, STATS_PAGE_BYTES_MIN as usize);
        page.put_totals(Some(&Totals { ceiling: vec![("receive buffers", 1); 16], ..Totals::default() }));
        assert!(page.finish(None).len() as u64 <= STATS_PAGE_BYTES_MIN);
    }
}
