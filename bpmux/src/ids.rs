//! Ids: from the numbers on the wire to slots of the ledger, and numbers for what we open ourselves.

use std::collections::HashMap;

use crate::varint;

/// Ids below this are looked up in a table. Peers count from 0 or 1, so nearly all lookups end there; the table costs
/// at most 4 bytes an id, so that one open with a high id cannot make it large.
const TABLE_LEN_MAX: u64 = 256;

/// No slot.
const NONE: u32 = u32::MAX;

/// The slots of the open ids of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdMap {
    table: Vec<u32>,
    // Seeded, because peers choose the ids.
    high: HashMap<u64, u32>,
}

impl IdMap {
    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<u32> {
        if id < TABLE_LEN_MAX {
            self.table.get(id as usize).copied().filter(|&slot| slot != NONE)
        } else {
            self.high.get(&id).copied()
        }
    }

    pub(crate) fn insert(&mut self, id: u64, slot: u32) {
        if id < TABLE_LEN_MAX {
            let index = id as usize;
            if self.table.len() <= index {
                self.table.resize((index + 1).next_power_of_two(), NONE);
            }
            self.table[index] = slot;
        } else {
            self.high.insert(id, slot);
        }
    }

    pub(crate) fn remove(&mut self, id: u64) {
        if id >= TABLE_LEN_MAX {
            self.high.remove(&id);
            if self.high.is_empty() {
                self.high = HashMap::default();
            }
        } else if let Some(slot) = self.table.get_mut(id as usize) {
            *slot = NONE;
        }
    }
}

/// Chooses ids for what we open, by the width of their encoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdPool {
    /// For each width (bytes of the encoding, less one) the id tried next and how many are in use.
    widths: [Width; varint::LEN_MAX],
}

#[derive(Clone, Copy, Debug, Default)]
struct Width {
    next: u64,
    used: u64,
}

/// The ids whose encoding takes `width` bytes, both ends included. Never 0: a peer could not tell what is said about
/// `Out-Sink 0` from what is said about the top level.
const fn range(width: usize) -> (u64, u64) {
    match width {
        1 => (1, 247),
        2 => (248, 255),
        9 => (1 << 56, u64::MAX),
        _ => (1 << (8 * (width - 2)), (1 << (8 * (width - 1))) - 1),
    }
}

impl IdPool {
    /// An id of `width` bytes for which `taken` is false, or the next wider one when all of them are in use.
    pub(crate) fn take(&mut self, width: usize, taken: impl Fn(u64) -> bool) -> u64 {
        for width in width..=varint::LEN_MAX {
            let (first, last) = range(width);
            let ids = &mut self.widths[width - 1];
            if ids.used > last - first {
                continue;
            }
            loop {
                let id = ids.next.clamp(first, last);
                ids.next = if id == last { first } else { id + 1 };
                if !taken(id) {
                    ids.used += 1;
                    return id;
                }
            }
        }
        unreachable!("2^64 ids are never all in use")
    }

    pub(crate) fn give_back(&mut self, id: u64) {
        let ids = &mut self.widths[varint::len(id) - 1];
        ids.used = ids.used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_width_is_followed_by_the_next() {
        let mut pool = IdPool::default();
        let mut map = IdMap::default();
        for expected in (1..=247).chain(248..=255).chain(256..300) {
            let id = pool.take(1, |id| map.get(id).is_some());
            assert_eq!(id, expected);
            map.insert(id, 7);
        }
        map.remove(100);
        pool.give_back(100);
        assert_eq!(pool.take(1, |id| map.get(id).is_some()), 100);
        assert_eq!(pool.take(3, |id| map.get(id).is_some()), 300);
        assert_eq!(pool.take(9, |_| false), 1 << 56);
    }

    #[test]
    fn high_ids_are_found_and_forgotten() {
        let mut map = IdMap::default();
        for id in [0, 255, 256, u64::MAX] {
            assert_eq!(map.get(id), None);
            map.insert(id, 3);
            assert_eq!(map.get(id), Some(3));
            map.remove(id);
            assert_eq!(map.get(id), None);
        }
    }
}
