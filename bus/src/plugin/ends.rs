//! Ends of halves that wait for flow control: the relay owes them to a plugin that has given no credit for their payload.
//!
//! "Where a plugin left no credit for an end payload that the server owes it, the server waits `end_credit_timeout`,
//! then ends with an empty payload" (protocol, section 2).
//!
//! Whoever ends a half learns at once whether it is ended, or later: [`Plugin::retry_end`] when credit has come,
//! [`PluginContext::forget_end`] when the plugin has ended the half itself, [`PluginContext::take_end_due`] when time is up.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bpmux::HalfKey;

use super::super::effects::Effects;
use super::super::memory::table_bytes;
use super::super::msg::{ChargedBytes, Held};
use super::{Plugin, PluginContext, Role};

/// All ends of one plugin that wait.
#[derive(Debug, Default)]
pub(super) struct Ends {
    owed: HashMap<HalfKey, ChargedBytes>,
    /// By when, in that order, since all wait equally long. Some may be settled.
    deadlines: VecDeque<(Instant, HalfKey)>,
    /// Ends that are on their way out, and what is accounted for them until they have left. In the order in which they have
    /// come to be, which is about that in which they are written.
    leaving: VecDeque<(HalfKey, Held)>,
}

impl Ends {
    fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.deadlines.is_empty() && self.leaving.is_empty()
    }

    /// The memory that they take, in bytes, about; the payloads are accounted for elsewhere.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { owed, deadlines, leaving } = self;
        size_of::<Self>()
            + table_bytes(owed)
            + deadlines.capacity() * size_of::<(Instant, HalfKey)>()
            + leaving.capacity() * size_of::<(HalfKey, Held)>()
    }

    /// Takes settled ends out, so that they neither wake nor pile up.
    fn settle(&mut self) {
        let owed = &self.owed;
        while self.deadlines.pop_front_if(|(_, half)| !owed.contains_key(half)).is_some() {}
        if self.deadlines.len() > 2 * owed.len() + 16 {
            self.deadlines.retain(|(_, half)| owed.contains_key(half));
        }
    }
}

impl PluginContext<'_> {
    /// Ends a half towards the plugin with this payload, now or when there is credit for it; whether it is ended now.
    pub(crate) fn end(&mut self, half: HalfKey, charged: ChargedBytes) -> bool {
        if self.plugin.link.end(half, &charged.payload) {
            self.plugin.note_leaving(half, charged.held);
            return true;
        }
        let at = self.now + self.settings.end_credit_timeout;
        let ends = self.plugin.ends.get_or_insert_default();
        ends.owed.insert(half, charged);
        ends.deadlines.push_back((at, half));
        false
    }

    /// Ends a half that is of no leg with words of the relay's own, which may wait.
    pub(crate) fn end_own(&mut self, half: HalfKey, payload: &[u8]) {
        if !self.end(half, ChargedBytes::own(payload)) {
            self.plugin.link.set_user(half, Role::Ending);
        }
    }

    /// The half is over without the end that waits there, if one does. Whether it did.
    pub(crate) fn forget_end(&mut self, half: HalfKey) -> bool {
        let Some(ends) = &mut self.plugin.ends else { return false };
        let Some(charged) = ends.owed.remove(&half) else { return false };
        self.effects.release(charged.held);
        ends.settle();
        true
    }

    /// An end whose time has come goes out with an empty payload; returns what its half is for. To be asked until there is
    /// none.
    pub(crate) fn take_end_due(&mut self) -> Option<Role> {
        let ends = self.plugin.ends.as_mut()?;
        while let Some((_, half)) = ends.deadlines.pop_front_if(|(at, _)| *at <= self.now) {
            if let Some(charged) = ends.owed.remove(&half) {
                let role = self.plugin.link.user(half).unwrap_or_default();
                self.plugin.link.end(half, &[]);
                self.effects.release(charged.held);
                ends.settle();
                return Some(role);
            }
        }
        ends.settle();
        None
    }
}

impl Plugin {
    /// An end is on its way out.
    fn note_leaving(&mut self, half: HalfKey, held: Held) {
        if held.bytes > 0 {
            self.ends.get_or_insert_default().leaving.push_back((half, held));
        }
    }

    /// There is more credit for an end that waits. Whether it is ended now.
    pub(crate) fn retry_end(&mut self, half: HalfKey) -> bool {
        let Some(ends) = &mut self.ends else { return false };
        if !ends.owed.get(&half).is_some_and(|charged| self.link.end(half, &charged.payload)) {
            return false;
        }
        let charged = ends.owed.remove(&half);
        ends.settle();
        charged.into_iter().for_each(|charged| self.note_leaving(half, charged.held));
        true
    }

    /// When the next one is due.
    pub(crate) fn end_deadline(&self) -> Option<Instant> {
        self.ends.as_ref()?.deadlines.front().map(|(at, _)| *at)
    }

    /// Ends that have been written leave with the send that is being filled. The first one that has not been keeps those
    /// behind it, unless nothing at all is left to be written.
    pub(crate) fn settle_ends(&mut self, effects: &mut Effects) {
        let Self { link, ends: Some(ends), .. } = self else { return };
        while let Some((_, held)) = ends.leaving.pop_front_if(|(half, _)| !link.owes() || !link.owes_end(*half)) {
            effects.carried.push(held);
        }
        self.ends.take_if(|ends| ends.is_empty());
    }

    /// None of them will be sent.
    pub(crate) fn abandon_ends(&mut self, effects: &mut Effects) {
        let Some(ends) = self.ends.take() else { return };
        let owed = ends.owed.into_values().map(|charged| charged.held);
        owed.chain(ends.leaving.into_iter().map(|(_, held)| held)).for_each(|held| effects.release(held));
    }

    /// How many there are, for audits.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn ends(&self) -> usize {
        self.ends.as_ref().map_or(0, |ends| ends.owed.len().max(ends.deadlines.len()) + ends.leaving.len())
    }
}
