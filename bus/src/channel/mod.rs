//! The channels of one plugin: its legs, and all that happens on them. What an inlet or an outlet is stays in here.
//!
//! - `leg`, with the state machines of its two halves (`state`), in an arena (`legs`)
//! - `setup` how a channel comes to be; `offers` how the plugin is asked for one, and `offer_queue` what waits for that
//! - `data` payload from one plugin to the other, as [`payload`] describes it; `bodies` payload that bypasses our memory
//! - `credit` flow control: what readers give, and what of it writers get
//! - `close` how halves end; `flows` what messages wait for
//! - `msgs` what the other leg says

#[cfg(any(test, feature = "testing"))]
mod audit;
mod bodies;
mod close;
mod credit;
mod data;
mod flows;
mod leg;
mod legs;
mod msgs;
mod offer_queue;
mod offers;
pub(crate) mod payload;
mod setup;
mod state;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::address::{ConnId, LegAddr, LegId};
use super::memory::table_bytes;
use super::msg::{ChannelMsg, Effect};
use super::plugin::PluginContext;
use flows::Reading;
use leg::Leg;
use legs::Legs;
use offer_queue::OfferQueue;

/// All channels of one plugin.
#[derive(Debug)]
pub(crate) struct Channels {
    legs: Legs,
    /// Channels that this plugin began, by whom they go to.
    #[expect(clippy::box_collection, reason = "many plugins begin none")]
    targets: Option<Box<HashMap<ConnId, LegId>>>,
    /// Legs whose credit is to be looked at.
    dirty: Vec<LegId>,
    /// There only while it is not empty.
    work: Option<Box<Work>>,
    reading: Reading,
}

/// Legs that something is to be written for.
#[derive(Debug, Default)]
struct Work {
    /// Legs whose plugin, this one, is still to be asked. Only the first one may be half asked.
    offers: OfferQueue,
    /// Those of them that were over before they were made, and for which there was credit then.
    offers_over: Vec<LegId>,
    /// Legs with empty messages to be written.
    early: VecDeque<LegId>,
    /// Legs whose outlet is to be closed now: nothing goes out before that.
    closing: Vec<LegId>,
}

impl Work {
    fn is_empty(&self) -> bool {
        let Self { offers, offers_over, early, closing } = self;
        offers.is_empty() && offers_over.is_empty() && early.is_empty() && closing.is_empty()
    }

    fn memory_bytes(&self) -> usize {
        let Self { offers, offers_over, early, closing } = self;
        let lists = early.capacity() + closing.capacity() + offers_over.capacity();
        size_of::<Self>() + offers.memory_bytes() + lists * size_of::<LegId>()
    }
}

impl Channels {
    /// The channels of a plugin that has just connected.
    pub(crate) fn new(now: Instant) -> Self {
        let (legs, reading) = (Legs::default(), Reading::new(now));
        Self { legs, targets: None, dirty: Vec::new(), work: None, reading }
    }

    /// The memory that they take, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let Self { legs, targets, dirty, work, reading: _ } = self;
        let targets = targets.as_ref().map_or(0, |targets| table_bytes(targets));
        let work = work.as_ref().map_or(0, |work| work.memory_bytes());
        legs.memory_bytes() + targets + dirty.capacity() * size_of::<LegId>() + work
    }

    /// What is to be written, from now on.
    fn work(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }

    /// Gives the memory of it back when there is nothing of it any more.
    fn settle_work(&mut self) {
        self.work.take_if(|work| work.is_empty());
    }

    /// Sends a channel message to the other leg.
    fn send(&self, id: LegId, msg: ChannelMsg, cx: &mut PluginContext<'_>) {
        if let Some(leg) = self.legs.get(id) {
            let me = LegAddr { conn: cx.plugin.me, leg: id };
            cx.effects.send(Effect::Leg(leg.far_conn, leg.far(me), msg));
        }
    }

    /// Puts a leg into the arena.
    fn insert(&mut self, leg: Leg, cx: &mut PluginContext<'_>) -> LegId {
        cx.effects.legs += 1;
        self.legs.insert(leg)
    }

    /// Writes credit, what goes out ahead of payload, and offers, while `out` is shorter than `len_max`.
    pub(crate) fn write_control(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) {
        self.grant_dirty(cx);
        self.write_early(out, len_max, cx.plugin);
        cx.plugin.link.flush_owed(out, len_max);
        if self.work.as_ref().is_some_and(|work| !(work.offers.is_empty() && work.offers_over.is_empty())) {
            self.write_offers(out, len_max, cx);
            cx.plugin.link.flush_owed(out, len_max);
        }
    }

    /// Ends outlets whose payload is all out.
    pub(crate) fn write_ends(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) {
        if self.work.as_ref().is_some_and(|work| !work.closing.is_empty()) {
            self.close_outlets(cx);
            cx.plugin.link.flush_owed(out, len_max);
        }
        self.settle_work();
    }

    /// When offers have waited for too long.
    pub(crate) fn deadline(&self, offer_timeout: Duration) -> Option<Instant> {
        self.work.as_ref()?.offers.since().map(|since| since + offer_timeout)
    }

    /// Whether it is waited for credit of the plugin, to ask it.
    pub(crate) fn has_offers(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !work.offers.is_empty())
    }

    /// The plugin is gone, or is to be ended: the others are told.
    pub(crate) fn leave(&mut self, cx: &mut PluginContext<'_>) {
        for id in self.legs.ids() {
            self.send(id, ChannelMsg::Gone, cx);
            self.discard(id, cx);
        }
        self.work = None;
    }
}
