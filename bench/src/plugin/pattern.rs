//! Messages that are all alike, recognised many at a time.

use super::batch::Batch;

/// What the messages of a channel look like, but for the id.
///
/// They are counted at a stride that is known, without a wait for the length that stands in each: so reading them is
/// much faster than by the link, which hears nothing of them but the credit that they cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    /// Which bits of the first eight bytes are the head.
    head: u64,
    /// Which are the length of the payload, and their value.
    len: (u64, u64),
    size: usize,
    stride: usize,
}

impl Pattern {
    /// Messages of that size with an id as short as can be.
    pub(crate) fn of(batch: &Batch) -> Self {
        let head = &batch.messages(1)[..batch.head_len()];
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        let head_bits = word(&vec![0xff; head.len()]);
        // The tag and the id are a byte each.
        let len_bits = head_bits & !0xffff;
        Self { head: head_bits, len: (len_bits, word(head) & len_bits), size: batch.size(), stride: batch.stride() }
    }

    /// Payload of a message.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// How many messages of one channel stand at the front, and how many bytes they take.
    pub(crate) fn count(&self, input: &[u8]) -> (usize, usize) {
        let start = |message: &[u8]| message.first_chunk().map_or(0, |start| u64::from_le_bytes(*start));
        let first = start(input) & self.head;
        if first & self.len.0 != self.len.1 {
            return (0, 0);
        }
        let count = input.chunks_exact(self.stride).take_while(|message| start(message) & self.head == first).count();
        (count, count * self.stride)
    }
}

#[cfg(test)]
mod tests {
    use bpmux::Kind;

    use super::*;

    #[test]
    fn runs_end_where_the_channel_changes_or_the_input_ends() {
        for size in [64, 256, 1024] {
            let [one, other] = [1, 2].map(|id| Batch::new(Kind::OutSink, id, size, Some(3)));
            let pattern = Pattern::of(&one);
            let input = [one.messages(3), other.messages(2)].concat();
            let stride = one.stride();
            assert_eq!(pattern.count(&input), (3, 3 * stride));
            assert_eq!(pattern.count(&input[3 * stride..]), (2, 2 * stride));
            assert_eq!(pattern.count(&input[..2 * stride - 1]), (1, stride));
            assert_eq!(pattern.count(&input[1..]), (0, 0));
            assert_eq!(pattern.count(&[]), (0, 0));
        }
    }

    #[test]
    fn other_sizes_are_no_match() {
        let [short, long] = [64, 65].map(|size| Batch::new(Kind::OutSink, 1, size, Some(1)));
        assert_eq!(Pattern::of(&short).count(long.messages(1)), (0, 0));
    }
}
