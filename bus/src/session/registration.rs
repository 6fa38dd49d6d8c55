//! Registration of a plugin: its name and version (protocol, section 2, "On accept").
//!
//! A name that is taken may be so by a connection that is over, of which its shard has not heard yet: a plugin that closes
//! and registers again at once meets its own shadow. So before a newcomer is refused, the holder's shard looks whether the
//! holder has hung up; over TCP, where the end of a connection is on its way for a moment, a few times. Until that is known
//! the newcomer is not read, for what it says next relies on the name.

use std::time::{Duration, Instant};

use super::super::address::ConnId;
use super::super::directory::{self, Taken};
use super::super::msg::Effect;
use super::super::name::Name;
use super::{Context, Leaving, Session};
use limits::{CONTEST_HOLDERS_MAX, CONTEST_LOOK_INTERVAL_MS, CONTEST_LOOKS_TCP};
use wire::Entry;

/// A name that a plugin gets if the one that has it is gone.
#[derive(Debug)]
pub(super) struct Contested {
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

impl Contested {
    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.again_at
    }
}

impl Session {
    /// All of the registration has come.
    pub(super) fn register(&mut self, cx: &mut Context<'_>) -> Result<(), Leaving> {
        let entry = std::mem::take(&mut self.pending().registration);
        if self.pending().refused.is_some() {
            return Ok(());
        }
        let Some(Entry { name, version }) = Entry::parse(&entry) else {
            return Err(Leaving::NotRegistered("the first top-level message is not exactly one entry"));
        };
        let name = Name::new(name);
        if let Err(Taken(holder)) = self.take_name(&name, version, cx) {
            let (looks, others) = (self.looks(), CONTEST_HOLDERS_MAX - 1);
            self.pending().contested = Some(Contested { name, version, holder, looks, others, again_at: None });
            self.limiter.yield_turn();
            self.look_at_holder(cx);
        }
        Ok(())
    }

    /// How often a holder is looked at.
    fn looks(&self) -> u32 {
        if self.tcp { CONTEST_LOOKS_TCP } else { 1 }
    }

    fn look_at_holder(&mut self, cx: &mut Context<'_>) {
        let Some(contested) = self.pending().contested.as_mut() else { return };
        (contested.looks, contested.again_at) = (contested.looks - 1, None);
        cx.effects.push(Effect::Contest { holder: contested.holder, newcomer: self.me });
    }

    /// It may be time to look again whether the holder of the name has hung up.
    pub(super) fn handle_contest_timeout(&mut self, cx: &mut Context<'_>) {
        let contested = self.pending.as_ref().and_then(|pending| pending.contested.as_ref());
        if contested.and_then(Contested::deadline).is_some_and(|at| at <= cx.now) {
            self.look_at_holder(cx);
        }
    }

    fn take_name(&mut self, name: &Name, version: u16, cx: &mut Context<'_>) -> Result<(), Taken> {
        if !name.is_empty() {
            let shards = directory::lock(cx.directory).register(name, version, self.me)?;
            cx.effects.extend(shards.into_iter().map(Effect::Changed));
        }
        self.name = Some(name.clone());
        self.version = version;
        self.pending().unregistered_since = None;
        Ok(())
    }

    /// Whether the plugin has asked for a name of which it is not known yet whether it is free.
    #[must_use]
    pub fn is_contesting(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.contested.is_some())
    }

    /// The shard of the holder has looked: whether the name has been given up. Afterwards the contest is over, or goes on.
    ///
    /// # Errors
    /// The name stays taken, and the plugin is to be ended.
    pub fn handle_contested(&mut self, free: bool, cx: &mut Context<'_>) -> Result<(), Leaving> {
        let Some(contested) = self.pending().contested.as_mut() else { return Ok(()) };
        if !free && contested.looks > 0 {
            contested.again_at = Some(cx.now + Duration::from_millis(CONTEST_LOOK_INTERVAL_MS));
            return Ok(());
        }
        let Some(contested) = self.pending().contested.take() else { return Ok(()) };
        match free.then(|| self.take_name(&contested.name, contested.version, cx)) {
            Some(Ok(())) => Ok(()),
            // Another one was faster, at whom nobody has looked.
            Some(Err(Taken(holder))) if contested.others > 0 => {
                let (looks, others) = (self.looks(), contested.others - 1);
                self.pending().contested = Some(Contested { holder, looks, others, ..contested });
                self.look_at_holder(cx);
                Ok(())
            }
            _ => Err(Leaving::NameTaken(contested.name)),
        }
    }

    /// The plugin has hung up, and another one wants its name: gives it back, though what the plugin has said is still read.
    pub fn yield_name(&mut self, cx: &mut Context<'_>) {
        let Some(name) = self.name.as_ref().filter(|name| !name.is_empty()) else { return };
        let shards = directory::lock(cx.directory).leave(name, self.me);
        cx.effects.extend(shards.into_iter().map(Effect::Changed));
    }

    /// The plugin is gone.
    pub(super) fn unregister(&mut self, cx: &mut Context<'_>) {
        self.yield_name(cx);
        self.name = None;
    }
}
