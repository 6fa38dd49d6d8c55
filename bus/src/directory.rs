//! Service discovery: names, their versions and their connections. One for the whole relay, behind a lock that only
//! registrations, queries and connects take, never payload. Nothing that is done under the lock goes through all names.
//!
//! A registration or a leaving returns which shards must be told; the caller tells them. Shards that have watchers take
//! the changes from here, in the order in which they happened, whenever they have been told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address::ConnId;
use super::catalogue::Catalogue;
use super::listing::{Listings, Snapshot};
use super::name::Name;
use limits::CHANGES_TAKEN_MAX;

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

/// The name belongs to another plugin, at this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken(pub ConnId);

#[derive(Clone, Copy, Debug)]
struct Plugin {
    version: u16,
    conn: ConnId,
}

/// All registered plugins, clients excepted.
#[derive(Debug, Default)]
pub struct Directory {
    plugins: BTreeMap<Name, Plugin>,
    /// Their names and versions, as they are told.
    names: Arc<Catalogue>,
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
    pub fn register(&mut self, name: &Name, version: u16, conn: ConnId) -> Result<Vec<u16>, Taken> {
        if let Some(holder) = self.plugins.get(name) {
            return Err(Taken(holder.conn));
        }
        self.plugins.insert(name.clone(), Plugin { version, conn });
        Arc::make_mut(&mut self.names).insert(name, version);
        Ok(self.note(name, version, true))
    }

    /// Takes a plugin out. Returns the shards to tell.
    pub fn leave(&mut self, name: &Name, conn: ConnId) -> Vec<u16> {
        match self.plugins.get(name) {
            Some(plugin) if plugin.conn == conn => {
                let version = plugin.version;
                self.plugins.remove(name);
                Arc::make_mut(&mut self.names).remove(name);
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
    pub fn find(&self, name: &Name) -> Option<(ConnId, u16)> {
        self.plugins.get(name).map(|plugin| (plugin.conn, plugin.version))
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

    /// The names and versions of all plugins, and the number of the first change after them. `first`: see [`Listings::get`].
    pub fn snapshot(&mut self, first: bool) -> (Snapshot, u64) {
        (self.listings.get(&self.names, first), self.seq)
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

    /// The next changes that `shard` has not taken yet, [`CHANGES_TAKEN_MAX`] at the most; none when it has taken all.
    pub fn take_changes(&mut self, shard: u16) -> Vec<Change> {
        let Some(cursor) = self.cursors.get_mut(&shard) else { return Vec::new() };
        // Changes are numbered without gaps.
        let taken = self.changes.front().map_or(0, |first| cursor.saturating_sub(first.seq) as usize);
        let upto = self.changes.len().min(taken + CHANGES_TAKEN_MAX);
        let changes: Vec<_> = self.changes.range(taken.min(upto)..upto).cloned().collect();
        *cursor += changes.len() as u64;
        self.trim();
        changes
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
    use super::super::listing::Listing;
    use super::*;

    const CONN: ConnId = ConnId { shard: 0, token: 1 };
    const OTHER: ConnId = ConnId { shard: 1, token: 1 };

    #[test]
    fn a_name_belongs_to_one_connection() {
        let mut directory = Directory::default();
        let echo = Name::new(b"echo");
        assert_eq!(directory.register(&echo, 1, CONN), Ok(vec![]));
        assert_eq!(directory.register(&echo, 2, OTHER), Err(Taken(CONN)));
        assert!(directory.leave(&echo, OTHER).is_empty());
        assert_eq!(directory.find(&echo), Some((CONN, 1)));
        directory.leave(&echo, CONN);
        assert_eq!(directory.find(&echo), None);
        assert_eq!(directory.register(&echo, 2, OTHER), Ok(vec![]));
    }

    #[test]
    fn each_watching_shard_takes_each_change_once() {
        let mut directory = Directory::default();
        let (clock, echo) = (Name::new(b"clock"), Name::new(b"echo"));
        directory.register(&clock, 1, CONN).unwrap();
        directory.watch(1);
        let (names, seq) = directory.snapshot(true);
        assert_eq!((Listing::new(names, &echo).left(), seq), (8, 1));
        assert_eq!(directory.register(&echo, 3, CONN), Ok(vec![1]));
        directory.watch(2);
        assert_eq!(directory.leave(&clock, CONN), vec![1, 2]);
        let joined = Change { seq: 1, name: echo, version: 3, joined: true };
        let left = Change { seq: 2, name: clock, version: 1, joined: false };
        assert_eq!(directory.take_changes(2), vec![left.clone()]);
        assert_eq!(directory.take_changes(1), vec![joined, left]);
        assert!(directory.take_changes(1).is_empty() && directory.changes.is_empty());
        directory.unwatch(1);
        directory.unwatch(2);
        directory.register(&Name::new(b"x"), 0, CONN).unwrap();
        assert!(directory.changes.is_empty(), "nobody watches, so nothing is kept");
    }

    #[test]
    fn changes_are_taken_a_few_at_a_time() {
        let mut directory = Directory::default();
        directory.watch(1);
        directory.watch(2);
        let count = 2 * CHANGES_TAKEN_MAX + 1;
        (0..count).for_each(|n| _ = directory.register(&Name::new(format!("{n}").as_bytes()), 0, CONN).unwrap());
        for shard in [1, 2] {
            let parts = [(); 4].map(|()| directory.take_changes(shard));
            let seqs: Vec<_> = parts.iter().flatten().map(|change| change.seq).collect();
            assert_eq!(seqs, (0..count as u64).collect::<Vec<_>>());
            assert!(parts.iter().all(|part| part.len() <= CHANGES_TAKEN_MAX));
        }
        assert!(directory.changes.is_empty());
    }
}
