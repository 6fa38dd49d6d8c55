//! What the messages say: content of which a reader can tell whether it is the right one, to the last byte.
//!
//! A payload is cut into blocks. Each begins with a stamp: the sequence number of the message, and a check of it, of the
//! channel and of the block's place. The rest is a fixed filling. So a message is made by writing stamps over those of
//! another, long ones are sent from the filling itself, and a reader that knows what comes next only compares.

/// Bytes of a block: a stamp in each finds parts of other messages. No longer than half of a first-level cache, which
/// holds the filling while it is compared with.
pub(crate) const BLOCK: usize = 16 << 10;

/// Bytes of a stamp, and the shortest payload.
pub(crate) const STAMP: usize = 16;

/// What a block holds behind its stamp.
pub(crate) static FILLING: [u8; BLOCK] = filling();

const fn filling() -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        bytes[at] = (mix(at as u64) >> 32) as u8;
        at += 1;
    }
    bytes
}

/// Spreads each bit over all (the finalizer of SplitMix64).
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The two words of the stamp of a block of a message. One multiplication: it is made and compared for each message.
#[inline]
pub(crate) const fn stamp_words(key: u64, sequence: u64, block: usize) -> (u64, u64) {
    let value = (sequence ^ key).wrapping_add((block as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (sequence, value ^ (value >> 32))
}

/// The stamp of a block of a message.
#[inline]
pub(crate) fn stamp(key: u64, sequence: u64, block: usize) -> [u8; STAMP] {
    let (number, check) = stamp_words(key, sequence, block);
    let mut bytes = [0; STAMP];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// The sequence number in the first stamp of a message, if its check is right.
pub(crate) fn sequence_in(key: u64, first: &[u8; STAMP]) -> Option<u64> {
    let (number, _) = first.split_first_chunk().expect("a stamp is longer than its number");
    let sequence = u64::from_le_bytes(*number);
    (stamp(key, sequence, 0) == *first).then_some(sequence)
}

/// Fills a payload; the stamps are to be put over it.
pub(crate) fn fill(payload: &mut [u8]) {
    for block in payload.chunks_mut(BLOCK) {
        block.copy_from_slice(&FILLING[..block.len()]);
    }
}

/// Makes a filled payload that of message `sequence`. The stamp of a short last block is cut off.
#[inline]
pub(crate) fn put_stamps(key: u64, sequence: u64, payload: &mut [u8]) {
    for (index, block) in payload.chunks_mut(BLOCK).enumerate() {
        let len = block.len().min(STAMP);
        block[..len].copy_from_slice(&stamp(key, sequence, index)[..len]);
    }
}

/// The payload of `size` bytes of message `sequence`.
#[cfg(test)]
pub(crate) fn payload(key: u64, sequence: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fill(&mut bytes);
    put_stamps(key, sequence, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_tell_channels_messages_and_places_apart() {
        let first = stamp(1, 2, 0);
        assert_eq!(sequence_in(1, &first), Some(2));
        assert_eq!(sequence_in(2, &first), None);
        for other in [stamp(1, 3, 0), stamp(1, 2, 1), stamp(5, 2, 0)] {
            assert_ne!(first, other);
        }
        let mut wrong = first;
        wrong[0] ^= 1;
        assert_eq!(sequence_in(1, &wrong), None);
    }
}
