//! What connections cost besides payload: themselves, their channels, heads of messages, answers, names that are to be told.
//!
//! No credit pays for that, so it has a budget of its own for each shard. Whatever costs something is bounded for each
//! connection; but many of them together may cost more than there is, and then the one that costs most has to go. It is
//! found without going through all of them: each has a rank by what it has cost once, which is put right when it is come to.

use std::collections::BTreeSet;
use std::mem::size_of;

use crate::bus::session::Leaving;
use crate::engine::driver::{Driver, Token};

use super::life::Life;
use super::port::Port;
use super::shard::Shard;

/// What the allocator and the tables of all connections take for one, beside what is counted. Measured with 1,000 idle
/// connections, and rounded up.
const CONNECTION_BYTES: usize = 1 << 10;

impl Port {
    /// What the connection costs now, in bytes.
    pub(super) fn overhead_bytes(&self) -> usize {
        CONNECTION_BYTES + size_of::<Self>() + self.session.overhead_bytes() + self.waiting_overhead_bytes()
    }
}

/// All connections by what they cost, about.
#[derive(Debug, Default)]
pub(super) struct Ranks(BTreeSet<(usize, Token)>);

impl Ranks {
    /// A connection costs so much now. Its rank is left alone as long as it costs no more than a quarter beyond that, so
    /// that it need not be moved all the time.
    fn note(&mut self, token: Token, rank: &mut usize, bytes: usize) {
        if bytes > *rank + *rank / 4 {
            self.forget(token, *rank);
            *rank = bytes;
            self.0.insert((bytes, token));
        }
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, token: Token, rank: usize) {
        self.0.remove(&(rank, token));
    }

    /// Takes out the one that costs most, or less than that by a quarter: `bytes` says what one costs, if it is to be
    /// reckoned with, and is told the rank that it gets.
    fn take_heaviest(&mut self, mut bytes: impl FnMut(Token, Option<usize>) -> Option<usize>) -> Option<Token> {
        loop {
            let (rank, token) = self.0.pop_last()?;
            let Some(now) = bytes(token, None) else { continue };
            if now >= rank - rank / 4 {
                return Some(token);
            }
            bytes(token, Some(now));
            self.0.insert((now, token));
        }
    }
}

impl<D: Driver> Shard<D> {
    /// Takes note of what a connection costs now. When all together cost too much, the one that costs most is ended.
    pub(super) fn weigh(&mut self, token: Token) {
        let Self { ports, core, ranks, .. } = self;
        let port = ports.get_mut(token.slot()).and_then(Option::as_deref_mut);
        let Some(port) = port.filter(|port| port.token == token && port.life != Life::Closing) else { return };
        let (before, now) = (port.weighed, port.overhead_bytes());
        port.weighed = now;
        ranks.note(token, &mut port.rank, now);
        core.overhead_bytes = core.overhead_bytes - before + now;
        if core.overhead_bytes > core.config.limits.overhead_memory_bytes {
            self.shed();
        }
    }

    #[cold]
    fn shed(&mut self) {
        let Self { ports, ranks, .. } = self;
        let heaviest = ranks.take_heaviest(|token, rank| {
            let port = ports.get_mut(token.slot()).and_then(Option::as_deref_mut);
            let port = port.filter(|port| port.token == token && port.life != Life::Closing)?;
            port.rank = rank.unwrap_or(port.rank);
            Some(port.weighed)
        });
        if let Some(token) = heaviest {
            self.leave(token, &Leaving::Overhead);
            self.close(token);
            // It takes a tick until its memory is free; nobody else is to go for that.
            let weighed = self.port(token).map_or(0, |port| std::mem::take(&mut port.weighed));
            self.core.overhead_bytes -= weighed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that does nothing is mostly this, in bytes.
    const PORT_BYTES_MAX: usize = 768;

    #[test]
    fn ports_are_small() {
        assert!(size_of::<Port>() <= PORT_BYTES_MAX, "{}", size_of::<Port>());
    }

    /// So many, all of which cost more and less by turns, and are asked for the heaviest.
    #[test]
    fn the_heaviest_is_found_without_going_through_all() {
        const COUNT: usize = 10_000;
        let (mut ranks, mut rank) = (Ranks::default(), vec![0; COUNT]);
        let mut bytes: Vec<_> = (0..COUNT).map(|n| 1_000 + n).collect();
        let (mut looked, mut moved) = (0, 0);
        for round in 0..1_000 {
            let busy = (round * 7_919) % COUNT;
            for now in [60_000, 1_000 + busy] {
                bytes[busy] = now;
                let before = rank[busy];
                ranks.note(Token(busy as u64), &mut rank[busy], now);
                moved += usize::from(rank[busy] != before);
            }
            bytes[5] = 50_000;
            ranks.note(Token(5), &mut rank[5], bytes[5]);
            let heaviest = ranks.take_heaviest(|token, put| {
                let at = token.0 as usize;
                rank[at] = put.unwrap_or(rank[at]);
                looked += usize::from(put.is_none());
                Some(bytes[at])
            });
            assert_eq!(heaviest, Some(Token(5)));
            (bytes[5], rank[5]) = (1_000, 0);
        }
        assert!(looked <= 2_000 && moved <= 2_000, "{looked} were looked at, {moved} moved");
        assert_eq!(ranks.take_heaviest(|_, _| None), None, "those that are gone are not found");
    }
}
