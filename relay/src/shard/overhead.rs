//! What connections cost besides payload: themselves, their channels, heads of messages, answers, names that are to be told.
//!
//! No credit pays for that, so it has a budget of its own for each shard. Whatever costs something is bounded for each
//! connection; but many of them together may cost more than there is, and then the one that costs most has to go. It is
//! found without going through all of them: each has a rank by what it has cost once, which is put right when it is come to.

use std::collections::BTreeSet;
use std::mem::size_of;

use crate::bus::session::Leaving;
use crate::engine::driver::{Driver, Token};

use super::conn::Conn;
use super::life::Life;
use super::shard::Shard;

/// What the allocator and the tables of all connections take for one, beside what is counted. Measured with 1,000 idle
/// connections, and rounded up.
const CONNECTION_BYTES: usize = 1 << 10;

impl Conn {
    /// What the connection costs now, in bytes.
    pub(super) fn overhead_bytes(&self) -> usize {
        CONNECTION_BYTES + size_of::<Self>() + self.session.overhead_bytes() + self.waiting_overhead_bytes()
    }
}

/// All connections by what they cost, about, in KiB.
#[derive(Debug, Default)]
pub(super) struct Ranks(BTreeSet<(u32, Token)>);

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX)
}

impl Ranks {
    /// A connection costs so much now. Its rank is left alone as long as it costs no more than a quarter beyond that, so
    /// that it need not be moved all the time.
    fn note(&mut self, token: Token, rank_kib: &mut u32, bytes: usize) {
        let now_kib = kib(bytes);
        if now_kib > *rank_kib + *rank_kib / 4 {
            self.forget(token, *rank_kib);
            *rank_kib = now_kib;
            self.0.insert((now_kib, token));
        }
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, token: Token, rank_kib: u32) {
        self.0.remove(&(rank_kib, token));
    }

    /// The one that costs most by its rank.
    fn first(&self) -> Option<Token> {
        self.0.last().map(|(_, token)| *token)
    }

    /// Nobody wants to know of that one.
    fn drop_first(&mut self) {
        self.0.pop_last();
    }

    /// Puts the rank of a connection right: whether it costs as much as that said, or less by no more than a quarter.
    fn put_right(&mut self, token: Token, rank_kib: &mut u32, bytes: usize) -> bool {
        let before_kib = std::mem::replace(rank_kib, kib(bytes));
        self.forget(token, before_kib);
        self.0.insert((*rank_kib, token));
        *rank_kib >= before_kib - before_kib / 4
    }
}

impl<D: Driver> Shard<D> {
    /// Takes note of what a connection costs now. When all together cost too much, the one that costs most is ended.
    pub(super) fn weigh(&mut self, token: Token) {
        let Self { conns, core, ranks, .. } = self;
        let conn = conns.get_mut(token.slot()).and_then(Option::as_deref_mut);
        let Some(conn) = conn.filter(|conn| conn.token == token && conn.life != Life::Closing) else { return };
        let (before, now) = (conn.weighed, conn.overhead_bytes());
        conn.weighed = now;
        ranks.note(token, &mut conn.rank_kib, now);
        core.overhead_bytes = core.overhead_bytes - before + now;
        if core.overhead_bytes > core.config.limits.overhead_memory_bytes {
            self.shed();
        }
    }

    #[cold]
    fn shed(&mut self) {
        if let Some(token) = self.heaviest() {
            self.leave(token, &Leaving::Overhead);
            self.close(token);
            // It takes a tick until its memory is free; nobody else is to go for that.
            let weighed = self.conn(token).map_or(0, |conn| std::mem::take(&mut conn.weighed));
            self.core.overhead_bytes -= weighed;
        }
    }

    /// The connection that costs most, or less than that by no more than a quarter.
    fn heaviest(&mut self) -> Option<Token> {
        let Self { conns, ranks, .. } = self;
        loop {
            let token = ranks.first()?;
            let conn = conns.get_mut(token.slot()).and_then(Option::as_deref_mut);
            let Some(conn) = conn.filter(|conn| conn.token == token && conn.life != Life::Closing) else {
                ranks.drop_first();
                continue;
            };
            if ranks.put_right(token, &mut conn.rank_kib, conn.weighed) {
                return Some(token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that does nothing is mostly this, in bytes.
    const PORT_BYTES_MAX: usize = 800;

    #[test]
    fn ports_are_small() {
        assert!(size_of::<Conn>() <= PORT_BYTES_MAX, "{}", size_of::<Conn>());
    }

    /// Many cost much at times, one after another, and one more than all of them each time.
    #[test]
    fn the_heaviest_is_found_without_going_through_all() {
        const COUNT: usize = 10_000;
        const HEAVY: usize = 5;
        let (mut ranks, mut rank_kib) = (Ranks::default(), vec![0; COUNT]);
        let mut bytes: Vec<_> = (0..COUNT).map(|n| 2_000 + n).collect();
        let (mut looked, mut moved) = (0, 0);
        for round in 1..1_000 {
            let busy = (round * 7_919) % COUNT;
            for (who, now) in [(busy, 60_000), (busy, 2_000), (HEAVY, 50_000)] {
                bytes[who] = now;
                let before = rank_kib[who];
                ranks.note(Token(who as u64), &mut rank_kib[who], now);
                moved += usize::from(rank_kib[who] != before);
            }
            let heaviest = loop {
                let token = ranks.first().expect("there are many");
                let at = token.0 as usize;
                looked += 1;
                if ranks.put_right(token, &mut rank_kib[at], bytes[at]) {
                    break at;
                }
            };
            assert_eq!(heaviest, HEAVY);
            bytes[HEAVY] = 2_000;
        }
        assert!(looked <= 3_000 && moved <= 3_000, "{looked} were looked at, {moved} moved");
    }
}
