//! The names of all plugins as entries, for answers to queries and the first message of a watch.
//!
//! A listing may be megabytes, and whoever has asked for it may take his time. So all who ask while nobody comes or leaves
//! share one, and a few different ones are kept at a time. While all of those are being read whoever asks gets one of its
//! own, which counts among what the connection costs: so those who read slowly keep nobody else from being told.

use std::ops::Range;
use std::sync::{Arc, Weak};

use super::command::Name;
use crate::limits::LISTINGS_MAX;

/// All entries but one.
#[derive(Clone, Debug)]
pub struct Listing {
    entries: Arc<[u8]>,
    /// Whether nobody else has it.
    own: bool,
    /// Where the entry of the one who asks stands; empty when it has none.
    left_out: Range<usize>,
}

impl Listing {
    fn new(entries: Arc<[u8]>, own: bool, asker: &Name) -> Self {
        let mut at = 0;
        let mut left_out = 0..0;
        while let Some(&len) = entries.get(at) {
            let end = at + 1 + usize::from(len) + 2;
            if entries[at + 1..end - 2] == *asker.as_bytes() {
                left_out = at..end;
                break;
            }
            at = end;
        }
        Self { entries, own, left_out }
    }

    /// The memory that the one who reads it has to answer for, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        if self.own { self.entries.len() } else { 0 }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.left_out.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends some of its bytes.
    pub fn copy(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let gap = self.left_out.start;
        out.extend_from_slice(&self.entries[range.start.min(gap)..range.end.min(gap)]);
        let behind = |at: usize| at.max(gap) + self.left_out.len();
        out.extend_from_slice(&self.entries[behind(range.start)..behind(range.end)]);
    }
}

/// The listings that somebody still reads.
#[derive(Debug, Default)]
pub struct Listings {
    /// The newest last, each with the number of the first change after it.
    kept: Vec<(u64, Weak<[u8]>)>,
}

impl Listings {
    /// What there is before the change `seq`, as `asker` is told of it; made by `make` if need be.
    pub fn get(&mut self, seq: u64, asker: &Name, make: impl FnOnce() -> Vec<u8>) -> Listing {
        let newest = self.kept.last().filter(|(at, _)| *at == seq).and_then(|(_, listing)| listing.upgrade());
        if let Some(entries) = newest {
            return Listing::new(entries, false, asker);
        }
        self.kept.retain(|(_, listing)| listing.strong_count() > 0);
        let entries: Arc<[u8]> = make().into();
        let own = self.kept.len() >= LISTINGS_MAX;
        if !own {
            self.kept.push((seq, Arc::downgrade(&entries)));
        }
        Listing::new(entries, own, asker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        names.iter().for_each(|name| Name::new(name.as_bytes()).put_entry(1, &mut out));
        out
    }

    #[test]
    fn everybody_is_told_of_all_others() {
        let names = ["a", "bb", "ccc"];
        for asker in ["a", "bb", "ccc", "absent", ""] {
            let listing = Listing::new(entries(&names).into(), false, &Name::new(asker.as_bytes()));
            let others: Vec<_> = names.into_iter().filter(|name| *name != asker).collect();
            let expected = entries(&others);
            assert_eq!(listing.len(), expected.len());
            // In two parts, cut anywhere.
            for cut in 0..=expected.len() {
                let mut out = Vec::new();
                listing.copy(0..cut, &mut out);
                listing.copy(cut..expected.len(), &mut out);
                assert_eq!(out, expected, "{asker} {cut}");
            }
        }
        assert!(Listing::new(entries(&["a"]).into(), false, &Name::new(b"a")).is_empty());
    }

    #[test]
    fn a_listing_is_shared_or_whoever_has_it_answers_for_it() {
        let mut listings = Listings::default();
        let nobody = Name::new(b"");
        let first = listings.get(0, &nobody, || entries(&["a"]));
        let again = listings.get(0, &nobody, || panic!("there is one"));
        assert!(Arc::ptr_eq(&first.entries, &again.entries));
        let mut read: Vec<_> = (1..LISTINGS_MAX as u64).map(|seq| listings.get(seq, &nobody, Vec::new)).collect();
        let own = listings.get(100, &nobody, || entries(&["a", "b"]));
        assert_eq!((own.memory_bytes(), first.memory_bytes()), (own.len(), 0));
        let newest = LISTINGS_MAX as u64 - 1;
        assert_eq!(listings.get(newest, &nobody, || panic!("there is one")).memory_bytes(), 0);
        read.remove(0);
        assert_eq!(listings.get(100, &nobody, || entries(&["a", "b"])).memory_bytes(), 0, "there is room again");
    }
}
