//! Connects of others, held back by the flow control of the top level: an offer waits until the plugin that it goes to has
//! given top-level credit.
//!
//! "Opening payloads spend the top-level credit", and "payloads may arrive in any portion down to single bytes": so that a
//! plugin is asked that never gives enough for a whole one, what there is credit for goes out, and the rest follows in parts.
//! Only one at a time is begun so. Until it is whole the plugin has not been asked; what the asking one does meanwhile waits
//! in its leg. Is it not to be asked any more, both halves are ended, which gives the opening up.

use std::mem::take;

use bpmux::{DuplexKeys, HalfKey};

use super::super::address::LegId;
use super::super::msg::{ChannelMsg, Side};
use super::super::plugin::{Plugin, PluginContext, Role};
use super::Channels;
use super::leg::{ChannelSetup, Stage, mark_dirty};
use wire::{Connect, end};

/// What a plugin is asked with.
fn opening(setup: &ChannelSetup) -> Option<Vec<u8>> {
    let (name, version) = setup.asker.as_ref()?;
    let mut opening = vec![Connect::CODE];
    name.put_entry(*version, &mut opening);
    Some(opening)
}

impl Channels {
    /// Asks the plugin, as long as it has given top-level credit for it and acknowledges the ends of what was before.
    pub(super) fn write_offers(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) {
        while let Some(id) = self.work().offers.first() {
            if !self.ask(id, out, len_max, cx) {
                break;
            }
            self.no_offer_any_more();
        }
        for id in take(&mut self.work().offers_over) {
            if self.left_to_ask(id, cx.plugin) > 0 && self.is_leg_over(id) {
                self.withdraw(id, cx);
            }
        }
    }

    /// Whether whoever wanted a channel has given up both directions of it.
    fn is_leg_over(&self, id: LegId) -> bool {
        self.legs.get(id).is_some_and(|leg| leg.is_closing() && leg.is_cancelled())
    }

    /// Nobody misses a channel that is over before its plugin could be asked. Has the plugin been told a part of it, that
    /// is taken back.
    pub(super) fn withdraw_if_over(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let left = self.left_to_ask(id, cx.plugin);
        if left == 0 || !self.is_leg_over(id) {
            return;
        }
        if left > cx.plugin.link.may_send(HalfKey::TOP_WRITER) {
            self.withdraw(id, cx);
        } else {
            // With the credit for it the plugin is asked when it is written to next, unless others use that up.
            self.work().offers_over.push(id);
        }
    }

    /// Connects that have waited too long for this plugin's top-level credit.
    pub(crate) fn handle_timeout(&mut self, cx: &mut PluginContext<'_>) {
        let (now, patience) = (cx.now, cx.settings.offer_timeout);
        let due = |channels: &mut Self| channels.work.as_mut()?.offers.take_due(now, patience, &channels.legs);
        while let Some(id) = due(self) {
            self.send(id, ChannelMsg::Refused(end::NO_MEMORY), cx);
            self.discard(id, cx);
        }
    }

    /// An offer is not to be made any more.
    fn withdraw(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        self.discard(id, cx);
        let Self { legs, work, .. } = self;
        work.get_or_insert_default().offers.withdraw(legs);
    }

    /// The first offer is made, or is not to be.
    fn no_offer_any_more(&mut self) {
        let Self { legs, work, .. } = self;
        work.get_or_insert_default().offers.take_first(legs);
    }

    /// Sends as much of the opening payload as there is credit for; returns whether that was the last of it.
    fn ask(&mut self, id: LegId, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) -> bool {
        let left = self.left_to_ask(id, cx.plugin) as usize;
        let Some(setup) = self.legs.get_mut(id).map(|leg| leg.setup()) else { return true };
        let Some(opening) = opening(setup) else { unreachable!("offers are legs that are to be asked") };
        let credit = usize::try_from(cx.plugin.link.may_send(HalfKey::TOP_WRITER)).unwrap_or(usize::MAX);
        let part = &opening[opening.len() - left..][..left.min(credit)];
        if part.is_empty() || out.len() + bpmux::chunk::HEAD_LEN_MAX + left > len_max {
            return false;
        }
        let keys = if let Some(keys) = setup.asking {
            if cx.plugin.link.continue_opening(keys.reader, part, out).is_err() {
                return false;
            }
            keys
        } else {
            let width = bpmux::varint::len(setup.far_id);
            if cx.plugin.link.own_halves() >= cx.settings.limits.halves_max {
                return false;
            }
            let begun = cx.plugin.link.begin_duplex(width, opening.len() as u64, part, 0, out);
            let Ok(keys) = begun else { return false };
            setup.asking = Some(keys);
            cx.plugin.link.set_user(keys.reader, Role::Offered(id));
            cx.plugin.link.set_user(keys.writer, Role::Offered(id));
            keys
        };
        if part.len() < left {
            return false;
        }
        self.has_been_asked(id, keys, cx);
        true
    }

    /// Bytes of the opening payload that are still to be sent; 0 when the plugin has been asked.
    fn left_to_ask(&self, id: LegId, plugin: &Plugin) -> u64 {
        let Some(setup) = self.legs.get(id).and_then(|leg| leg.has_setup()) else { return 0 };
        match setup.asking {
            Some(keys) => plugin.link.outgoing_left(keys.reader),
            None => opening(setup).map_or(0, |opening| opening.len() as u64),
        }
    }

    /// The opening payload is all out: the duplex means what the asking plugin wants, and what that one did before.
    fn has_been_asked(&mut self, id: LegId, keys: DuplexKeys, cx: &mut PluginContext<'_>) {
        let DuplexKeys { writer, reader } = keys;
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.stage = Stage::Asked;
        (leg.inlet.half, leg.outlet.half) = (Some(reader), Some(writer));
        let setup = leg.setup();
        (setup.asker, setup.asking) = (None, None);
        let answers = take(&mut setup.answers);
        // Given while it was coming.
        setup.banked = cx.plugin.link.may_send(writer);
        cx.plugin.link.set_user(reader, Role::Inlet(id));
        cx.plugin.link.set_user(writer, Role::Outlet(id));
        self.tell_cancel_credit(id, reader, cx);
        self.catch_up(id, cx);
        if answers > 0 {
            self.handle_accept(id, cx);
        }
        if answers > 1 {
            self.send(id, ChannelMsg::Empties(answers - 1), cx);
        }
    }

    /// What the asking plugin did before this one could be asked.
    fn catch_up(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        for side in [Side::Inlet, Side::Outlet] {
            let pings = take(leg.setup().pings(side));
            leg.half(side).into_iter().for_each(|half| cx.plugin.link.pings(half, pings));
        }
        mark_dirty(leg, id, &mut self.dirty);
        if leg.early_empties() > 0 {
            self.work().early.push_back(id);
        }
        self.close_when_ready(id);
        self.cancel_when_open(id, cx);
    }

    /// An empty message of a plugin that has not been told everything.
    pub(crate) fn handle_early_answer(&mut self, id: LegId) {
        if let Some(leg) = self.legs.get_mut(id) {
            leg.setup().answers = leg.setup().answers.saturating_add(1);
        }
    }

    /// The plugin denies what it has not been told in full; on the half that it may have ended nothing can follow.
    pub(crate) fn handle_early_denial(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        if self.legs.get(id).is_none() {
            return;
        }
        self.send(id, ChannelMsg::Refused(end::NOT_THERE), cx);
        if self.work().offers.first() == Some(id) {
            self.no_offer_any_more();
        }
        self.discard(id, cx);
    }
}
