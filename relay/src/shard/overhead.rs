//! Memory pressure: what connections cost besides payload, which is themselves, channels, heads, answers, names to be told;
//! and which one is evicted (load shedding) when memory for that is short.
//!
//! No credit pays for that, so it has a budget of its own for each shard, `limits.overhead_memory_bytes`. Whatever costs
//! something is bounded for each connection; but many of them together may cost more than there is, and then the one that
//! costs most has to go. It is found without going through all of them: each has a rank by what it has cost once, which is put right when it is come to.

use std::mem::size_of;

use bus::session::Leaving;
use engine::driver::{Driver, Token};

use super::conn::Conn;
use super::life::Life;
use super::shard::Shard;

/// What the allocator and the tables of all connections take for one, beside what is counted. Measured with 1,000 idle
/// connections, and rounded up.
pub(super) const CONNECTION_BYTES: usize = 1 << 10;

impl Conn {
    /// What the connection costs now, in bytes.
    pub(super) fn overhead_bytes(&self) -> usize {
        CONNECTION_BYTES + size_of::<Self>() + self.session.overhead_bytes() + self.waiting_overhead_bytes()
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

    /// Evicts the connection that costs most.
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
    const CONN_BYTES_MAX: usize = 808;

    #[test]
    fn connections_are_small() {
        assert!(size_of::<Conn>() <= CONN_BYTES_MAX, "{}", size_of::<Conn>());
    }
}
