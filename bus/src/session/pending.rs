//! What is under way between a plugin and the relay: things that begin or end, questions that wait for their answers.
//!
//! Most of the time there is nothing of it, and then a session holds nothing for it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bpmux::HalfKey;

use super::super::address::LegId;
use super::answers::Answers;
use super::endings::Endings;
use super::offer_queue::OfferQueue;
use super::overhead::HASHED_BYTES;
use super::registration::Contested;
use super::stats_queries::StatsQueries;
use super::{Context, Opening, Refused, Session};
use limits::OPENING_BYTES_MAX;

/// All of one plugin's.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// When it connected, or later: time in which it was not read does not count. None once it is registered.
    pub(super) unregistered_since: Option<Instant>,
    /// Why it will not be, though it has connected.
    pub(super) refused: Option<Refused>,
    /// The registration, as far as it has come.
    pub(super) registration: Vec<u8>,
    pub(super) contested: Option<Contested>,
    /// By the half on which their payloads come.
    pub(super) openings: HashMap<HalfKey, Opening>,
    pub(super) answers: Answers,
    pub(super) stats_queries: StatsQueries,
    /// Until when the plugin gets no answers, though some wait, because they have cost so much.
    pub(super) rests_until: Option<Instant>,
    /// Whether that has begun, and nobody has asked yet.
    pub(super) newly_slowed: bool,
    /// Legs whose plugin, this one, is still to be asked. Only the first one may be half asked.
    pub(super) offers: OfferQueue,
    /// Those of them that were over before they were made, and for which there was credit then.
    pub(super) offers_over: Vec<LegId>,
    /// Legs with empty messages to be written.
    pub(super) early: VecDeque<LegId>,
    /// Legs whose outlet is to be closed now: nothing goes out before that.
    pub(super) closing: Vec<LegId>,
    pub(super) endings: Endings,
}

impl Pending {
    /// Whether there is nothing of it any more.
    fn is_over(&self) -> bool {
        self.unregistered_since.is_none()
            && self.registration.is_empty()
            && self.contested.is_none()
            && self.openings.is_empty()
            && self.answers.is_empty()
            && self.stats_queries.is_empty()
            && self.rests_until.is_none()
            && self.offers.is_empty()
            && self.offers_over.is_empty()
            && self.early.is_empty()
            && self.closing.is_empty()
            && self.endings.is_empty()
    }

    /// Whether the plugin is to do something in time.
    pub(super) fn awaits_something(&self) -> bool {
        self.unregistered_since.is_some() || self.endings.deadline().is_some() || !self.offers.is_empty()
    }

    /// When something is due here.
    pub(super) fn deadline(&self, offer_timeout: Duration) -> Option<Instant> {
        let offer = self.offers.since().map(|since| since + offer_timeout);
        let contest = self.contested.as_ref().and_then(Contested::deadline);
        [self.endings.deadline(), offer, contest, self.rests_until].into_iter().flatten().min()
    }

    /// The memory that it takes, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let lists = self.early.capacity() + self.closing.capacity() + self.offers_over.capacity();
        size_of::<Self>()
            + self.registration.capacity()
            + self.openings.capacity() * (size_of::<(HalfKey, Opening)>() + HASHED_BYTES)
            + self.openings.len() * (OPENING_BYTES_MAX + 1)
            + self.answers.memory_bytes()
            + self.stats_queries.memory_bytes()
            + self.offers.memory_bytes()
            + lists * size_of::<LegId>()
            + self.endings.memory_bytes()
    }
}

impl Session {
    /// What is under way, from now on.
    pub(super) fn pending(&mut self) -> &mut Pending {
        self.pending.get_or_insert_default()
    }

    /// Since when it could have registered; none once it is.
    pub(super) fn unregistered_since(&self) -> Option<Instant> {
        self.pending.as_ref().and_then(|pending| pending.unregistered_since)
    }

    /// Whether answers of the relay's own have cost so much that the plugin is to wait for more of them.
    pub(super) fn check_rest(&mut self, cx: &Context<'_>) -> bool {
        let rest = self.limiter.rests_until(cx.now, &cx.settings.rate_limits);
        if rest.is_some() || self.pending.is_some() {
            let pending = self.pending();
            pending.rests_until = rest.map(|(until, _)| until);
            pending.newly_slowed |= rest.is_some_and(|(_, first)| first);
        }
        rest.is_some()
    }

    /// Whether the plugin has come to wait for answers, for the first time since it had cost nothing for a while. Tells it
    /// once.
    pub fn is_newly_slowed(&mut self) -> bool {
        self.pending.as_mut().is_some_and(|pending| std::mem::take(&mut pending.newly_slowed))
    }

    /// Time has passed: if there is still something to wait for, that is found when answers are to be written.
    pub(super) fn handle_rest_timeout(&mut self, cx: &Context<'_>) {
        if let Some(pending) = &mut self.pending {
            pending.rests_until.take_if(|until| *until <= cx.now);
        }
    }

    /// Gives the memory of it back when there is nothing of it any more.
    pub(super) fn settle_pending(&mut self) {
        self.pending.take_if(|pending| pending.is_over());
    }
}
