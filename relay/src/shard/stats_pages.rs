//! What a shard tells of itself: pages of its flows, for plugins that ask, wherever they are.

use bus::address::ConnId;
use bus::msg::{Effect, StatsReply, StatsRequest};
use bus::stats::Cursor;
use engine::driver::{Driver, Token};
use limits::STATS_VISITS_MAX;
use wire::stats::{PageWriter, Totals};

use super::ceiling::Ceiling;
use super::inbox::ShardMsg;
use super::shard::Shard;

impl<D: Driver> Shard<D> {
    /// A plugin asks about this shard: it gets one page.
    pub(super) fn handle_stats_request(&mut self, request: &StatsRequest) {
        let time = self.core.now.saturating_duration_since(self.core.began);
        let shards = self.core.shared.inboxes.len() as u16;
        let mut page = PageWriter::new(self.core.index, shards, time.as_nanos() as u64, request.bytes_max);
        let first = request.cursor == Cursor::default();
        let totals = first.then(|| (self.totals(), Ceiling::of(&self.core.config).parts));
        page.put_totals(totals.as_ref().map(|(totals, ceiling)| (totals, &ceiling[..])));
        let mut visits = STATS_VISITS_MAX;
        let next = self.put_flows(request.cursor, &mut page, &mut visits);
        let visits = (STATS_VISITS_MAX - visits) as u32;
        let reply = StatsReply { half: request.half, page: page.finish(next.map(Cursor::to_u64)), visits };
        self.core.send(ShardMsg::Effect(Effect::StatsReply(request.from, reply)));
    }

    /// Puts flows on a page until it is full, or so many connections and legs have been looked at. Returns where the next one
    /// begins.
    fn put_flows(&self, from: Cursor, page: &mut PageWriter, visits: &mut usize) -> Option<Cursor> {
        let mut leg = from.leg;
        for (slot, conn) in self.conns.iter().enumerate().skip(from.conn as usize) {
            let here = |leg| Some(Cursor { conn: slot as u32, leg });
            if *visits == 0 {
                return here(leg);
            }
            *visits -= 1;
            let conn = conn.as_deref().filter(|conn| conn.life.is_served());
            if let Some(leg) = conn.and_then(|conn| conn.session.put_flows(leg, self.core.now, page, visits)) {
                return here(leg);
            }
            leg = 0;
        }
        None
    }

    fn totals(&mut self) -> Totals {
        Totals {
            connections: self.served as u64,
            channel_ends: self.core.legs,
            memory_bytes: self.core.config.credit.memory_bytes,
            promised_bytes: self.core.budget.used_bytes(),
            receive_buffers: self.core.config.engine.receive_buffers.into(),
            receive_buffers_free: self.driver.buffers_free() as u64,
            overflows: self.driver.overflows(),
            ticks: self.core.ticks,
            overhead_bytes: self.core.overhead_bytes as u64,
            overhead_memory_bytes: self.core.config.limits.overhead_memory_bytes as u64,
        }
    }

    /// A shard has answered a plugin of this one.
    pub(super) fn handle_stats_reply(&mut self, to: ConnId, reply: StatsReply) {
        let token = Token(to.token);
        if let Some((conn, _)) = self.served(token) {
            conn.session.handle_stats_reply(reply);
            self.mark_dirty(token);
        }
    }
}
