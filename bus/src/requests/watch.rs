//! A watch, the publish-subscribe of presence: a plugin is told who is there, and then of each that connects or leaves.
//!
//! What a watcher has not been told is kept as a difference for each name, not as a list of what happened: at most a
//! leave and a connect for a name, and nothing at all for one that came and went in between (protocol, section 2). So a
//! watcher that gives no credit costs no more than the names there are and the names it has been told of. One that has
//! given none at all costs nothing: what is there is looked up when it can be told. All of it counts as what the connection costs
//! besides payload, which `limits.overhead_memory_bytes` bounds (`shard::overhead` of the relay).

use std::collections::{HashMap, VecDeque};

use bpmux::{HalfKey, Link};

use super::super::directory::{self, Change};
use super::super::listing::Listing;
use super::super::memory::table_bytes;
use super::super::name::Name;
use super::super::plugin::{PluginContext, Role};
use super::reply::Reply;
use limits::{ENTRY_BYTES_MAX, WORK_LISTING_UNITS};
use wire::watch::{JOINED, LEFT};

/// What is owed about one name, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Owed {
    left: Option<u16>,
    joined: Option<u16>,
}

/// One plugin's watch.
#[derive(Debug)]
pub(super) struct Watch {
    half: HalfKey,
    /// Changes before this one are part of the first message; none when that is still to be begun.
    since: Option<u64>,
    /// The message that is being written.
    reply: Option<Reply>,
    owed: HashMap<Name, Owed>,
    /// Names of which something is owed, in the order in which it came to be; some may be settled.
    order: VecDeque<Name>,
}

impl Watch {
    /// A watch that owes the names that are there.
    fn new(half: HalfKey) -> Self {
        Self { half, since: None, reply: None, owed: HashMap::new(), order: VecDeque::new() }
    }

    /// The plugin wants to be told who is there.
    pub(super) fn open(half: HalfKey, cx: &mut PluginContext<'_>) -> Self {
        cx.plugin.link.set_user(half, Role::Watch);
        directory::lock(cx.directory).watch(cx.plugin.me.shard);
        cx.effects.watching = Some(true);
        Self::new(half)
    }

    /// The memory that it takes, in bytes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { half: _, since: _, reply, owed, order } = self;
        let names = owed.len() * ENTRY_BYTES_MAX + reply.as_ref().map_or(0, Reply::memory_bytes);
        names + table_bytes(owed) + order.capacity() * size_of::<Name>()
    }

    /// Whether the first message is still to be begun.
    fn wants_listing(&self) -> bool {
        self.since.is_none()
    }

    /// Whether the first message is not all out.
    pub(super) fn tells_listing(&self) -> bool {
        self.wants_listing() || self.reply.as_ref().is_some_and(Reply::is_listing)
    }

    /// Looks up who is there, if that is to be told, and can be. `first`: whether nothing else is being answered.
    pub(super) fn begin_if_ready(&mut self, first: bool, cx: &mut PluginContext<'_>) {
        if !self.wants_listing() {
            return;
        }
        let asker = cx.plugin.asker();
        let mut directory = directory::lock(cx.directory);
        // An empty listing needs no credit.
        if cx.plugin.link.may_send(self.half) == 0 && directory.has_others(&asker) {
            return;
        }
        let (names, since) = directory.snapshot(first);
        drop(directory);
        self.since = Some(since);
        self.reply = Some(Reply::listing(Listing::new(names, &asker)));
        cx.plugin.limiter.charge_answer(WORK_LISTING_UNITS, 0);
    }

    /// Others connected or left; `me` is not told of itself.
    pub(super) fn handle_changes(&mut self, changes: &[Change], me: Option<&Name>) {
        changes.iter().filter(|change| Some(&change.name) != me).for_each(|change| self.note(change));
        if self.reply.is_none() {
            self.reply = self.next_message().map(Reply::new);
        }
    }

    /// Notes a change.
    fn note(&mut self, change: &Change) {
        if self.since.is_none_or(|since| change.seq < since) {
            return;
        }
        let owed = self.owed.entry(change.name.clone()).or_insert_with(|| {
            self.order.push_back(change.name.clone());
            Owed::default()
        });
        match (change.joined, owed.joined) {
            (true, _) => owed.joined = Some(change.version),
            // Came and went, and nobody was told.
            (false, Some(_)) => owed.joined = None,
            (false, None) => owed.left = Some(change.version),
        }
        if *owed == Owed::default() {
            self.owed.remove(&change.name);
            self.drop_settled();
        }
    }

    /// Keeps the order from growing by names that come and go.
    fn drop_settled(&mut self) {
        if self.order.len() > 2 * self.owed.len() + 16 {
            let mut seen = std::collections::HashSet::new();
            let owed = &self.owed;
            self.order.retain(|name| owed.contains_key(name) && seen.insert(name.clone()));
        }
    }

    /// Writes what credit and room allow; returns how many bytes of the first message that was.
    pub(super) fn write<U>(&mut self, link: &mut Link<U>, out: &mut Vec<u8>, len_max: usize) -> usize
    where
        U: Copy + Default,
    {
        let mut listed_bytes = 0;
        while let Some(reply) = self.reply.as_mut() {
            let is_listing = reply.is_listing();
            let written = reply.write(link, self.half, out, len_max);
            listed_bytes += if is_listing { written.bytes } else { 0 };
            if !written.done {
                break;
            }
            self.reply = self.next_message().map(Reply::new);
        }
        listed_bytes
    }

    fn next_message(&mut self) -> Option<Vec<u8>> {
        loop {
            let name = self.order.front()?;
            let Some(owed) = self.owed.get_mut(name) else {
                self.order.pop_front();
                continue;
            };
            let (kind, version) = match (owed.left.take(), owed.joined) {
                (Some(version), _) => (LEFT, version),
                (None, Some(version)) => {
                    owed.joined = None;
                    (JOINED, version)
                }
                (None, None) => unreachable!("settled names are taken out"),
            };
            let mut message = vec![kind];
            name.put_entry(version, &mut message);
            if *owed == Owed::default() {
                self.owed.remove(name);
                self.order.pop_front();
            }
            return Some(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(seq: u64, name: &str, version: u16, joined: bool) -> Change {
        Change { seq, name: Name::new(name.as_bytes()), version, joined }
    }

    /// A watch whose first message is out.
    fn watch(since: u64) -> Watch {
        Watch { since: Some(since), ..Watch::new(HalfKey::TOP_WRITER) }
    }

    fn drain(watch: &mut Watch) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| watch.next_message()).collect()
    }

    fn check(changes: &[(&str, u16, bool)], told: &[&[u8]]) {
        let mut watch = watch(0);
        for (seq, (name, version, joined)) in changes.iter().enumerate() {
            watch.note(&change(seq as u64, name, *version, *joined));
        }
        assert_eq!(drain(&mut watch), told, "{changes:?}");
        assert!(watch.owed.is_empty() && watch.order.is_empty());
    }

    #[test]
    fn differences_are_bounded_for_each_name() {
        check(&[("a", 1, true)], &[b"\x00\x01a\x00\x01"]);
        check(&[("a", 1, true), ("a", 1, false)], &[]);
        check(&[("a", 1, false)], &[b"\x01\x01a\x00\x01"]);
        check(&[("a", 1, false), ("a", 2, true)], &[b"\x01\x01a\x00\x01", b"\x00\x01a\x00\x02"]);
        check(&[("a", 1, false), ("a", 2, true), ("a", 2, false)], &[b"\x01\x01a\x00\x01"]);
        check(
            &[("a", 1, false), ("b", 1, true), ("a", 2, true), ("b", 1, false), ("c", 3, true)],
            &[b"\x01\x01a\x00\x01", b"\x00\x01a\x00\x02", b"\x00\x01c\x00\x03"],
        );
    }

    #[test]
    fn names_that_come_and_go_leave_nothing_behind() {
        let mut watch = watch(0);
        for seq in 0..10_000 {
            watch.note(&change(2 * seq, &format!("n{seq}"), 1, true));
            watch.note(&change(2 * seq + 1, &format!("n{seq}"), 1, false));
        }
        assert!(watch.owed.is_empty() && watch.order.len() < 32, "{}", watch.order.len());
    }

    #[test]
    fn what_the_first_message_said_is_not_said_again() {
        let mut watch = watch(5);
        watch.note(&change(4, "a", 1, true));
        assert!(drain(&mut watch).is_empty());
        let mut pending = Watch::new(HalfKey::TOP_WRITER);
        pending.note(&change(4, "a", 1, true));
        assert!(pending.owed.is_empty(), "it will be part of the first message");
    }
}
