//! Observability of flows: samples of what the plugin's messages wait for, and what is told of them.

use std::time::Instant;

use wire::stats::{Counters, Flow, FlowEnd, PageWriter};

use super::super::address::{ConnId, LegId};
use super::super::name::Name;
use super::super::plugin::Plugin;
use super::super::waits::{FlowSample, Nanos, Report};
use super::Channels;
use super::leg::{Inlet, Leg, mark_dirty};

/// Whether the plugin's socket is read, and the clock of its flows.
#[derive(Debug)]
pub(super) struct Reading {
    began: Instant,
    /// Since when it is not read.
    stopped: Option<Nanos>,
    /// How long it was not before that, all in all.
    unread: Nanos,
    /// Whether the last receive left bytes behind.
    more_waits: bool,
}

impl Reading {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, stopped: None, unread: 0, more_waits: false }
    }

    #[inline]
    pub(super) fn clock(&self, now: Instant) -> Nanos {
        now.saturating_duration_since(self.began).as_nanos() as Nanos
    }

    #[inline]
    fn unread(&self, now: Nanos) -> Nanos {
        self.unread + self.stopped.map_or(0, |since| now - since)
    }
}

impl Inlet {
    /// Looks at the flow when a tick is over: what credit its writer had, and what it has now.
    #[inline]
    pub(super) fn observe(&mut self, credit_before: u64, credit: u64, reading: &Reading, now: Nanos) {
        self.waits.observe(&FlowSample {
            now,
            credit_before,
            credit,
            banked: self.banked,
            held: self.account.outstanding_bytes() - credit,
            unread: reading.unread(now),
            more_waits: reading.more_waits,
        });
    }
}

impl Channels {
    /// A receive has ended. Until [`Channels::handle_read_resumed`] the plugin is not read. `more_waits`: not all was received.
    #[inline]
    pub(crate) fn handle_read_stopped(&mut self, more_waits: bool, now: Instant) {
        self.reading.stopped = Some(self.reading.clock(now));
        self.reading.more_waits = more_waits;
    }

    /// A receive has begun.
    #[inline]
    pub(crate) fn handle_read_resumed(&mut self, now: Instant) {
        self.reading.unread = self.reading.unread(self.reading.clock(now));
        self.reading.stopped = None;
    }

    /// The flows that the plugin writes.
    #[cfg(test)]
    pub(crate) fn flows<'a>(&'a self, plugin: &'a Plugin, now: Instant) -> impl Iterator<Item = Flow<'a>> {
        let now = self.reading.clock(now);
        self.legs.slots_from(0).filter_map(move |(_, leg)| self.flow(leg?, plugin, now))
    }

    /// Puts flows on a page, from a leg on, as long as there are `visits` left. Returns the slot at which to go on: of the
    /// leg that has found no room, or that was not looked at.
    pub(crate) fn put_flows(
        &self,
        from: u32,
        plugin: &Plugin,
        now: Instant,
        page: &mut PageWriter,
        visits: &mut usize,
    ) -> Option<u32> {
        let now = self.reading.clock(now);
        for (slot, leg) in self.legs.slots_from(from) {
            if *visits == 0 {
                return Some(slot);
            }
            *visits -= 1;
            let flow = leg.and_then(|leg| self.flow(leg, plugin, now));
            if flow.is_some_and(|flow| !page.put_flow(&flow)) {
                return Some(slot);
            }
        }
        None
    }

    /// None before both have agreed, nor when it is over.
    fn flow<'a>(&'a self, leg: &'a Leg, plugin: &'a Plugin, now: Nanos) -> Option<Flow<'a>> {
        let inlet = &leg.inlet;
        let half = inlet.half.filter(|_| leg.agreed().is_some() && inlet.is_open())?;
        let credit_bytes = plugin.link.may_come(half);
        let Report { age, times, state, stalls, bytes, messages } = inlet.waits.report(now, self.reading.unread(now));
        Some(Flow {
            writer: flow_end(plugin.me, plugin.name.as_ref()?),
            reader: flow_end(leg.far_conn, &leg.far_name),
            opener: leg.initiator,
            state,
            age_ns: age,
            times_ns: times,
            counters: Counters {
                bytes,
                messages,
                stalls,
                credit_bytes,
                banked_bytes: inlet.banked,
                held_bytes: inlet.account.outstanding_bytes() - credit_bytes,
                cap_bytes: inlet.account.cap_bytes(),
            },
        })
    }

    /// Messages without payload pile up at the plugin that this leg writes to, so that this plugin is not read; or no
    /// longer do.
    pub(crate) fn handle_clogged(&mut self, id: LegId, clogged: bool) {
        if let Some(leg) = self.legs.get_mut(id) {
            leg.inlet.waits.clogged(clogged);
            mark_dirty(leg, id, &mut self.dirty);
        }
    }
}

fn flow_end(conn: ConnId, name: &Name) -> FlowEnd<'_> {
    FlowEnd { shard: conn.shard, token: conn.token, name: name.as_bytes() }
}
