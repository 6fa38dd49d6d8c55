//! The send path: what the relay writes to the plugin, in this order: what is owed without payload, offers, replies of its
//! own, and, after the payload that the shard adds, the ends that waited for it.

use std::mem::take;

use super::super::cap::CreditSample;
use super::super::directory;
use super::super::leg::{Leg, Stage};
use super::super::listing::Listing;
use super::super::msg::Side;
use super::{Context, Session};
use limits::WORK_LISTING_UNITS;

impl Session {
    /// Writes credit, pings, pongs, ends and acks, and offers, while `out` is shorter than `len_max`.
    pub fn write_control(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        self.grant_dirty(cx);
        self.write_early(out, len_max);
        self.link.flush_owed(out, len_max);
        if self.pending.as_ref().is_some_and(|pending| !(pending.offers.is_empty() && pending.offers_over.is_empty())) {
            self.write_offers(out, len_max, cx);
            self.link.flush_owed(out, len_max);
        }
    }

    /// Writes answers to queries and questions, and the watch.
    pub fn write_replies(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        if let Some(pending) = &self.pending {
            let (told, waiting) = (pending.stats_queries.has_answer(), pending.stats_queries.are_waiting());
            if !pending.answers.is_empty() && !self.check_rest(cx) {
                self.write_answers(out, len_max, cx);
            }
            if told {
                self.write_stats(out, len_max, cx);
            } else if waiting {
                self.request_stats(cx);
            }
        }
        self.write_watch(out, len_max, cx);
    }

    fn write_watch(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        let Some(watch) = &self.watch else { return };
        // What others do to be told of costs the watcher nothing.
        if watch.tells_listing() && self.check_rest(cx) {
            return;
        }
        self.begin_watch(cx);
        let Self { link, limiter, watch: Some(watch), .. } = self else { return };
        let listed_bytes = watch.write(link, out, len_max);
        limiter.charge_answer(0, listed_bytes);
    }

    /// Looks up who is there, if that is to be told, and can be.
    fn begin_watch(&mut self, cx: &mut Context<'_>) {
        if !self.watch.as_ref().is_some_and(|watch| watch.wants_listing()) {
            return;
        }
        let asker = self.asker();
        let first = self.pending.as_ref().is_none_or(|pending| pending.answers.is_empty());
        let Some(watch) = self.watch.as_mut() else { return };
        let mut directory = directory::lock(cx.directory);
        // An empty listing needs no credit.
        if self.link.may_send(watch.half) == 0 && directory.has_others(&asker) {
            return;
        }
        let (names, since) = directory.snapshot(first);
        drop(directory);
        watch.begin(Listing::new(names, &asker), since);
        self.limiter.charge_answer(WORK_LISTING_UNITS, 0);
    }

    /// Ends outlets whose payload is all out.
    pub fn write_ends(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        let Some(pending) = &self.pending else { return };
        if !pending.closing.is_empty() {
            self.close_outlets(out, len_max, cx);
        }
        self.settle_endings(cx);
        self.settle_pending();
    }

    fn close_outlets(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        for id in take(&mut self.pending().closing) {
            let Some((half, charged)) = self.legs.get_mut(id).and_then(Leg::take_close) else { continue };
            self.end_with(half, charged, Some((id, Side::Outlet)), cx);
        }
        self.link.flush_owed(out, len_max);
    }

    /// Grants the credit that the policy allows, once a tick for each half on which something has happened.
    fn grant_dirty(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.dirty.pop() {
            let Some(leg) = self.legs.get_mut(id) else { continue };
            leg.dirty = false;
            leg.settle_setup();
            let inlet = &mut leg.inlet;
            let (Stage::Open, Some(half)) = (leg.stage, inlet.half) else { continue };
            if !inlet.is_open() {
                continue;
            }
            let sample =
                CreditSample { now: cx.now, unspent_bytes: self.link.may_receive(half), banked_bytes: inlet.banked };
            let pace = if leg.far_tcp { &cx.settings.pace_tcp } else { &cx.settings.pace_unix };
            let amount = cx.budget.grant(&mut inlet.account, &sample, pace);
            if amount > 0 {
                inlet.banked -= amount;
                self.link.grant(half, amount);
            }
            // What the writer has announced it may send, and is about to.
            let may_come = self.link.may_come(half);
            inlet.look(may_come - amount, may_come, &self.reading, self.reading.clock(cx.now));
            if leg.is_newly_used() {
                self.legs.note_used(id);
            }
        }
    }

    /// Whether empty messages are left that must go out before the backlogs of their halves, and did not fit.
    #[must_use]
    pub fn has_early(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| !pending.early.is_empty())
    }

    fn write_early(&mut self, out: &mut Vec<u8>, len_max: usize) {
        let Self { link, legs, pending: Some(pending), .. } = self else { return };
        while let Some(&id) = pending.early.front() {
            let Some(leg) = legs.get_mut(id).filter(|leg| !leg.outlet.is_over()) else {
                pending.early.pop_front();
                continue;
            };
            let Some(half) = leg.outlet.half else { return };
            while leg.early_empties() > 0 {
                if out.len() + bpmux::chunk::HEAD_LEN_MAX > len_max {
                    return;
                }
                link.put_part(half, 0, 0, out);
                leg.setup().empties -= 1;
            }
            if leg.is_ready_to_close() {
                pending.closing.push(id);
            }
            leg.settle_setup();
            pending.early.pop_front();
        }
    }
}
