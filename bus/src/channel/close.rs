//! How halves of channels end: a plugin closes the half that it writes or cancels the one that it reads, and the other leg
//! ends its half behind all payload; or the whole channel is over.
//!
//! An end goes out with its payload when there is credit for that (`plugin::ends`). A half whose end is out is over, and a
//! leg of which both are over is freed.

use bpmux::{DuplexKeys, Piece, What};
use wire::end;

use super::super::address::{LegAddr, LegId};
use super::super::msg::{ChannelMsg, ChargedBytes};
use super::super::plugin::{PluginContext, Role};
use super::Channels;
use super::leg::Leg;

impl Channels {
    /// The plugin has closed the half that it writes.
    pub(super) fn handle_inlet_closed(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let payload = std::mem::take(&mut leg.setup().close_payload);
        if leg.may_be_denied() {
            cx.budget.released(&mut leg.inlet.account, payload.len() as u64);
            return self.handle_denial(id, cx);
        }
        let from = LegAddr { conn: cx.plugin.me, leg: id };
        self.send(id, ChannelMsg::Closed(ChargedBytes::new(from, payload)), cx);
        self.handle_inlet_over(id, cx);
    }

    /// Payload on a half that the relay writes: only the reader's cancel payload.
    pub(crate) fn handle_outlet_piece(&mut self, id: LegId, piece: Piece, bytes: &[u8], cx: &mut PluginContext<'_>) {
        cx.plugin.limiter.refund_bytes(piece.len as u64);
        let Some(leg) = self.legs.get_mut(id) else { return };
        if piece.what != What::End {
            return;
        }
        leg.setup().cancel_payload.extend_from_slice(bytes);
        if !piece.last {
            return;
        }
        let payload = std::mem::take(&mut leg.setup().cancel_payload);
        let (ending, denies) = (leg.outlet.half.filter(|_| leg.outlet.awaits_credit()), leg.may_be_denied());
        if ending.is_some_and(|half| cx.forget_end(half)) {
            self.handle_outlet_over(id, cx);
        }
        if denies {
            return self.handle_denial(id, cx);
        }
        if ending.is_some() {
            return;
        }
        // The leg may be gone before the payload is: it is the shard that accounts for it.
        let from = LegAddr { conn: cx.plugin.me, leg: LegId::NONE };
        let charged = ChargedBytes::new(from, payload);
        let held = charged.held.bytes;
        self.send(id, ChannelMsg::Cancelled(charged), cx);
        self.outlet_over_but(id, held, cx);
    }

    /// The plugin at the other leg has ended one half of the channel, or both are to end.
    pub(super) fn handle_far_end(&mut self, id: LegId, msg: ChannelMsg, cx: &mut PluginContext<'_>) {
        match msg {
            ChannelMsg::Closed(charged) => self.close_outlet(id, with_code(charged), cx),
            ChannelMsg::Cancelled(charged) => self.cancel_inlet(id, with_code(charged), cx),
            ChannelMsg::Refused(code) => self.end_both(id, code, cx),
            // `Gone`: the plugin has died or left. A message of it that is half sent is given up by the end of the half.
            _ => self.end_both(id, end::NOT_THERE, cx),
        }
    }

    /// Ends towards the plugin what is left of the channel.
    fn end_both(&mut self, id: LegId, code: u8, cx: &mut PluginContext<'_>) {
        self.close_outlet(id, ChargedBytes::own(&[code]), cx);
        self.cancel_inlet(id, ChargedBytes::own(&[code]), cx);
    }

    /// Notes that the outlet is to be closed when all payload is out, unless it is over or closing already.
    fn close_outlet(&mut self, id: LegId, charged: ChargedBytes, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return cx.effects.release(charged.held) };
        if let Err(charged) = leg.begin_close(charged) {
            return cx.effects.release(charged.held);
        }
        match leg.outlet.half {
            Some(_) => self.close_when_ready(id),
            None => self.withdraw_if_over(id, cx),
        }
    }

    /// Has the outlet closed in this tick, if it is to be and all that goes out before that is out. To be asked whenever
    /// one of the two has come about.
    pub(super) fn close_when_ready(&mut self, id: LegId) {
        if self.legs.get(id).is_some_and(Leg::is_ready_to_close) {
            self.work().closing.push(id);
        }
    }

    /// Closes the outlets before which nothing is left to go out.
    pub(super) fn close_outlets(&mut self, cx: &mut PluginContext<'_>) {
        for id in std::mem::take(&mut self.work().closing) {
            let Some((half, charged)) = self.legs.get_mut(id).and_then(Leg::take_close) else { continue };
            if cx.end(half, charged) {
                self.handle_outlet_over(id, cx);
            }
        }
    }

    /// Cancels the inlet, now or when there is credit for the payload; nothing is taken from it any more.
    fn cancel_inlet(&mut self, id: LegId, charged: ChargedBytes, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return cx.effects.release(charged.held) };
        if let Err(charged) = leg.begin_cancel(charged) {
            return cx.effects.release(charged.held);
        }
        match leg.inlet.half {
            Some(_) => self.cancel_when_open(id, cx),
            None => self.withdraw_if_over(id, cx),
        }
    }

    /// Cancels the inlet if it is to be, and the duplex is open.
    pub(super) fn cancel_when_open(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some((half, charged)) = leg.take_cancel() else { return };
        leg.inlet.banked = 0;
        let dropped = std::mem::take(&mut leg.setup().close_payload).len() as u64;
        cx.budget.released(&mut leg.inlet.account, dropped);
        if cx.end(half, charged) {
            self.handle_inlet_over(id, cx);
        }
    }

    /// Ends both halves towards the plugin without a word, whatever waits there.
    pub(super) fn end_silently(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        for half in [leg.inlet.half, leg.outlet.half].into_iter().flatten() {
            // The half that the plugin has ended takes no notice.
            cx.plugin.link.end(half, &[]);
            cx.forget_end(half);
        }
        self.handle_inlet_over(id, cx);
        self.handle_outlet_over(id, cx);
    }

    /// The plugin has ended the inlet itself, over an end of ours that may wait for credit.
    pub(super) fn forget_inlet_end(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let half = self.legs.get(id).and_then(|leg| leg.inlet.half);
        if half.is_some_and(|half| cx.forget_end(half)) {
            self.handle_inlet_over(id, cx);
        }
    }

    /// An end of ours has waited for as long as it may, and is out now, on a half with this role.
    pub(crate) fn handle_half_ended(&mut self, role: Role, cx: &mut PluginContext<'_>) {
        match role {
            Role::Inlet(id) => self.handle_inlet_over(id, cx),
            Role::Outlet(id) => self.handle_outlet_over(id, cx),
            _ => {}
        }
    }

    /// The half that the relay reads is ended.
    pub(super) fn handle_inlet_over(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if !leg.end_inlet() {
            return;
        }
        let unspent = leg.inlet.half.map_or(0, |half| cx.plugin.link.may_come(half));
        cx.budget.close(&mut leg.inlet.account, unspent);
        self.free_if_over(id, cx);
    }

    /// The half that the relay writes is ended.
    pub(super) fn handle_outlet_over(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        self.outlet_over_but(id, 0, cx);
    }

    /// The half that the relay writes is ended, by a payload of `cancel_bytes` that is still held.
    fn outlet_over_but(&mut self, id: LegId, cancel_bytes: u64, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(close) = leg.end_outlet() else { return };
        close.into_iter().for_each(|charged| cx.effects.release(charged.held));
        leg.setup().cancel_payload = Vec::new();
        cx.budget.close_outlet(leg.inlet.account.user(), cancel_bytes);
        if std::mem::take(&mut leg.outlet.backlogged) {
            cx.effects.dropped.push(id);
        }
        self.free_if_over(id, cx);
    }

    /// Frees a leg on which nothing more happens.
    fn free_if_over(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        if self.legs.get(id).is_some_and(Leg::is_over) {
            self.discard(id, cx);
        }
    }

    /// Takes a leg out, whatever its state. Promises made for bytes that are elsewhere stay until those are released.
    pub(super) fn discard(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(mut leg) = self.legs.remove(id) else { return };
        cx.effects.legs -= 1;
        let setup = std::mem::take(leg.setup());
        if let Some(DuplexKeys { writer, reader }) = setup.asking {
            // "Gives that message up": the plugin will not learn what it would have been asked.
            cx.plugin.link.end(writer, &[]);
            cx.plugin.link.end(reader, &[]);
        }
        if !leg.outlet.is_over() {
            cx.budget.close_outlet(leg.inlet.account.user(), 0);
        }
        if !leg.inlet.is_over() {
            let unspent = leg.inlet.half.map_or(0, |half| cx.plugin.link.may_come(half));
            cx.budget.close(&mut leg.inlet.account, unspent);
        }
        cx.budget.released_late(setup.close_payload.len() as u64);
        setup.ends().for_each(|charged| cx.effects.release(charged.held));
        if leg.outlet.backlogged {
            cx.effects.dropped.push(id);
        }
        if let Some(targets) = self.targets.as_mut().filter(|targets| targets.get(&leg.far_conn) == Some(&id)) {
            targets.remove(&leg.far_conn);
        }
    }
}

/// "A half that one plugin ends is ended towards the other with `0x00` + its end payload."
fn with_code(charged: ChargedBytes) -> ChargedBytes {
    ChargedBytes { payload: [&[end::BY_PLUGIN], &charged.payload[..]].concat().into(), ..charged }
}
