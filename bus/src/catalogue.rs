//! The snapshot of all names, copy-on-write: entries in order, in chunks that are shared with whoever reads them.
//!
//! A listing of all names may be megabytes. Nobody builds one when he is asked for it: the bytes are always there, and
//! whoever reads them holds the chunks as they were when he began. A plugin that comes or leaves costs a copy of the one
//! chunk in which it stands, and of the list of chunks if somebody reads that.

use std::ops::Range;
use std::sync::Arc;

use super::name::Name;
use limits::CATALOGUE_CHUNK_BYTES;
use wire::{ENTRY_BYTES_MAX, Entry};

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the chunk.
    pub(super) chunk: usize,
    /// Its bytes in there.
    pub(super) range: Range<usize>,
}

/// The entries of all plugins. A clone shares all chunks.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// None is empty, and all entries are whole.
    chunks: Vec<Arc<[u8]>>,
    bytes: usize,
}

impl Catalogue {
    /// How long all entries are together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A chunk of entries, if there are so many.
    pub(super) fn chunk(&self, index: usize) -> Option<&[u8]> {
        self.chunks.get(index).map(|chunk| &chunk[..])
    }

    /// Where the entry of this name stands, if there is one.
    pub(super) fn find(&self, name: &Name) -> Option<Place> {
        let chunk = self.chunk_for(name);
        let range = seek(self.chunk(chunk)?, name).ok()?;
        Some(Place { chunk, range })
    }

    /// Adds a name that is not there.
    pub fn insert(&mut self, name: &Name, version: u16) {
        let mut entry = Vec::with_capacity(ENTRY_BYTES_MAX);
        name.put_entry(version, &mut entry);
        self.bytes += entry.len();
        let index = self.chunk_for(name);
        let Some(old) = self.chunks.get(index) else { return self.chunks.push(entry.into()) };
        let at = seek(old, name).unwrap_or_else(|at| at..at).start;
        let new = [&old[..at], &entry, &old[at..]].concat();
        if new.len() <= CATALOGUE_CHUNK_BYTES {
            self.chunks[index] = new.into();
            return;
        }
        let (first, second) = new.split_at(entry_at(&new, new.len() / 2));
        self.chunks[index] = first.into();
        self.chunks.insert(index + 1, second.into());
    }

    /// Takes a name out, if it is there.
    pub fn remove(&mut self, name: &Name) {
        let Some(Place { chunk: index, range }) = self.find(name) else { return };
        self.bytes -= range.len();
        let old = &self.chunks[index];
        let new = [&old[..range.start], &old[range.end..]].concat();
        if new.is_empty() {
            self.chunks.remove(index);
            return;
        }
        self.chunks[index] = new.into();
        // Few names are not to be spread over many chunks.
        if self.chunks[index].len() < CATALOGUE_CHUNK_BYTES / 4 && !self.join(index) && index > 0 {
            self.join(index - 1);
        }
    }

    /// Makes one chunk of this one and the next, if they fit.
    fn join(&mut self, index: usize) -> bool {
        let Some([first, second]) = self.chunks.get(index..index + 2) else { return false };
        if first.len() + second.len() > CATALOGUE_CHUNK_BYTES {
            return false;
        }
        self.chunks[index] = [&first[..], second].concat().into();
        self.chunks.remove(index + 1);
        true
    }

    /// The chunk in which a name stands, or would.
    fn chunk_for(&self, name: &Name) -> usize {
        let begins_behind = |chunk: &Arc<[u8]>| first(chunk).0 <= name.as_bytes();
        self.chunks.partition_point(begins_behind).saturating_sub(1)
    }
}

/// The first entry, and how long it is. All entries are whole.
fn first(chunk: &[u8]) -> (&[u8], usize) {
    let (entry, rest) = Entry::take(chunk).expect("all entries are whole");
    (entry.name, chunk.len() - rest.len())
}

/// Where the entry of a name stands, or else would begin.
fn seek(chunk: &[u8], name: &Name) -> Result<Range<usize>, usize> {
    let mut at = 0;
    while at < chunk.len() {
        let (found, len) = first(&chunk[at..]);
        match found.cmp(name.as_bytes()) {
            std::cmp::Ordering::Less => at += len,
            std::cmp::Ordering::Equal => return Ok(at..at + len),
            std::cmp::Ordering::Greater => break,
        }
    }
    Err(at)
}

/// Where the first entry begins that does not begin before `least`.
fn entry_at(chunk: &[u8], least: usize) -> usize {
    let mut at = 0;
    while at < least {
        at += first(&chunk[at..]).1;
    }
    at
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn all(catalogue: &Catalogue) -> Vec<u8> {
        catalogue.chunks.concat()
    }

    /// Numbers that look random, always the same.
    fn numbers() -> impl Iterator<Item = usize> {
        std::iter::successors(Some(1_u64), |n| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)))
            .map(|n| (n >> 33) as usize)
    }

    fn name(number: usize) -> Name {
        Name::new(format!("{:0width$}", number, width = 1 + number % 200).as_bytes())
    }

    #[test]
    fn entries_stand_in_name_order_whoever_comes_and_leaves() {
        let (mut catalogue, mut expected) = (Catalogue::default(), BTreeMap::new());
        for (step, number) in numbers().take(20_000).enumerate() {
            // Many come first, then many leave.
            let name = name(number % 3_000);
            let leaves = if step < 10_000 { number % 7 == 0 } else { number % 7 != 0 };
            if leaves {
                expected.remove(&name);
                catalogue.remove(&name);
            } else if !expected.contains_key(&name) {
                expected.insert(name.clone(), number as u16);
                catalogue.insert(&name, number as u16);
            }
            assert_eq!(catalogue.find(&name).is_some(), expected.contains_key(&name));
            if step % 100 == 0 {
                let mut bytes = Vec::new();
                expected.iter().for_each(|(name, version)| name.put_entry(*version, &mut bytes));
                assert!(all(&catalogue) == bytes && catalogue.bytes() == bytes.len(), "step {step}");
                let fits = |chunk: &Arc<[u8]>| !chunk.is_empty() && chunk.len() <= CATALOGUE_CHUNK_BYTES;
                assert!(catalogue.chunks.iter().all(fits));
                // Two neighbours are never both next to nothing.
                assert!(catalogue.chunks.len() <= 2 + 3 * bytes.len() / CATALOGUE_CHUNK_BYTES, "step {step}");
            }
        }
        expected.keys().for_each(|name| catalogue.remove(name));
        assert!(catalogue.chunks.is_empty() && catalogue.bytes() == 0);
    }

    #[test]
    fn who_comes_or_leaves_costs_two_chunks_at_the_most_however_many_there_are() {
        let mut catalogue = Catalogue::default();
        (0..20_000).for_each(|number| catalogue.insert(&Name::new(format!("{number:05}").as_bytes()), 1));
        assert!(catalogue.chunks.len() > 30);
        for number in numbers().take(1_000) {
            let before = catalogue.clone();
            let name = Name::new(format!("{:05}", number % 20_000).as_bytes());
            if catalogue.find(&name).is_some() {
                catalogue.remove(&name)
            } else {
                catalogue.insert(&name, 2)
            }
            let shared = |chunk: &&Arc<[u8]>| before.chunks.iter().any(|old| Arc::ptr_eq(old, chunk));
            let copied = catalogue.chunks.iter().filter(|chunk| !shared(chunk)).count();
            assert!(copied <= 2, "{copied} chunks were made for one name");
        }
    }
}
