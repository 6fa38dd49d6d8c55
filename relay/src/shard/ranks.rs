//! A priority queue of connections by what they cost, so that the one that costs most is found without going through all.

use std::collections::BTreeSet;

use engine::driver::Token;

/// All connections by what they cost, about, in KiB.
#[derive(Debug, Default)]
pub(super) struct Ranks(BTreeSet<(u32, Token)>);

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX)
}

impl Ranks {
    /// A connection costs so much now. Its rank is left alone as long as it costs no more than a quarter beyond that, so
    /// that it need not be moved all the time.
    pub(super) fn note(&mut self, token: Token, rank_kib: &mut u32, bytes: usize) {
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
    pub(super) fn first(&self) -> Option<Token> {
        self.0.last().map(|(_, token)| *token)
    }

    /// Nobody wants to know of that one.
    pub(super) fn drop_first(&mut self) {
        self.0.pop_last();
    }

    /// Puts the rank of a connection right: whether it costs as much as that said, or less by no more than a quarter.
    pub(super) fn put_right(&mut self, token: Token, rank_kib: &mut u32, bytes: usize) -> bool {
        let before_kib = std::mem::replace(rank_kib, kib(bytes));
        self.forget(token, before_kib);
        self.0.insert((*rank_kib, token));
        *rank_kib >= before_kib - before_kib / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
