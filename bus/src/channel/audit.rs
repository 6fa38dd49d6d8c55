//! What the channels of a plugin hold, for the tests that ask whether they should.

use limits::CANCEL_CREDIT_BYTES_MAX;

#[cfg(test)]
use super::super::address::LegId;
use super::super::audit::Audit;
use super::super::plugin::Plugin;
use super::Channels;

impl Channels {
    /// Counts what is there.
    pub(crate) fn audit(&self, plugin: &Plugin, audit: &mut Audit) {
        audit.targets = self.targets.as_ref().map_or(0, |targets| targets.len());
        audit.listed = self.dirty.len();
        if let Some(work) = &self.work {
            audit.offers = work.offers.len();
            audit.listed += work.early.len() + work.closing.len() + work.offers_over.len();
        }
        for (_, leg) in self.legs.slots_from(0) {
            let Some(leg) = leg else { continue };
            audit.legs += 1;
            let account = &leg.inlet.account;
            let read = leg.inlet.half.filter(|_| !leg.inlet.is_over());
            let unspent = read.map_or(0, |half| plugin.link.may_receive(half));
            audit.charged_bytes += account.charge() + if leg.outlet.is_over() { 0 } else { CANCEL_CREDIT_BYTES_MAX };
            audit.held_bytes += account.outstanding_bytes() - unspent;
        }
    }

    /// Whether the inlet of a leg is ended, and the leg is there.
    #[cfg(test)]
    pub(crate) fn is_inlet_over(&self, id: LegId) -> bool {
        self.legs.get(id).is_some_and(|leg| leg.inlet.is_over())
    }

    /// A leg.
    #[cfg(test)]
    pub(crate) fn first_leg(&self) -> LegId {
        self.legs.ids()[0]
    }

    /// Offers that are kept, those that are withdrawn among them.
    #[cfg(test)]
    pub(crate) fn queued_offers(&self) -> usize {
        self.work.as_ref().map_or(0, |work| work.offers.queued())
    }
}
