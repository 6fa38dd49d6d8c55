//! What a session holds, for the tests that ask whether it should.

use std::time::Instant;

use super::Session;
use limits::CANCEL_CREDIT_BYTES_MAX;

/// Counts of what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Legs.
    pub legs: usize,
    /// Plugins to which it has begun channels.
    pub targets: usize,
    /// Connects that wait for it.
    pub offers: usize,
    /// Ends that wait for credit.
    pub endings: usize,
    /// Opening payloads that are not whole.
    pub openings: usize,
    /// Questions that wait for answers.
    pub answers: usize,
    /// Entries of lists of legs that something is to be done for.
    pub listed: usize,
    /// What the budget counts for the legs, all that is reserved included.
    pub charged_bytes: u64,
    /// Bytes that have come for the legs, or are being sent by the plugin, and have not left the relay.
    pub held_bytes: u64,
}

impl Session {
    /// Until when answers of the relay's own wait because they have cost too much.
    #[must_use]
    pub fn answers_rest_until(&self) -> Option<Instant> {
        self.pending.as_ref().and_then(|pending| pending.rests_until)
    }

    /// Whether it watches.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.watch.is_some()
    }

    /// Counts what is there.
    pub fn audit(&mut self) -> Audit {
        let mut audit = Audit {
            targets: self.targets.as_ref().map_or(0, |targets| targets.len()),
            listed: self.dirty.len(),
            ..Audit::default()
        };
        if let Some(pending) = &self.pending {
            audit.offers = pending.offers.len();
            audit.endings = pending.endings.len();
            audit.openings = pending.openings.len();
            audit.answers = pending.answers.len() + pending.stats_queries.len();
            audit.listed += pending.early.len() + pending.closing.len() + pending.offers_over.len();
        }
        for id in self.legs.ids() {
            let Some(leg) = self.legs.get_mut(id) else { continue };
            audit.legs += 1;
            let account = &leg.inlet.account;
            let unspent = leg.inlet.half.filter(|_| !leg.inlet.is_over()).map_or(0, |half| self.link.may_receive(half));
            audit.charged_bytes += account.charge() + if leg.outlet.is_over() { 0 } else { CANCEL_CREDIT_BYTES_MAX };
            audit.held_bytes += account.outstanding_bytes() - unspent;
        }
        audit
    }
}
