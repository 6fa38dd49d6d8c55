//! Registration of a plugin: its name and version (protocol, section 2, "On accept").
//!
//! A name that is taken may be so by a connection that is over, of which its shard has not heard yet: a plugin that closes
//! and registers again at once meets its own shadow. So before a newcomer is refused, the holder's shard looks whether the
//! holder has hung up; over TCP, where the end of a connection is on its way for a moment, a few times. Until that is known
//! the newcomer is not read, for what it says next relies on the name.

use std::time::{Duration, Instant};

use bpmux::Piece;
use limits::{CONTEST_HOLDERS_MAX, CONTEST_LOOK_INTERVAL_MS, CONTEST_LOOKS_TCP, ENTRY_BYTES_MAX};
use wire::Entry;

use super::super::address::ConnId;
use super::super::context::Settings;
use super::super::directory::{self, Taken};
use super::super::msg::Effect;
use super::super::name::Name;
use super::super::plugin::{Plugin, PluginContext};
use super::leaving::{Leaving, Refused};

/// A registration that is not done.
#[derive(Debug)]
pub(super) struct Registration {
    /// Since when it could have come: when the plugin connected, or later, for time in which it was not read does not count.
    since: Instant,
    /// Why there is no place for it, though it has connected.
    refused: Option<Refused>,
    /// Its entry, as far as that has come.
    entry: Vec<u8>,
    contest: Option<Contest>,
}

/// A name that a plugin gets if the one that has it is gone.
#[derive(Debug)]
struct Contest {
    name: Name,
    version: u16,
    holder: ConnId,
    /// How often the holder may still be looked at.
    looks: u32,
    /// At how many others it may be looked that take the name in between.
    others: u32,
    /// When it is looked at next, if that is not under way.
    again_at: Option<Instant>,
}

impl Registration {
    /// That of a plugin that has just connected.
    pub(super) fn new(since: Instant) -> Self {
        Self { since, refused: None, entry: Vec::new(), contest: None }
    }

    /// There is no place for it: the plugin is ended as soon as it has said something, which may be the credit to hear why.
    pub(super) fn refuse(&mut self, why: Refused) {
        self.refused = Some(why);
    }

    /// Why there is no place for it, if there is none.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// The memory that it takes, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { since: _, refused: _, entry, contest } = self;
        let name = contest.as_ref().map_or(0, |_| ENTRY_BYTES_MAX);
        size_of::<Self>() + entry.capacity() + name
    }

    /// By when it is due.
    pub(super) fn deadline(&self, settings: &Settings) -> Instant {
        let contest = self.contest.as_ref().and_then(|contest| contest.again_at);
        let own = self.since + settings.registration_timeout;
        contest.map_or(own, |at| at.min(own))
    }

    /// Time has passed. `held_up`: in which the plugin was not read for no fault of its own.
    pub(super) fn handle_timeout(&mut self, held_up: bool, cx: &mut PluginContext<'_>) -> Result<(), Leaving> {
        if held_up {
            self.since = cx.now;
        } else if cx.now.saturating_duration_since(self.since) >= cx.settings.registration_timeout {
            return Err(Leaving::RegistrationTimeout);
        }
        if let Some(contest) = &mut self.contest
            && contest.again_at.is_some_and(|at| at <= cx.now)
        {
            contest.look(cx);
        }
        Ok(())
    }

    /// A piece of the first top-level message, which is not empty. Whether the plugin is registered now.
    pub(super) fn handle_piece(
        &mut self,
        piece: Piece,
        bytes: &[u8],
        cx: &mut PluginContext<'_>,
    ) -> Result<bool, Leaving> {
        if piece.total > ENTRY_BYTES_MAX as u64 {
            return Err(Leaving::NotRegistered("the first top-level message is longer than any entry"));
        }
        self.entry.extend_from_slice(bytes);
        if !piece.last {
            return Ok(false);
        }
        let entry = std::mem::take(&mut self.entry);
        if self.refused.is_some() {
            return Ok(false);
        }
        let Some(Entry { name, version }) = Entry::parse(&entry) else {
            return Err(Leaving::NotRegistered("the first top-level message is not exactly one entry"));
        };
        let name = Name::new(name);
        let Err(Taken(holder)) = take_name(&name, version, cx) else { return Ok(true) };
        let (looks, others) = (looks(cx.plugin), CONTEST_HOLDERS_MAX - 1);
        let contest = self.contest.insert(Contest { name, version, holder, looks, others, again_at: None });
        cx.plugin.limiter.yield_turn();
        contest.look(cx);
        Ok(false)
    }

    /// Whether the plugin has asked for a name of which it is not known yet whether it is free.
    pub(super) fn is_contesting(&self) -> bool {
        self.contest.is_some()
    }

    /// The shard of the holder has looked: whether the name has been given up. Afterwards the contest is over, or goes on.
    /// Whether the plugin is registered now.
    ///
    /// # Errors
    /// The name stays taken, and the plugin is to be ended.
    pub(super) fn handle_contested(&mut self, free: bool, cx: &mut PluginContext<'_>) -> Result<bool, Leaving> {
        let Some(contest) = self.contest.as_mut() else { return Ok(false) };
        if !free && contest.looks > 0 {
            contest.again_at = Some(cx.now + Duration::from_millis(CONTEST_LOOK_INTERVAL_MS));
            return Ok(false);
        }
        match free.then(|| take_name(&contest.name, contest.version, cx)) {
            Some(Ok(())) => Ok(true),
            // Another one was faster, at whom nobody has looked.
            Some(Err(Taken(holder))) if contest.others > 0 => {
                (contest.holder, contest.looks, contest.others) = (holder, looks(cx.plugin), contest.others - 1);
                contest.look(cx);
                Ok(false)
            }
            _ => Err(Leaving::NameTaken(contest.name.clone())),
        }
    }
}

impl Contest {
    /// Has the holder's shard look at the holder.
    fn look(&mut self, cx: &mut PluginContext<'_>) {
        (self.looks, self.again_at) = (self.looks - 1, None);
        cx.effects.send(Effect::Contest { holder: self.holder, newcomer: cx.plugin.me });
    }
}

/// How often a holder is looked at.
fn looks(plugin: &Plugin) -> u32 {
    if plugin.tcp { CONTEST_LOOKS_TCP } else { 1 }
}

fn take_name(name: &Name, version: u16, cx: &mut PluginContext<'_>) -> Result<(), Taken> {
    if !name.is_empty() {
        let shards = directory::lock(cx.directory).register(name, version, cx.plugin.me)?;
        cx.effects.sent.extend(shards.into_iter().map(Effect::Changed));
    }
    cx.plugin.name = Some(name.clone());
    cx.plugin.version = version;
    Ok(())
}

/// Gives the name back. What the plugin has said may still be read.
pub(super) fn yield_name(cx: &mut PluginContext<'_>) {
    let Some(name) = cx.plugin.name.as_ref().filter(|name| !name.is_empty()) else { return };
    let shards = directory::lock(cx.directory).leave(name, cx.plugin.me);
    cx.effects.sent.extend(shards.into_iter().map(Effect::Changed));
}
