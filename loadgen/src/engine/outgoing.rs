//! What one send carries: bytes of its own, bytes of everlasting memory among them, and many copies of one message behind.

/// Bytes that leave together, in order.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    /// Slices that are sent in place, each after so many of `bytes`.
    shared: Vec<(usize, &'static [u8])>,
    shared_len: usize,
    repeated: Repeated,
}

/// Copies of one message, which stay as they are from one send to the next: only their stamps are written anew.
#[derive(Debug, Default)]
struct Repeated {
    head: Vec<u8>,
    size: usize,
    bytes: Vec<u8>,
    /// How many of `bytes` are sent.
    used: usize,
}

impl Outgoing {
    /// Makes it empty; its memory is kept.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.shared.clear();
        self.shared_len = 0;
        self.repeated.used = 0;
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes to send.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.shared_len + self.repeated.used
    }

    /// Whether copies stand behind, so that nothing can be appended any more.
    pub(crate) fn is_sealed(&self) -> bool {
        self.repeated.used > 0
    }

    /// Where bytes are appended that are written for this send.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        debug_assert!(!self.is_sealed(), "what is appended stands before the copies");
        &mut self.bytes
    }

    /// Appends bytes that need no copy.
    pub(crate) fn share(&mut self, slice: &'static [u8]) {
        debug_assert!(!self.is_sealed(), "what is appended stands before the copies");
        if !slice.is_empty() {
            self.shared.push((self.bytes.len(), slice));
            self.shared_len += slice.len();
        }
    }

    /// Puts `count` messages behind, each with this head and a payload of `size` bytes. A payload is what `fill` makes of
    /// it or, if the same was asked for before, what the caller left of it then.
    pub(crate) fn repeat(&mut self, head: &[u8], size: usize, count: usize, fill: impl Fn(&mut [u8])) -> &mut [u8] {
        let stride = head.len() + size;
        let repeated = &mut self.repeated;
        if repeated.size != size || repeated.head != head {
            repeated.head = head.to_vec();
            repeated.size = size;
            repeated.bytes.clear();
        }
        while repeated.bytes.len() < count * stride {
            repeated.bytes.extend_from_slice(head);
            let at = repeated.bytes.len();
            repeated.bytes.resize(at + size, 0);
            fill(&mut repeated.bytes[at..]);
        }
        repeated.used = count * stride;
        &mut repeated.bytes[..count * stride]
    }

    /// All of it in order, as slices.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        let pairs = self.shared.iter().flat_map(move |&(at, slice)| {
            let own = &self.bytes[from..at];
            from = at;
            [own, slice]
        });
        let last = self.shared.last().map_or(0, |&(at, _)| at);
        pairs.chain([&self.bytes[last..], &self.repeated.bytes[..self.repeated.used]]).filter(|slice| !slice.is_empty())
    }

    /// Appends all of it to `bytes`.
    pub(crate) fn copy_to(&self, bytes: &mut Vec<u8>) {
        self.slices().for_each(|slice| bytes.extend_from_slice(slice));
    }

    /// All of it in one piece.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.slices().collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_goes_in_order() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.is_empty() && outgoing.to_vec().is_empty());
        outgoing.share(b"shared ");
        outgoing.bytes().extend_from_slice(b"own ");
        outgoing.share(b"first ");
        outgoing.share(b"second ");
        outgoing.bytes().extend_from_slice(b"last ");
        let messages = outgoing.repeat(b"h", 2, 3, |payload| payload.fill(b'.'));
        messages[4] = b'x';
        assert_eq!(outgoing.to_vec(), b"shared own first second last h..hx.h..");
        assert_eq!(outgoing.len(), outgoing.to_vec().len());
        assert!(outgoing.is_sealed());
    }

    #[test]
    fn copies_stay_for_the_next_send() {
        let mut outgoing = Outgoing::default();
        outgoing.repeat(b"h", 1, 2, |payload| payload.fill(b'.'))[1] = b'x';
        outgoing.clear();
        assert!(outgoing.is_empty() && !outgoing.is_sealed());
        outgoing.repeat(b"h", 1, 3, |payload| payload.fill(b'-'));
        assert_eq!(outgoing.to_vec(), b"hxh.h-");
        outgoing.clear();
        outgoing.repeat(b"k", 1, 1, |payload| payload.fill(b'+'));
        assert_eq!(outgoing.to_vec(), b"k+");
    }
}
