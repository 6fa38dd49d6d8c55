//! Ids: from the numbers on the wire to slots of the ledger, and numbers for what we open ourselves.

use std::collections::HashMap;

use crate::varint;

/// Ids below this, or below so many times the number of open ones, are looked up in a table. Peers count from 0 or 1, so
/// nearly all lookups end there; and one open with a high id cannot make the table large.
const TABLE_LEN: u64 = 256;
const TABLE_LEN_PER_ID: u64 = 2;

/// No slot.
const NONE: u32 = u32::MAX;

/// The slots of the open ids of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdMap {
    table: Vec<u32>,
    /// Ids that had no place in the table when they were opened. Seeded, because peers choose the ids; boxed, because
    /// most links never have any.
    #[expect(clippy::box_collection, reason = "six of these stand in every link")]
    high: Option<Box<HashMap<u64, u32>>>,
    open: u64,
}

impl IdMap {
    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<u32> {
        let low = usize::try_from(id).ok().and_then(|index| self.table.get(index)).filter(|&&slot| slot != NONE);
        if low.is_some() { low.copied() } else { self.high.as_ref()?.get(&id).copied() }
    }

    pub(crate) fn insert(&mut self, id: u64, slot: u32) {
        self.open += 1;
        if id < TABLE_LEN.max(TABLE_LEN_PER_ID * self.open) {
            let index = id as usize;
            if self.table.len() <= index {
                self.table.resize((index + 1).next_power_of_two(), NONE);
            }
            self.table[index] = slot;
        } else {
            self.high.get_or_insert_default().insert(id, slot);
        }
    }

    /// The memory that it takes beside itself, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        // All fields are named, so that a new one is not left out.
        let Self { table, high, open: _ } = self;
        let high = high.as_ref().map_or(0, |high| high.capacity());
        table.capacity() * size_of::<u32>() + high * 2 * size_of::<(u64, u32)>()
    }

    /// Forgets an open id.
    pub(crate) fn remove(&mut self, id: u64) {
        self.open -= 1;
        match usize::try_from(id).ok().and_then(|index| self.table.get_mut(index)).filter(|slot| **slot != NONE) {
            Some(slot) => *slot = NONE,
            None => {
                let high = self.high.as_mut().expect("an open id stands in one of the two");
                high.remove(&id);
                if high.is_empty() {
                    self.high = None;
                }
            }
        }
        if self.open == 0 && self.table.len() as u64 > TABLE_LEN {
            self.table = Vec::new();
        }
    }
}

/// Chooses ids for what we open, by the width of their encoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdPool {
    /// For each width (bytes of the encoding, less one) the id tried next and how many are in use.
    /// Boxed, because most peers are never opened anything to.
    widths: Option<Box<[Width; varint::LEN_MAX]>>,
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

/// How many ids of a width may be in use. All where there are few of them. Where there are many, half: the next free one is
/// looked for in order, and with as many free as taken that takes two steps on average, whatever a peer does not give back.
const fn used_max(width: usize) -> u64 {
    let (first, last) = range(width);
    if width <= 2 { last - first + 1 } else { (last - first) / 2 }
}

impl IdPool {
    /// The memory that it takes beside itself, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let Self { widths } = self;
        widths.as_ref().map_or(0, |widths| size_of_val(&**widths))
    }

    /// An id of `width` bytes for which `taken` is false, or a wider one when too many of them are in use.
    pub(crate) fn take(&mut self, width: usize, taken: impl Fn(u64) -> bool) -> u64 {
        let widths = self.widths.get_or_insert_default();
        for width in width..=varint::LEN_MAX {
            let (first, last) = range(width);
            let ids = &mut widths[width - 1];
            if ids.used >= used_max(width) {
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
        if let Some(widths) = &mut self.widths {
            let ids = &mut widths[varint::len(id) - 1];
            ids.used = ids.used.saturating_sub(1);
        }
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

    /// A peer gives none back but the one that it got last, and holds all others of three bytes or less.
    #[test]
    fn ids_are_not_looked_for_among_all_that_are_in_use() {
        const HELD: u64 = 65_534;
        let (mut pool, mut held) = (IdPool::default(), std::collections::HashSet::new());
        let looked = std::cell::Cell::new(0);
        for round in 0..2 * HELD {
            let id = pool.take(1, |id| {
                looked.set(looked.get() + 1);
                held.contains(&id)
            });
            if round < HELD { assert!(held.insert(id)) } else { pool.give_back(id) }
        }
        assert!(looked.get() < 8 * HELD, "{} were looked at", looked.get());
    }

    #[test]
    fn ids_counted_up_stay_in_the_table_and_single_high_ones_out_of_it() {
        let mut map = IdMap::default();
        map.insert(1 << 40, 7);
        for id in 1..10_000 {
            map.insert(id, id as u32);
        }
        assert!(map.table.len() <= 16_384 && map.high.as_ref().unwrap().len() == 1);
        assert_eq!((map.get(1 << 40), map.get(9_999), map.get(10_000)), (Some(7), Some(9_999), None));
        (1..10_000).for_each(|id| map.remove(id));
        map.remove(1 << 40);
        assert!(map.table.is_empty() && map.high.is_none());
    }

    #[test]
    fn an_id_that_was_high_when_it_was_opened_is_found_when_the_table_has_grown_past_it() {
        let mut map = IdMap::default();
        map.insert(300, 7);
        (0..300).for_each(|id| map.insert(id, 1));
        assert_eq!(map.get(300), Some(7));
        map.insert(301, 8);
        map.remove(300);
        assert_eq!((map.get(300), map.get(301)), (None, Some(8)));
        map.insert(300, 9);
        assert_eq!(map.get(300), Some(9));
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
