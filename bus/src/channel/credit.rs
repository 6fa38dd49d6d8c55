//! Flow control of channels: the credit that a reader gives travels to the other leg, is banked there, and is granted to
//! the writer as far as the budget of the shard allows ([`Budget::grant`]).
//!
//! ```text
//!   reader gives credit                                                                   writer gets it
//!   handle_outlet_credit ──ChannelMsg::Credit──> bank_credit ── dirty ── grant_dirty ──> Link::grant
//!                                                                            ▲
//!   payload of the writer has left the relay: Effect::Released ── handle_released
//! ```
//!
//! The cancel payload of a half has credit of its own, within a fixed bound: `CancelCredit`, `grant_cancel_credit`.

use limits::CANCEL_CREDIT_BYTES_MAX;

use super::super::address::LegId;
use super::super::cap::{Budget, CreditSample};
use super::super::msg::ChannelMsg;
use super::super::plugin::{Plugin, PluginContext};
use super::Channels;
use super::leg::{Leg, mark_dirty};

/// The reader at the other leg gave credit for messages of this plugin.
pub(super) fn bank_credit(leg: &mut Leg, id: LegId, amount: u64, dirty: &mut Vec<LegId>) {
    leg.inlet.banked = leg.inlet.banked.saturating_add(amount);
    mark_dirty(leg, id, dirty);
}

impl Channels {
    /// Credit of the plugin on a half that the relay writes: for messages, or for an end that waits.
    pub(crate) fn handle_outlet_credit(&mut self, id: LegId, amount: u64, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if let Some(half) = leg.outlet.half.filter(|_| leg.outlet.awaits_credit()) {
            if cx.plugin.retry_end(half) {
                self.handle_outlet_over(id, cx);
            }
        } else if leg.agreed().is_some() {
            self.send(id, ChannelMsg::Credit(amount), cx);
        } else {
            // The link has checked that the sum stays below 2^64.
            leg.setup().banked += amount;
            self.accept_by_credit(id, cx);
        }
    }

    /// Credit of the plugin on a half that the relay reads: for a cancel payload, or for our end of it that waits.
    pub(crate) fn handle_inlet_credit(&mut self, id: LegId, amount: u64, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        match leg.inlet.half.filter(|_| leg.inlet.awaits_credit()) {
            Some(half) => {
                if cx.plugin.retry_end(half) {
                    self.handle_inlet_over(id, cx);
                }
            }
            None => self.send(id, ChannelMsg::CancelCredit(amount), cx),
        }
    }

    /// The writer at the other leg gave credit for a cancel payload of this plugin.
    pub(super) fn bank_cancel_credit(&mut self, id: LegId, amount: u64, plugin: &mut Plugin) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.outlet.cancel_banked = leg.outlet.cancel_banked.saturating_add(amount);
        self.grant_cancel_credit(id, plugin);
    }

    /// "Then both get the banked credit."
    pub(super) fn pass_banked(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        mark_dirty(leg, id, &mut self.dirty);
        let banked = std::mem::take(&mut leg.setup().banked);
        if banked > 0 && !leg.outlet.is_over() {
            self.send(id, ChannelMsg::Credit(banked), cx);
        }
        self.grant_cancel_credit(id, cx.plugin);
    }

    /// Lets the plugin write what the other one gave for a cancel payload, within the bound.
    fn grant_cancel_credit(&mut self, id: LegId, plugin: &mut Plugin) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let (Some(_), Some(half)) = (leg.agreed(), leg.outlet.half) else { return };
        // A payload that has come in part is outstanding, too: the relay keeps it until it is whole.
        let outstanding =
            plugin.link.may_come(half) + leg.has_setup().map_or(0, |setup| setup.cancel_payload.len() as u64);
        let room = CANCEL_CREDIT_BYTES_MAX.saturating_sub(outstanding);
        // One byte is kept for the code that the relay puts ahead of the payload.
        let amount = leg.outlet.cancel_banked.saturating_sub(1).min(room);
        leg.outlet.cancel_banked -= amount;
        plugin.link.grant(half, amount);
    }

    /// Grants the credit that the policy allows, once a tick for each half on which something has happened.
    pub(super) fn grant_dirty(&mut self, cx: &mut PluginContext<'_>) {
        let link = &mut cx.plugin.link;
        while let Some(id) = self.dirty.pop() {
            let Some(leg) = self.legs.get_mut(id) else { continue };
            leg.dirty = false;
            leg.settle_setup();
            let (Some(_), Some(half)) = (leg.agreed(), leg.inlet.half) else { continue };
            let inlet = &mut leg.inlet;
            if !inlet.is_open() {
                continue;
            }
            let sample =
                CreditSample { now: cx.now, unspent_bytes: link.may_receive(half), banked_bytes: inlet.banked };
            let pace = if leg.far_tcp { &cx.settings.pace_tcp } else { &cx.settings.pace_unix };
            let amount = cx.budget.grant(&mut inlet.account, &sample, pace);
            if amount > 0 {
                inlet.banked -= amount;
                link.grant(half, amount);
            }
            // What the writer has announced it may send, and is about to.
            let may_come = link.may_come(half);
            inlet.observe(may_come - amount, may_come, &self.reading, self.reading.clock(cx.now));
            if leg.is_newly_used() {
                self.legs.note_used(id);
            }
        }
    }

    /// Payload of this plugin's has left the relay.
    pub(crate) fn handle_released(&mut self, id: LegId, bytes: u64, budget: &mut Budget) {
        match self.legs.get_mut(id) {
            Some(leg) => {
                budget.released(&mut leg.inlet.account, bytes);
                leg.inlet.waits.left();
                mark_dirty(leg, id, &mut self.dirty);
            }
            None => budget.released_late(bytes),
        }
    }
}
