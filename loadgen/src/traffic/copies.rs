//! Blocks of whole messages of one half, kept from one send to the next: only their stamps are written anew.

use super::content;

/// Blocks that are in no send, the one used last on top.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    spare: Vec<Vec<u8>>,
}

impl Copies {
    /// A block of `count` messages, each with this head and a filled payload of `size` bytes. Stamps are those of its last
    /// use, if there are any.
    pub(crate) fn take(&mut self, head: &[u8], size: usize, count: usize) -> Vec<u8> {
        let mut block = self.spare.pop().unwrap_or_default();
        // A head says half and size, so a block that begins with it consists of such messages.
        if !block.starts_with(head) {
            block.clear();
        }
        let len = count * (head.len() + size);
        block.truncate(len);
        while block.len() < len {
            block.extend_from_slice(head);
            let at = block.len();
            block.resize(at + size, 0);
            content::fill(&mut block[at..]);
        }
        block
    }

    /// Takes back a block that was sent.
    pub(crate) fn give_back(&mut self, block: Vec<u8>) {
        self.spare.push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_for_the_next_send_on_the_same_half() {
        let mut copies = Copies::default();
        let mut block = copies.take(b"h", 20, 2);
        assert_eq!(block, [&b"h"[..], &content::FILLING[..20], b"h", &content::FILLING[..20]].concat());
        block[22] = b'x';
        let kept = block.clone();
        copies.give_back(block);
        let block = copies.take(b"h", 20, 3);
        assert_eq!(block, [&kept[..], b"h", &content::FILLING[..20]].concat());
        copies.give_back(block);
        let block = copies.take(b"h", 20, 1);
        assert_eq!(block, kept[..21]);
        copies.give_back(block);
        assert_eq!(copies.take(b"k", 4, 1), [b"k", &content::FILLING[..4]].concat());
    }
}
