//! Questions about the relay itself: the request, the codes with which it is declined, and the pages of the answer (protocol,
//! section 4).

mod page;

pub use page::{Ceiling, Counters, Flow, FlowEnd, FlowState, Page, PageWriter, Totals};

/// The first byte of a request that is about this.
pub const CODE: u8 = 0x10;
/// The version of the request and of the answer.
pub const VERSION: u8 = 1;

/// Codes with which a request is declined.
pub mod declined {
    /// The version is not known; the lowest and the highest that are follow.
    pub const VERSION: u8 = 0x01;
    /// The connection may not ask.
    pub const RIGHT: u8 = 0x02;
    /// The request is not exactly what its version says.
    pub const MALFORMED: u8 = 0x03;
    /// There is no such shard.
    pub const SHARD: u8 = 0x04;
    /// The connection asks too much at once.
    pub const BUSY: u8 = 0x05;
}

/// The opening payload that asks for a page of what a shard tells of itself.
#[must_use]
pub fn request(shard: u16, cursor: u64) -> Vec<u8> {
    [&[CODE, VERSION][..], &shard.to_be_bytes(), &cursor.to_be_bytes()].concat()
}

/// Reads what follows code and version in a request: which shard, and from where on.
#[must_use]
pub fn parse_request(rest: &[u8]) -> Option<(u16, u64)> {
    let (shard, cursor) = rest.split_first_chunk()?;
    Some((u16::from_be_bytes(*shard), u64::from_be_bytes(cursor.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_the_byte() {
        assert_eq!(request(0x0102, 3), b"\x10\x01\x01\x02\0\0\0\0\0\0\0\x03");
        assert_eq!(parse_request(&request(7, 1 << 40)[2..]), Some((7, 1 << 40)));
        assert_eq!(parse_request(&request(7, 1)[3..]), None);
    }
}
