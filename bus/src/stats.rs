//! Requests for what the relay tells of itself (protocol, section 4): where a page begins, and why there is none.
//!
//! Each shard tells of its own, a page at a time. A page is no longer than the credit that was given for it, so that it
//! never waits here, and says where the next one goes on.

use wire::stats::{CODE, VERSION, declined, parse_request};

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
    /// As it stands on the wire.
    #[must_use]
    pub fn to_u64(self) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use limits::STATS_PAGE_BYTES_MIN;
    use wire::stats::{Counters, Flow, FlowEnd, FlowState, PageWriter, Totals};

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
        let end = FlowEnd { shard: 1, token: 2, name: &[b'x'; 255] };
        let flow = Flow {
            writer: end,
            reader: end,
            opener: true,
            state: FlowState::Idle,
            age_ns: 1,
            times_ns: [1; 5],
            counters: Counters::default(),
        };
        let mut page = PageWriter::new(0, 1, 0, STATS_PAGE_BYTES_MIN as usize);
        page.put_totals(None);
        assert!(page.put_flow(&flow) && !page.put_flow(&flow), "one fits and not two");
        let bytes = page.finish(Some(Cursor { conn: 1, leg: 2 }.to_u64()));
        assert!(bytes.len() as u64 <= STATS_PAGE_BYTES_MIN);
        assert_eq!(bytes[..14], [1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]);

        let mut page = PageWriter::new(0, 1, 0, STATS_PAGE_BYTES_MIN as usize);
        page.put_totals(Some((&Totals::default(), &[("receive buffers", 1); 16])));
        assert!(page.finish(None).len() as u64 <= STATS_PAGE_BYTES_MIN);
    }
}
