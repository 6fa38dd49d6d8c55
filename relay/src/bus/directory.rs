//! Who is there: names, their versions and their ports. One for the whole relay, behind a lock that only registrations,
//! queries and connects take, never payload.
//!
//! A registration or a leaving returns which shards must be told; the caller tells them. Shards that have watchers take
//! the changes from here, in the order in which they happened, whenever they have been told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address::PortAddr;
use super::command::Name;
use super::listing::{Listing, Listings};

/// The directory as all shards share it.
pub type SharedDirectory = Arc<Mutex<Directory>>;

/// Locks the directory. A shard that panicked while it held the lock left it consistent: every change is one step.
pub fn lock(directory: &SharedDirectory) -> MutexGuard<'_, Directory> {
    directory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plugin that connected or left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Counts all changes.
    pub seq: u64,
    /// Who.
    pub name: Name,
    /// Its version.
    pub version: u16,
    /// Whether it connected; else it left.
    pub joined: bool,
}

/// The name belongs to another plugin, at this port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken(pub PortAddr);

#[derive(Clone, Copy, Debug)]
struct Plugin {
    version: u16,
    port: PortAddr,
}

/// All registered plugins, clients excepted.
#[derive(Debug, Default)]
pub struct Directory {
    plugins: BTreeMap<Name, Plugin>,
    /// The number of the next change.
    seq: u64,
    /// Changes that some watching shard has not taken yet.
    changes: VecDeque<Change>,
    /// For each shard with watchers, the first change that it has not taken.
    cursors: BTreeMap<u16, u64>,
    listings: Listings,
}

impl Directory {
    /// Registers a plugin. Returns the shards to tell.
    ///
    /// # Errors
    /// [`Taken`].
    pub fn register(&mut self, name: &Name, version: u16, port: PortAddr) -> Result<Vec<u16>, Taken> {
        if let Some(holder) = self.plugins.get(name) {
            return Err(Taken(holder.port));
        }
        self.plugins.insert(name.clone(), Plugin { version, port });
        Ok(self.note(name, version, true))
    }

    /// Takes a plugin out. Returns the shards to tell.
    pub fn leave(&mut self, name: &Name, port: PortAddr) -> Vec<u16> {
        match self.plugins.get(name) {
            Some(plugin) if plugin.port == port => {
                let version = plugin.version;
                self.plugins.remove(name);
                self.note(name, version, false)
            }
            _ => Vec::new(),
        }
    }

    fn note(&mut self, name: &Name, version: u16, joined: bool) -> Vec<u16> {
        let seq = self.seq;
        self.seq += 1;
        if !self.cursors.is_empty() {
            self.changes.push_back(Change { seq, name: name.clone(), version, joined });
        }
        self.cursors.keys().copied().collect()
    }

    /// Where a plugin is, and its version.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<(PortAddr, u16)> {
        self.plugins.get(name).map(|plugin| (plugin.port, plugin.version))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// Whether there are any but `asker`.
    #[must_use]
    pub fn has_others(&self, asker: &Name) -> bool {
        self.plugins.len() > usize::from(self.plugins.contains_key(asker))
    }

    /// The entries of all plugins but `asker`, in name order, and the number of the first change after them.
    pub fn listing(&mut self, asker: &Name) -> (Listing, u64) {
        let Self { plugins, listings, seq, .. } = self;
        let entries = || {
            let mut entries = Vec::new();
            plugins.iter().for_each(|(name, plugin)| name.put_entry(plugin.version, &mut entries));
            entries
        };
        (listings.get(*seq, asker, entries), *seq)
    }

    /// The shard has a watcher. From now on changes are kept for it.
    pub fn watch(&mut self, shard: u16) {
        let seq = self.seq;
        self.cursors.entry(shard).or_insert(seq);
    }

    /// The shard has no watchers any more.
    pub fn unwatch(&mut self, shard: u16) {
        self.cursors.remove(&shard);
        self.trim();
    }

    /// The changes that `shard` has not taken yet.
    pub fn take_changes(&mut self, shard: u16) -> Vec<Change> {
        let Some(cursor) = self.cursors.get_mut(&shard) else { return Vec::new() };
        let from = *cursor;
        *cursor = self.seq;
        let taken = self.changes.iter().skip_while(|change| change.seq < from).cloned().collect();
        self.trim();
        taken
    }

    /// Drops changes that all watching shards have taken.
    fn trim(&mut self) {
        let kept_from = self.cursors.values().copied().min().unwrap_or(self.seq);
        while self.changes.front().is_some_and(|change| change.seq < kept_from) {
            self.changes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortAddr = PortAddr { shard: 0, port: 1 };
    const OTHER: PortAddr = PortAddr { shard: 1, port: 1 };

    #[test]
    fn a_name_belongs_to_one_port() {
        let mut directory = Directory::default();
        let echo = Name::new(b"echo");
        assert_eq!(directory.register(&echo, 1, PORT), Ok(vec![]));
        assert_eq!(directory.register(&echo, 2, OTHER), Err(Taken(PORT)));
        assert!(directory.leave(&echo, OTHER).is_empty());
        assert_eq!(directory.find(&echo), Some((PORT, 1)));
        directory.leave(&echo, PORT);
        assert_eq!(directory.find(&echo), None);
        assert_eq!(directory.register(&echo, 2, OTHER), Ok(vec![]));
    }

    #[test]
    fn each_watching_shard_takes_each_change_once() {
        let mut directory = Directory::default();
        let (clock, echo) = (Name::new(b"clock"), Name::new(b"echo"));
        directory.register(&clock, 1, PORT).unwrap();
        directory.watch(1);
        let (listing, seq) = directory.listing(&echo);
        assert_eq!((listing.len(), seq), (8, 1));
        assert_eq!(directory.register(&echo, 3, PORT), Ok(vec![1]));
        directory.watch(2);
        assert_eq!(directory.leave(&clock, PORT), vec![1, 2]);
        let joined = Change { seq: 1, name: echo, version: 3, joined: true };
        let left = Change { seq: 2, name: clock, version: 1, joined: false };
        assert_eq!(directory.take_changes(2), vec![left.clone()]);
        assert_eq!(directory.take_changes(1), vec![joined, left]);
        assert!(directory.take_changes(1).is_empty() && directory.changes.is_empty());
        directory.unwatch(1);
        directory.unwatch(2);
        directory.register(&Name::new(b"x"), 0, PORT).unwrap();
        assert!(directory.changes.is_empty(), "nobody watches, so nothing is kept");
    }
}
