//! The opening payload of an offer while it comes in.

use super::reader::ReaderId;

/// The opening payload of an offer while it comes in.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) reader: ReaderId,
    pub(super) bytes: Vec<u8>,
}
