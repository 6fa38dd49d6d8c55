//! Data of channels: messages that the plugin writes are passed on to the other leg, and what the other leg passes on goes
//! out to the plugin.

use bpmux::{Piece, What, varint};

use super::super::address::{LegAddr, LegId, LegRef};
use super::super::msg::ChannelMsg;
use super::super::plugin::{Plugin, PluginContext, Role};
use super::Channels;
use super::leg::{Agreed, Stage, mark_dirty};
use super::payload::{Forward, Outgoing, Payload};

impl Channels {
    /// The way of many small messages: takes whole messages of one channel off the front of `input`.
    #[inline]
    pub(crate) fn next_run(&mut self, input: &mut [u8], plugin: &mut Plugin) -> Option<(usize, Forward)> {
        let link = &mut plugin.link;
        let (half, Role::Inlet(id)) = link.run_at(input)? else { return None };
        let leg = self.legs.get_mut(id)?;
        // Only when both have agreed, and while the other one still listens.
        let Agreed { rewrite, same_width } = *leg.agreed().filter(|_| leg.inlet.is_open())?;
        let patch = same_width.then_some(&rewrite);
        let run = link.take_run(half, input, patch);
        if run.bytes == 0 {
            return None;
        }
        leg.inlet.waits.count(run.messages, run.payload_bytes);
        plugin.limiter.charge_run(run.messages, run.payload_bytes);
        let id_len = if same_width { None } else { link.id(half).map(|id| varint::len(id) as u8) };
        let from = LegAddr { conn: plugin.me, leg: id };
        let forward = Forward { from, to: (leg.far_conn, leg.far(from)), payload: Payload::Run { run, id_len } };
        mark_dirty(leg, id, &mut self.dirty);
        Some((run.bytes, forward))
    }

    /// Payload on a half that the relay reads: to be passed on, or an end.
    pub(crate) fn handle_inlet_piece(
        &mut self,
        id: LegId,
        piece: Piece,
        bytes: &[u8],
        cx: &mut PluginContext<'_>,
    ) -> Option<Forward> {
        // Another plugin has given credit for it, be it passed on or dropped because that one is gone.
        cx.plugin.limiter.refund_bytes(piece.len as u64);
        let leg = self.legs.get_mut(id)?;
        if !leg.inlet.is_open() {
            self.handle_unheard_piece(id, piece, cx);
            return None;
        }
        if piece.what == What::End {
            leg.setup().close_payload.extend_from_slice(bytes);
            if piece.last {
                self.handle_inlet_closed(id, cx);
            }
            return None;
        }
        if leg.agreed().is_some() {
            // An empty part of a message says nothing.
            if piece.len == 0 && piece.total > 0 {
                return None;
            }
            let from = LegAddr { conn: cx.plugin.me, leg: id };
            let payload = Payload::Piece { total: piece.total, len: piece.len as u64 };
            leg.inlet.waits.count(u64::from(piece.last), piece.len as u64);
            mark_dirty(leg, id, &mut self.dirty);
            return Some(Forward { from, to: (leg.far_conn, leg.far(from)), payload });
        }
        // No credit has been granted before both agree, so this is an empty message, or an empty part of another.
        if piece.total == 0 {
            if leg.initiator {
                self.send(id, ChannelMsg::Empties(1), cx);
            } else {
                self.handle_accept(id, cx);
            }
        }
        None
    }

    /// A piece of a payload that the other plugin does not want any more: the end of ours waits for credit.
    fn handle_unheard_piece(&mut self, id: LegId, piece: Piece, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        cx.budget.released(&mut leg.inlet.account, piece.len as u64);
        match piece.what {
            What::End if piece.last => {
                let denies = leg.may_be_denied();
                self.forget_inlet_end(id, cx);
                if denies {
                    self.handle_denial(id, cx);
                }
            }
            // The plugin does not know yet that nobody listens: it accepts to be written to.
            What::Message if piece.total == 0 && leg.stage == Stage::Asked => self.handle_accept(id, cx),
            _ => {}
        }
    }

    /// Where payload for this leg is to be written; nowhere when nobody wants it.
    #[inline]
    pub(crate) fn outgoing(&mut self, leg: LegRef) -> Option<Outgoing> {
        let id = self.legs.find(leg)?;
        let leg = self.legs.get_mut(id)?;
        let outlet = &leg.outlet;
        if !outlet.takes_payload() || leg.agreed().is_none() {
            return None;
        }
        let half = outlet.half?;
        Some(Outgoing { id, half, behind: outlet.backlogged || leg.early_empties() > 0 })
    }

    /// The shard holds payload for this leg now, or no longer does.
    pub(crate) fn set_backlogged(&mut self, id: LegId, backlogged: bool) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.outlet.backlogged = backlogged;
        self.close_when_ready(id);
    }

    /// Empty messages of the other plugin that go out ahead of all payload.
    pub(super) fn handle_empties(&mut self, id: LegId, count: u32) {
        let Some(leg) = self.legs.get_mut(id).filter(|leg| !leg.outlet.is_over()) else { return };
        let before = leg.early_empties();
        leg.setup().empties = before.saturating_add(count);
        if before == 0 && leg.outlet.half.is_some() {
            self.work().early.push_back(id);
        }
    }

    /// Whether empty messages are left that must go out before the backlogs of their halves, and did not fit.
    pub(crate) fn has_early(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !work.early.is_empty())
    }

    pub(super) fn write_early(&mut self, out: &mut Vec<u8>, len_max: usize, plugin: &mut Plugin) {
        let Self { legs, work: Some(work), .. } = self else { return };
        while let Some(&id) = work.early.front() {
            let Some(leg) = legs.get_mut(id).filter(|leg| !leg.outlet.is_over()) else {
                work.early.pop_front();
                continue;
            };
            let Some(half) = leg.outlet.half else { return };
            while leg.early_empties() > 0 {
                if out.len() + bpmux::chunk::HEAD_LEN_MAX > len_max {
                    return;
                }
                plugin.link.put_part(half, 0, 0, out);
                leg.setup().empties -= 1;
            }
            if leg.is_ready_to_close() {
                work.closing.push(id);
            }
            leg.settle_setup();
            work.early.pop_front();
        }
    }
}
