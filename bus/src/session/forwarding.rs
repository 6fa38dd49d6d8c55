//! Forwarding: what the plugin says on its channels to other plugins is passed on to the other leg.

use bpmux::{HalfKey, Over, Piece, What};

use super::super::address::{LegAddr, LegId};
use super::super::leg::{Leg, Stage};
use super::super::msg::{ChannelMsg, ChargedBytes, Effect};
use limits::CANCEL_CREDIT_BYTES_MAX;

use super::{Context, Forward, Payload, Session, mark_dirty};
use wire::end;

impl Session {
    /// Payload on a half that the relay reads: to be relayed, or an end.
    pub(super) fn handle_inlet_piece(
        &mut self,
        id: LegId,
        piece: Piece,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Option<Forward> {
        let leg = self.legs.get_mut(id)?;
        if !leg.inlet.is_open() {
            // The other side has cancelled; our end waits for credit.
            cx.budget.released(&mut leg.inlet.account, piece.len as u64);
            match piece.what {
                What::End if piece.last => {
                    let (half, denies) = (leg.inlet.half, leg.may_be_denied());
                    half.into_iter().for_each(|half| self.handle_overtaken_ending(half, cx));
                    if denies {
                        self.handle_denial(id, cx);
                    }
                }
                // The plugin does not know yet that nobody listens: it accepts to be written to.
                What::Message if piece.total == 0 && leg.stage == Stage::Asked => self.handle_accept(id, cx),
                _ => {}
            }
            return None;
        }
        if piece.what == What::End {
            leg.setup().close_payload.extend_from_slice(bytes);
            if piece.last {
                self.handle_inlet_closed(id, cx);
            }
            return None;
        }
        if leg.stage == Stage::Open {
            // An empty part of a message says nothing.
            if piece.len == 0 && piece.total > 0 {
                return None;
            }
            let from = LegAddr { conn: self.me, leg: id };
            let payload = Payload::Piece { total: piece.total, len: piece.len as u64 };
            leg.inlet.waits.count(u64::from(piece.last), piece.len as u64);
            mark_dirty(leg, id, &mut self.dirty);
            return Some(Forward { from, to: (leg.far_conn, leg.far(from)), payload });
        }
        // No credit has been granted before both agree, so this is an empty message, or an empty part of another.
        if piece.total == 0 {
            if leg.initiator { self.send(id, ChannelMsg::Empties(1), cx) } else { self.handle_accept(id, cx) }
        }
        None
    }

    /// The plugin has accepted the channel that it was asked for.
    pub(super) fn handle_accept(&mut self, id: LegId, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        // Both halves have the same one, and either may be over.
        let id_of = |half: Option<HalfKey>| half.and_then(|half| self.link.id(half));
        let my_id = id_of(leg.inlet.half).or_else(|| id_of(leg.outlet.half)).unwrap_or_default();
        let far_id = leg.setup().far_id;
        leg.agree(my_id, far_id, self.reading.clock(cx.now));
        self.send(id, ChannelMsg::Accepted { id: my_id, tcp: self.tcp }, cx);
        self.pass_banked(id, cx);
    }

    /// The plugin has answered on a half that is ended already, since the other one does not want to hear anything, and did
    /// not know yet.
    pub(super) fn handle_inlet_missed(&mut self, id: LegId, cx: &mut Context<'_>) {
        if self.legs.get(id).is_some_and(|leg| leg.stage == Stage::Asked) {
            self.handle_accept(id, cx);
        }
    }

    /// Nothing more comes on the half on which the plugin would answer, which the relay has ended. Is it the plugin's own end
    /// that says so, that was a denial. Else the plugin knows that it has nothing to answer on: credit is how it accepts.
    pub(super) fn inlet_known_over(&mut self, id: LegId, over: Over, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id).filter(|leg| leg.stage == Stage::Asked) else { return };
        match over {
            Over::Crossed => self.handle_denial(id, cx),
            Over::Acked => {
                leg.stage = Stage::Mute;
                self.accepted_by_credit(id, cx);
            }
        }
    }

    /// The same for the half that the relay writes, on which only a denial can come.
    pub(super) fn outlet_known_over(&mut self, id: LegId, over: Over, cx: &mut Context<'_>) {
        if over == Over::Crossed && self.legs.get(id).is_some_and(Leg::may_be_denied) {
            self.handle_denial(id, cx);
        }
    }

    /// Whether a plugin that cannot answer has given credit, which says that it wants to read.
    fn accepted_by_credit(&mut self, id: LegId, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if leg.stage == Stage::Mute && leg.has_setup().is_some_and(|setup| setup.banked > 0) {
            self.handle_accept(id, cx);
        }
    }

    /// "Then both get the banked credit."
    pub(super) fn pass_banked(&mut self, id: LegId, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        mark_dirty(leg, id, &mut self.dirty);
        let banked = std::mem::take(&mut leg.setup().banked);
        if banked > 0 && !leg.outlet.is_over() {
            self.send(id, ChannelMsg::Credit(banked), cx);
        }
        self.grant_cancel_credit(id);
    }

    /// Lets the plugin write what the other one gave for a cancel payload, within the bound.
    pub(super) fn grant_cancel_credit(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let (Stage::Open, Some(half)) = (leg.stage, leg.outlet.half) else { return };
        // A payload that has come in part is outstanding, too: the relay keeps it until it is whole.
        let outstanding =
            self.link.may_come(half) + leg.has_setup().map_or(0, |setup| setup.cancel_payload.len() as u64);
        let room = CANCEL_CREDIT_BYTES_MAX.saturating_sub(outstanding);
        // One byte is kept for the code that the relay puts ahead of the payload.
        let amount = leg.outlet.cancel_banked.saturating_sub(1).min(room);
        leg.outlet.cancel_banked -= amount;
        self.link.grant(half, amount);
    }

    /// The plugin has closed the half that it writes.
    fn handle_inlet_closed(&mut self, id: LegId, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let payload = std::mem::take(&mut leg.setup().close_payload);
        if leg.may_be_denied() {
            cx.budget.released(&mut leg.inlet.account, payload.len() as u64);
            return self.handle_denial(id, cx);
        }
        let from = LegAddr { conn: self.me, leg: id };
        self.send(id, ChannelMsg::Closed(ChargedBytes::new(from, payload)), cx);
        self.handle_inlet_over(id, cx);
    }

    /// Payload on a half that the relay writes: only the reader's cancel payload.
    pub(super) fn handle_outlet_piece(&mut self, id: LegId, piece: Piece, bytes: &[u8], cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if piece.what != What::End {
            return;
        }
        leg.setup().cancel_payload.extend_from_slice(bytes);
        if !piece.last {
            return;
        }
        let payload = std::mem::take(&mut leg.setup().cancel_payload);
        let (half, denies) = (leg.outlet.half.filter(|_| leg.outlet.awaits_credit()), leg.may_be_denied());
        if let Some(half) = half {
            self.handle_overtaken_ending(half, cx);
        }
        if denies {
            return self.handle_denial(id, cx);
        }
        if half.is_some() {
            return;
        }
        // The leg may be gone before the payload is: it is the shard that accounts for it.
        let from = LegAddr { conn: self.me, leg: LegId::NONE };
        let charged = ChargedBytes::new(from, payload);
        let held = charged.held.bytes;
        self.send(id, ChannelMsg::Cancelled(charged), cx);
        self.outlet_over_but(id, held, cx);
    }

    /// "`b` ends either half before that: a denial. The server ends what is left of it."
    fn handle_denial(&mut self, id: LegId, cx: &mut Context<'_>) {
        self.send(id, ChannelMsg::Refused(end::NOT_THERE), cx);
        let Some(leg) = self.legs.get_mut(id) else { return };
        for half in [leg.inlet.half, leg.outlet.half].into_iter().flatten() {
            // The half that the plugin has ended takes no notice.
            self.link.end(half, &[]);
            self.handle_overtaken_ending(half, cx);
        }
        self.handle_inlet_over(id, cx);
        self.handle_outlet_over(id, cx);
    }

    /// Credit on a half that the relay reads: for our cancel payload.
    pub(super) fn handle_inlet_credit(&mut self, id: LegId, amount: u64, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        match leg.inlet.half.filter(|_| leg.inlet.awaits_credit()) {
            Some(half) => self.retry_ending(half, cx),
            None => self.send(id, ChannelMsg::CancelCredit(amount), cx),
        }
    }

    /// Credit on a half that the relay writes: for messages.
    pub(super) fn handle_outlet_credit(&mut self, id: LegId, amount: u64, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if let Some(half) = leg.outlet.half.filter(|_| leg.outlet.awaits_credit()) {
            self.retry_ending(half, cx);
        } else if leg.stage == Stage::Open {
            self.send(id, ChannelMsg::Credit(amount), cx);
        } else {
            // The link has checked that the sum stays below 2^64.
            leg.setup().banked += amount;
            self.accepted_by_credit(id, cx);
        }
    }

    /// The half that the relay reads is ended.
    pub(super) fn handle_inlet_over(&mut self, id: LegId, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if !leg.end_inlet() {
            return;
        }
        let unspent = leg.inlet.half.map_or(0, |half| self.link.may_come(half));
        cx.budget.close(&mut leg.inlet.account, unspent);
        self.free_if_over(id, cx);
    }

    /// The half that the relay writes is ended.
    pub(super) fn handle_outlet_over(&mut self, id: LegId, cx: &mut Context<'_>) {
        self.outlet_over_but(id, 0, cx);
    }

    /// The half that the relay writes is ended, by a payload of `cancel_bytes` that is still held.
    fn outlet_over_but(&mut self, id: LegId, cancel_bytes: u64, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(close) = leg.end_outlet() else { return };
        close.into_iter().for_each(|charged| charged.held.release(cx.effects));
        leg.setup().cancel_payload = Vec::new();
        cx.budget.close_outlet(leg.inlet.account.user(), cancel_bytes);
        if std::mem::take(&mut leg.outlet.backlogged) {
            cx.dropped.push(id);
        }
        self.free_if_over(id, cx);
    }

    /// Payload of this plugin's has left the relay.
    pub fn handle_released(&mut self, id: LegId, bytes: u64, cx: &mut Context<'_>) {
        match self.legs.get_mut(id) {
            Some(leg) => {
                cx.budget.released(&mut leg.inlet.account, bytes);
                leg.inlet.waits.left();
                mark_dirty(leg, id, &mut self.dirty);
            }
            None => cx.budget.released_late(bytes),
        }
    }

    /// Nobody wants a channel message: what it promised is void.
    pub fn undeliverable(msg: &ChannelMsg, effects: &mut Vec<Effect>) {
        if let ChannelMsg::Closed(charged) | ChannelMsg::Cancelled(charged) = msg {
            charged.held.release(effects);
        }
    }
}
