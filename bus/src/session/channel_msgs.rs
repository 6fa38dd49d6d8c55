//! What other plugins say to this one, through channel messages of their legs.

use bpmux::{HalfKey, Rewrite, Run};

use super::super::address::{LegId, LegRef};
use super::super::leg::{Leg, Stage};
use super::super::msg::{ChannelMsg, ChargedBytes, Effect, Offer, Side};
use super::{Context, Outgoing, Parts, Session, mark_dirty};
use limits::{WORK_ANSWER_UNITS, WORK_PAID_BY_BYTES};
use wire::end;

impl Session {
    /// Another plugin wants to connect to this one.
    pub fn handle_offer(&mut self, offer: Offer, cx: &mut Context<'_>) {
        let (conn, leg) = (offer.from.conn, LegRef::At(offer.from.leg));
        let caps = cx.settings.caps.caps(self.asker().as_bytes(), offer.asker.as_bytes());
        let queued = self.pending().offers.len() < cx.settings.offers_max;
        let account = if queued { cx.budget.open(caps, offer.user) } else { None };
        let Some(account) = account else {
            cx.effects.push(Effect::Leg(conn, leg, ChannelMsg::Refused(end::NO_MEMORY)));
            return;
        };
        let id = self.legs.insert(Leg::asked(offer, account));
        *cx.legs += 1;
        cx.effects.push(Effect::Leg(conn, leg, ChannelMsg::Bound(id)));
        self.pending().offers.push(cx.now, id);
    }

    /// The other leg of one of our channels says something.
    pub fn handle_channel_msg(&mut self, leg: LegRef, msg: ChannelMsg, cx: &mut Context<'_>) {
        let found = self.legs.find(leg);
        if let LegRef::At(id) = leg {
            self.legs.note_known(id);
        }
        let Some((id, leg)) = found.and_then(|id| self.legs.get_mut(id).map(|leg| (id, leg))) else {
            return Self::undeliverable(&msg, cx.effects);
        };
        if msg.wants_answer() {
            self.limiter.refund(WORK_ANSWER_UNITS);
        }
        match msg {
            ChannelMsg::Bound(far_leg) => leg.bind(far_leg),
            ChannelMsg::Refused(code) => self.end_both(id, code, cx),
            ChannelMsg::Accepted { id: far_id, tcp } => {
                leg.far_tcp = tcp;
                let my_id = leg.inlet.half.and_then(|half| self.link.id(half)).unwrap_or_default();
                leg.agree(my_id, far_id, self.reading.clock(cx.now));
                self.early_empties(id, 1);
                self.pass_banked(id, cx);
            }
            ChannelMsg::Empties(count) => self.early_empties(id, count),
            ChannelMsg::Credit(amount) => {
                leg.inlet.banked = leg.inlet.banked.saturating_add(amount);
                mark_dirty(leg, id, &mut self.dirty);
            }
            ChannelMsg::CancelCredit(amount) => {
                leg.outlet.cancel_banked = leg.outlet.cancel_banked.saturating_add(amount);
                self.grant_cancel_credit(id);
            }
            ChannelMsg::Ping(Side::Inlet) => match leg.inlet.half {
                Some(half) => self.link.ping(half),
                None => leg.setup().inlet_pings = leg.setup().inlet_pings.saturating_add(1),
            },
            ChannelMsg::Ping(Side::Outlet) => match leg.outlet.half {
                Some(half) => self.link.ping(half),
                None => leg.setup().outlet_pings = leg.setup().outlet_pings.saturating_add(1),
            },
            ChannelMsg::Pong(Side::Inlet) => leg.inlet.half.into_iter().for_each(|half| self.link.pong(half)),
            ChannelMsg::Pong(Side::Outlet) => leg.outlet.half.into_iter().for_each(|half| self.link.pong(half)),
            ChannelMsg::Closed(charged) => self.close_outlet(id, with_code(charged), cx),
            ChannelMsg::Cancelled(charged) => self.cancel_inlet(id, with_code(charged), cx),
            ChannelMsg::Waited => leg.inlet.waits.waited(),
            ChannelMsg::Gone => self.end_both(id, end::NOT_THERE, cx),
        }
    }

    /// Empty messages that go out ahead of all payload.
    fn early_empties(&mut self, id: LegId, count: u32) {
        let Some(leg) = self.legs.get_mut(id).filter(|leg| !leg.outlet.is_over()) else { return };
        let before = leg.early_empties();
        let listed = before > 0;
        leg.setup().empties = before.saturating_add(count);
        if !listed && leg.outlet.half.is_some() {
            self.pending().early.push_back(id);
        }
    }

    /// Ends towards the plugin what is left of the channel.
    fn end_both(&mut self, id: LegId, code: u8, cx: &mut Context<'_>) {
        self.close_outlet(id, ChargedBytes::own(&[code]), cx);
        self.cancel_inlet(id, ChargedBytes::own(&[code]), cx);
    }

    /// Nobody misses a channel that is over before its plugin could be asked. Has the plugin been told a part of it, that
    /// is taken back.
    fn withdraw_if_over(&mut self, id: LegId, cx: &mut Context<'_>) {
        let left = self.left_to_ask(id);
        if left == 0 || !self.is_leg_over(id) {
            return;
        }
        if left > self.link.may_send(HalfKey::TOP_WRITER) {
            self.withdraw(id, cx);
        } else {
            // With the credit for it the plugin is asked when it is written to next, unless others use that up.
            self.pending().offers_over.push(id);
        }
    }

    /// Notes that the outlet is to be closed when all payload is out, unless it is over or closing already.
    fn close_outlet(&mut self, id: LegId, charged: ChargedBytes, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return charged.held.release(cx.effects) };
        if let Err(charged) = leg.begin_close(charged) {
            return charged.held.release(cx.effects);
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
            self.pending().closing.push(id);
        }
    }

    /// Cancels the inlet, now or when there is credit for the payload; nothing is taken from it any more.
    pub(super) fn cancel_inlet(&mut self, id: LegId, charged: ChargedBytes, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return charged.held.release(cx.effects) };
        if let Err(charged) = leg.begin_cancel(charged) {
            return charged.held.release(cx.effects);
        }
        match leg.inlet.half {
            Some(_) => self.cancel_when_open(id, cx),
            None => self.withdraw_if_over(id, cx),
        }
    }

    /// Cancels the inlet if it is to be, and the duplex is open.
    pub(super) fn cancel_when_open(&mut self, id: LegId, cx: &mut Context<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some((half, charged)) = leg.take_cancel() else { return };
        leg.inlet.banked = 0;
        let dropped = std::mem::take(&mut leg.setup().close_payload).len() as u64;
        cx.budget.released(&mut leg.inlet.account, dropped);
        self.end_with(half, charged, Some((id, Side::Inlet)), cx);
    }

    /// Connects that have waited too long for this plugin's top-level credit.
    pub(super) fn handle_offers_timeout(&mut self, cx: &mut Context<'_>) {
        let (now, patience) = (cx.now, cx.settings.offer_timeout);
        let due = |session: &mut Self| session.pending.as_mut()?.offers.take_due(now, patience, &session.legs);
        while let Some(id) = due(self) {
            self.send(id, ChannelMsg::Refused(end::NO_MEMORY), cx);
            self.discard(id, cx);
        }
    }

    /// Where payload for this leg is to be written; nowhere when nobody wants it.
    #[inline]
    pub fn outgoing(&mut self, leg: LegRef) -> Option<Outgoing> {
        let id = self.legs.find(leg)?;
        let leg = self.legs.get_mut(id)?;
        let outlet = &leg.outlet;
        if !outlet.takes_payload() || leg.stage != Stage::Open {
            return None;
        }
        let half = outlet.half?;
        Some(Outgoing { id, half, behind: outlet.backlogged || leg.early_empties() > 0 })
    }

    /// The shard holds payload for this leg now, or no longer does.
    pub fn set_backlogged(&mut self, id: LegId, backlogged: bool) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.outlet.backlogged = backlogged;
        self.close_when_ready(id);
    }

    /// Writes the head of a piece that goes out on `half`.
    #[inline]
    pub fn put_piece(&mut self, half: HalfKey, total: u64, len: u64, out: &mut Vec<u8>) {
        self.link.put_part(half, total, len, out);
        self.limiter.refund(if len > 0 { WORK_ANSWER_UNITS } else { 0 });
    }

    /// Accounts for parts that go out on `half` with heads of their own.
    #[inline]
    pub fn put_parts(&mut self, half: HalfKey, parts: &Parts) {
        self.link.spend_on_parts(half, parts.payload_bytes, parts.left);
        self.limiter.refund(WORK_ANSWER_UNITS * (1 + parts.payload_bytes / WORK_PAID_BY_BYTES));
    }

    /// Accounts for a run that goes out on `half`; returns what its ids are to be replaced by.
    #[inline]
    pub fn put_run(&mut self, half: HalfKey, run: &Run) -> Rewrite {
        self.link.spend_on_run(half, run.payload_bytes);
        self.limiter.refund(WORK_ANSWER_UNITS * run.messages.min(run.payload_bytes));
        Rewrite::to(self.link.id(half).unwrap_or_default())
    }
}

/// "A half that one plugin ends is ended towards the other with `0x00` + its end payload."
fn with_code(charged: ChargedBytes) -> ChargedBytes {
    ChargedBytes { payload: [&[end::BY_PLUGIN], &charged.payload[..]].concat().into(), ..charged }
}
