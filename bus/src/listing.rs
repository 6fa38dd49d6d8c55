//! Listings, snapshots of who is there: answers to queries, and the first message of a watch.
//!
//! Whoever asks may take his time, and what he reads is kept for as long. What is there now is kept anyway; of what was
//! there before, a few different states are kept for all who ask, no more than one for the sake of each. While all of those are
//! being read whoever asks has to answer for what is kept for him, together with all who read the same, among all that his
//! connection costs: so those who read slowly keep nobody else from being told.

use std::sync::{Arc, Weak};

use super::catalogue::{Catalogue, Place};
use super::name::Name;
use limits::LISTINGS_MAX;

/// All names at one time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    names: Arc<Catalogue>,
    /// Whether whoever has it answers for it.
    own: bool,
}

/// All entries but one, as far as they have not been read.
#[derive(Debug)]
pub struct Listing {
    snapshot: Snapshot,
    /// The entry of the one who asks.
    left_out: Option<Place>,
    /// What is read next: a chunk, and a place in it.
    chunk: usize,
    at: usize,
    /// Bytes that have not been read.
    left: usize,
}

impl Listing {
    /// What there is, as `asker` is told of it.
    #[must_use]
    pub fn new(snapshot: Snapshot, asker: &Name) -> Self {
        let left_out = snapshot.names.find(asker);
        let left = snapshot.names.bytes() - left_out.as_ref().map_or(0, |place| place.range.len());
        Self { snapshot, left_out, chunk: 0, at: 0, left }
    }

    /// The memory that the one who reads it has to answer for, in bytes: a part of what he shares with all who hold the
    /// same state.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let Snapshot { names, own } = &self.snapshot;
        if *own { names.bytes().div_ceil(Arc::strong_count(names)) } else { 0 }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// Appends the next `len` bytes, or all that are left if those are fewer.
    pub fn take(&mut self, len: usize, out: &mut Vec<u8>) {
        let mut len = len.min(self.left);
        self.left -= len;
        while len > 0 {
            let Some(chunk) = self.snapshot.names.chunk(self.chunk) else { return };
            let gap = self.left_out.as_ref().filter(|place| place.chunk == self.chunk).map(|place| &place.range);
            let end = match gap {
                Some(gap) if self.at == gap.start => {
                    self.at = gap.end;
                    chunk.len()
                }
                Some(gap) if self.at < gap.start => gap.start,
                _ => chunk.len(),
            };
            let part = &chunk[self.at..end.min(self.at + len)];
            out.extend_from_slice(part);
            len -= part.len();
            self.at += part.len();
            if self.at == chunk.len() {
                (self.chunk, self.at) = (self.chunk + 1, 0);
            }
        }
    }
}

/// The states of the catalogue that somebody may still read.
#[derive(Debug, Default)]
pub struct Listings {
    /// The newest last.
    kept: Vec<Weak<Catalogue>>,
}

impl Listings {
    /// What there is now. `first`: whether whoever asks holds nothing else, for which nobody has to answer but with the others.
    pub fn get(&mut self, names: &Arc<Catalogue>, first: bool) -> Snapshot {
        self.kept.retain(|kept| kept.strong_count() > 0);
        let known = self.kept.iter().any(|kept| std::ptr::eq(kept.as_ptr(), Arc::as_ptr(names)));
        let own = !known && (!first || self.kept.len() >= LISTINGS_MAX);
        if !known && !own {
            self.kept.push(Arc::downgrade(names));
        }
        Snapshot { names: names.clone(), own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(names: &[Name]) -> Arc<Catalogue> {
        let mut catalogue = Catalogue::default();
        names.iter().for_each(|name| catalogue.insert(name, 1));
        Arc::new(catalogue)
    }

    fn listing(names: &Arc<Catalogue>, asker: &Name) -> Listing {
        Listing::new(Listings::default().get(names, true), asker)
    }

    #[test]
    fn everybody_is_told_of_all_others() {
        for count in [0, 1, 3, 2_000] {
            let names: Vec<_> = (0..count).map(|number| Name::new(format!("n{number:04}").as_bytes())).collect();
            let catalogue = catalogue(&names);
            let askers = [0, 1, 2, 700, 1_999].into_iter().filter_map(|index| names.get(index).cloned());
            for asker in askers.chain([Name::new(b""), Name::new(b"absent"), Name::new(b"zzz")]) {
                let mut expected = Vec::new();
                names.iter().filter(|name| **name != asker).for_each(|name| name.put_entry(1, &mut expected));
                // In parts of any size.
                for part in [1, 7, 1_000, 100_000] {
                    let (mut listing, mut told) = (listing(&catalogue, &asker), Vec::new());
                    assert_eq!(listing.left(), expected.len());
                    while listing.left() > 0 {
                        listing.take(part, &mut told);
                    }
                    listing.take(part, &mut told);
                    assert!(told == expected, "{asker} {part}");
                }
            }
        }
    }

    #[test]
    fn a_listing_tells_what_was_there_when_it_was_begun() {
        let mut names = catalogue(&[Name::new(b"a"), Name::new(b"c")]);
        let (mut listing, mut told) = (listing(&names, &Name::new(b"")), Vec::new());
        listing.take(2, &mut told);
        Arc::make_mut(&mut names).insert(&Name::new(b"b"), 1);
        Arc::make_mut(&mut names).remove(&Name::new(b"c"));
        listing.take(100, &mut told);
        assert_eq!(told, b"\x01a\x00\x01\x01c\x00\x01");
    }

    #[test]
    fn a_listing_is_shared_or_whoever_has_it_answers_for_it() {
        let mut names = catalogue(&[Name::new(b"a")]);
        let mut listings = Listings::default();
        let first = listings.get(&names, true);
        assert!(Arc::ptr_eq(&first.names, &listings.get(&names, true).names), "nothing is copied for it");
        let mut change = |names: &mut Arc<Catalogue>, number: usize| {
            Arc::make_mut(names).insert(&Name::new(format!("{number}").as_bytes()), 1);
            listings.get(names, true)
        };
        let mut read: Vec<_> = (1..LISTINGS_MAX).map(|number| change(&mut names, number)).collect();
        assert!(read.iter().all(|snapshot| !snapshot.own));
        let own = change(&mut names, LISTINGS_MAX);
        assert!(own.own && !first.own);
        // It is what the directory has now as well.
        assert_eq!(Listing::new(own, &Name::new(b"")).memory_bytes(), names.bytes().div_ceil(2));
        read.remove(0);
        assert!(!listings.get(&names, true).own, "there is room again");
    }

    #[test]
    fn states_that_nobody_reads_are_not_kept() {
        let mut names = catalogue(&[]);
        let mut listings = Listings::default();
        for number in 0..3 * LISTINGS_MAX {
            Arc::make_mut(&mut names).insert(&Name::new(format!("{number}").as_bytes()), 1);
            assert!(!listings.get(&names, true).own);
        }
    }
}
