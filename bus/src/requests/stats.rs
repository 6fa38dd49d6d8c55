//! Requests about the relay itself (protocol, section 4): who may ask, how much at once, and the pages that come back.
//!
//! A request goes to the shard that it asks about when it has credit for a page, one after another. So an asker that
//! gives no credit costs no more than its request, and the others one page. Whoever asks is charged for what was looked at
//! for a page, and for its bytes.

use std::collections::VecDeque;

use bpmux::HalfKey;

use super::super::msg::{Effect, StatsReply, StatsRequest};
use super::super::plugin::{Plugin, PluginContext, Role};
use super::super::stats::{self, Cursor, Declined};
use super::Requests;
use super::reply::Reply;
use limits::{STATS_PAGE_BYTES_MAX, STATS_PAGE_BYTES_MIN, STATS_QUERIES_MAX};

/// A request that has not been answered.
#[derive(Debug)]
struct StatsQuery {
    half: HalfKey,
    shard: u16,
    cursor: Cursor,
}

/// All of one plugin.
#[derive(Debug, Default)]
pub(super) struct StatsQueries {
    /// In the order in which they have their turns; some may be cancelled.
    waiting: VecDeque<StatsQuery>,
    /// The one that a shard is answering, or has answered.
    under_way: Option<(HalfKey, Option<Reply>)>,
}

impl StatsQueries {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_none()
    }

    pub(super) fn has_answer(&self) -> bool {
        matches!(self.under_way, Some((_, Some(_))))
    }

    /// Whether something is to be asked.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty() && self.under_way.is_none()
    }

    /// The memory that they take, in bytes: a page that a shard is about to write counts from the question on.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { waiting, under_way } = self;
        let page = if under_way.is_some() { STATS_PAGE_BYTES_MAX as usize } else { 0 };
        waiting.capacity() * size_of::<StatsQuery>() + page
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.under_way.is_some())
    }
}

impl Requests {
    /// The plugin asks about the relay.
    pub(super) fn open_stats(&mut self, half: HalfKey, opening: &[u8], cx: &mut PluginContext<'_>) {
        match self.parse_stats_query(half, opening, cx) {
            Ok(query) => {
                cx.plugin.link.set_user(half, Role::StatsQuery);
                self.work().stats.waiting.push_back(query);
                self.request_stats(cx);
            }
            Err(declined) => cx.end_own(half, declined.payload()),
        }
    }

    fn parse_stats_query(
        &mut self,
        half: HalfKey,
        opening: &[u8],
        cx: &PluginContext<'_>,
    ) -> Result<StatsQuery, Declined> {
        if !cx.plugin.stats_allowed {
            return Err(Declined::Right);
        }
        let (shard, cursor) = stats::parse(opening)?;
        if shard >= cx.settings.shards {
            return Err(Declined::Shard);
        }
        let waiting = &mut self.work().stats.waiting;
        waiting.retain(|query| cx.plugin.link.is_open(query.half));
        if waiting.len() >= STATS_QUERIES_MAX {
            return Err(Declined::Busy);
        }
        Ok(StatsQuery { half, shard, cursor })
    }

    /// Asks the next shard, if none is answering: the first request that has the credit for a page.
    pub(super) fn request_stats(&mut self, cx: &mut PluginContext<'_>) {
        let waiting = self.work.as_ref().is_some_and(|work| work.stats.are_waiting());
        if !waiting || self.check_rest(cx) {
            return;
        }
        let (stats, link) = (&mut self.work().stats, &cx.plugin.link);
        stats.waiting.retain(|query| link.is_open(query.half));
        let ready = stats.waiting.iter().position(|query| link.may_send(query.half) >= STATS_PAGE_BYTES_MIN);
        let Some(StatsQuery { half, shard, cursor }) = ready.and_then(|index| stats.waiting.remove(index)) else {
            return;
        };
        stats.under_way = Some((half, None));
        let bytes_max = link.may_send(half).min(STATS_PAGE_BYTES_MAX) as usize;
        cx.effects.send(Effect::StatsRequest(shard, StatsRequest { from: cx.plugin.me, half, cursor, bytes_max }));
    }

    /// A shard has answered.
    pub(crate) fn handle_stats_reply(&mut self, reply: StatsReply, plugin: &mut Plugin) {
        plugin.limiter.charge_answer(u64::from(reply.visits), reply.page.len());
        let under_way = self.work.as_mut().and_then(|work| work.stats.under_way.as_mut());
        if let Some((_, answer)) = under_way.filter(|(asked, _)| *asked == reply.half) {
            *answer = Some(Reply::new(reply.page));
        }
    }

    /// Writes the answer, and asks for the next one.
    pub(super) fn write_stats(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) {
        let stats = &mut self.work().stats;
        let Some((half, Some(reply))) = &mut stats.under_way else { return };
        let link = &mut cx.plugin.link;
        if !link.is_open(*half) || reply.write(link, *half, out, len_max).done {
            stats.under_way = None;
            self.request_stats(cx);
        }
    }
}
