//! What the other leg of a channel says to this one: its messages, by what they are about.

use limits::WORK_ANSWER_UNITS;

use super::super::address::{LegId, LegRef};
use super::super::msg::{ChannelMsg, Side};
use super::super::plugin::{Plugin, PluginContext};
use super::Channels;
use super::credit::bank_credit;

impl Channels {
    /// The other leg of one of the channels says something.
    pub(crate) fn handle_msg(&mut self, leg: LegRef, msg: ChannelMsg, cx: &mut PluginContext<'_>) {
        let found = self.legs.find(leg);
        if let LegRef::At(id) = leg {
            self.legs.note_known(id);
        }
        let Some((id, leg)) = found.and_then(|id| self.legs.get_mut(id).map(|leg| (id, leg))) else {
            return cx.effects.sent.extend(msg.undeliverable());
        };
        if msg.wants_answer() {
            cx.plugin.limiter.refund(WORK_ANSWER_UNITS);
        }
        match msg {
            ChannelMsg::Bound(far_leg) => leg.bind(far_leg),
            ChannelMsg::Accepted { id: far_id, tcp } => self.handle_accepted(id, (far_id, tcp), cx),
            ChannelMsg::Empties(count) => self.handle_empties(id, count),
            ChannelMsg::Credit(amount) => bank_credit(leg, id, amount, &mut self.dirty),
            ChannelMsg::CancelCredit(amount) => self.bank_cancel_credit(id, amount, cx.plugin),
            ChannelMsg::Ping(side) => self.pass_ping(id, side, cx.plugin),
            ChannelMsg::Pong(side) => self.pass_pong(id, side, cx.plugin),
            ChannelMsg::Waited => leg.inlet.waits.waited(),
            ChannelMsg::Closed(_) | ChannelMsg::Cancelled(_) | ChannelMsg::Refused(_) | ChannelMsg::Gone => {
                self.handle_far_end(id, msg, cx);
            }
        }
    }

    /// The other plugin pings a half; before the duplex is open that is only counted.
    fn pass_ping(&mut self, id: LegId, side: Side, plugin: &mut Plugin) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        match leg.half(side) {
            Some(half) => plugin.link.ping(half),
            None => {
                let pings = leg.setup().pings(side);
                *pings = pings.saturating_add(1);
            }
        }
    }

    fn pass_pong(&mut self, id: LegId, side: Side, plugin: &mut Plugin) {
        let half = self.legs.get(id).and_then(|leg| leg.half(side));
        half.into_iter().for_each(|half| plugin.link.pong(half));
    }

    /// The plugin pings a half, or answers a ping on it: the one at the other end answers.
    pub(crate) fn handle_ping(&self, id: LegId, side: Side, cx: &mut PluginContext<'_>) {
        self.send(id, ChannelMsg::Ping(side.far()), cx);
    }

    /// The plugin answers a ping on a half.
    pub(crate) fn handle_pong(&self, id: LegId, side: Side, cx: &mut PluginContext<'_>) {
        self.send(id, ChannelMsg::Pong(side.far()), cx);
    }
}
