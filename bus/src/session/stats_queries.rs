//! Requests about the relay itself (protocol, section 4): who may ask, how much at once, and the pages that come back.
//!
//! A request goes to the shard that it asks about when it has credit for a page, one after another. So an asker that
//! gives no credit costs no more than its request, and the others one page. Whoever asks is charged for what was looked at
//! for a page, and for its bytes.

use std::collections::VecDeque;

use bpmux::HalfKey;

use super::super::msg::{ChargedBytes, Effect, StatsReply, StatsRequest};
use super::super::stats::{self, Cursor, Declined};
use super::{Context, Reply, Role, Session};
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
        let page = if self.under_way.is_some() { STATS_PAGE_BYTES_MAX as usize } else { 0 };
        self.waiting.capacity() * size_of::<StatsQuery>() + page
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.under_way.is_some())
    }
}

impl Session {
    /// The plugin may ask about the relay.
    pub fn allow_stats(&mut self) {
        self.stats_allowed = true;
    }

    /// The plugin asks about the relay.
    pub(super) fn handle_stats_query(&mut self, half: HalfKey, opening: &[u8], cx: &mut Context<'_>) {
        match self.parse_stats_query(half, opening, cx) {
            Ok(ask) => {
                self.link.set_user(half, Role::StatsQuery);
                self.pending().stats_queries.waiting.push_back(ask);
                self.request_stats(cx);
            }
            Err(declined) => self.end_with(half, ChargedBytes::own(declined.payload()), None, cx),
        }
    }

    fn parse_stats_query(&mut self, half: HalfKey, opening: &[u8], cx: &Context<'_>) -> Result<StatsQuery, Declined> {
        if !self.stats_allowed {
            return Err(Declined::Right);
        }
        let (shard, cursor) = stats::parse(opening)?;
        if shard >= cx.settings.shards {
            return Err(Declined::Shard);
        }
        let (stats_queries, link) = (&mut self.pending.get_or_insert_default().stats_queries, &self.link);
        stats_queries.waiting.retain(|asked| link.is_open(asked.half));
        if stats_queries.waiting.len() >= STATS_QUERIES_MAX {
            return Err(Declined::Busy);
        }
        Ok(StatsQuery { half, shard, cursor })
    }

    /// Asks the next shard, if none is answering: the first request that has the credit for a page.
    pub(super) fn request_stats(&mut self, cx: &mut Context<'_>) {
        let waiting = self.pending.as_ref().is_some_and(|pending| pending.stats_queries.are_waiting());
        if !waiting || self.check_rest(cx) {
            return;
        }
        let Self { link, pending: Some(pending), .. } = self else { return };
        let stats_queries = &mut pending.stats_queries;
        stats_queries.waiting.retain(|asked| link.is_open(asked.half));
        let ready = stats_queries.waiting.iter().position(|asked| link.may_send(asked.half) >= STATS_PAGE_BYTES_MIN);
        let Some(StatsQuery { half, shard, cursor }) = ready.and_then(|index| stats_queries.waiting.remove(index))
        else {
            return;
        };
        stats_queries.under_way = Some((half, None));
        let bytes_max = link.may_send(half).min(STATS_PAGE_BYTES_MAX) as usize;
        cx.effects.push(Effect::StatsRequest(shard, StatsRequest { from: self.me, half, cursor, bytes_max }));
    }

    /// A shard has answered.
    pub fn handle_stats_reply(&mut self, reply: StatsReply) {
        self.limiter.charge_answer(u64::from(reply.visits), reply.page.len());
        let under_way = self.pending.as_mut().and_then(|pending| pending.stats_queries.under_way.as_mut());
        if let Some((_, answer)) = under_way.filter(|(asked, _)| *asked == reply.half) {
            *answer = Some(Reply::new(reply.page));
        }
    }

    /// Writes the answer, and asks for the next one.
    pub(super) fn write_stats(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        let Self { link, pending: Some(pending), .. } = self else { return };
        let Some((half, Some(reply))) = &mut pending.stats_queries.under_way else { return };
        if !link.is_open(*half) || reply.write(link, *half, out, len_max).done {
            pending.stats_queries.under_way = None;
            self.request_stats(cx);
        }
    }
}
