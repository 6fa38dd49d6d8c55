//! Memory accounting: what tables take beside their entries.

/// What a table of hashes takes for an entry beside the entry itself, with the room that it keeps for more, in bytes.
pub(crate) const HASHED_BYTES: usize = 8;
