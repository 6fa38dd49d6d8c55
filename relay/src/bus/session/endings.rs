//! Ends that the relay owes a plugin and that wait for the credit for their payload.
//!
//! "Where a plugin left no credit for an end payload that the server owes it, the server waits `end_credit_timeout`,
//! then ends with an empty payload" (protocol, section 2).

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bpmux::HalfKey;

use super::super::address::LegId;
use super::super::letter::Side;
use super::{Context, Role, Session};

/// An end that waits.
#[derive(Debug)]
struct Owed {
    payload: Box<[u8]>,
    /// Of which leg the half is, if it is of one.
    leg: Option<(LegId, Side)>,
}

/// All ends of one plugin that wait.
#[derive(Debug, Default)]
pub(super) struct Endings {
    owed: HashMap<HalfKey, Owed>,
    /// By when, in that order, since all wait equally long. Some may be settled.
    deadlines: VecDeque<(Instant, HalfKey)>,
}

impl Endings {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.owed.len().max(self.deadlines.len())
    }

    /// Takes settled ends out, so that they neither wake nor pile up.
    fn settle(&mut self) {
        let owed = &self.owed;
        while self.deadlines.pop_front_if(|(_, half)| !owed.contains_key(half)).is_some() {}
        if self.deadlines.len() > 2 * owed.len() + 16 {
            self.deadlines.retain(|(_, half)| owed.contains_key(half));
        }
    }
}

impl Session {
    /// Ends a half towards the plugin with this payload, now or when there is credit for it.
    pub(super) fn end_with(&mut self, half: HalfKey, payload: &[u8], leg: Option<(LegId, Side)>, cx: &mut Context<'_>) {
        if self.link.end(half, payload) {
            return self.half_ended(leg, cx);
        }
        if leg.is_none() {
            self.link.set_user(half, Role::Ending);
        }
        let at = cx.now + cx.settings.end_credit_timeout;
        self.endings.owed.insert(half, Owed { payload: payload.into(), leg });
        self.endings.deadlines.push_back((at, half));
    }

    /// There is more credit for an end that waits.
    pub(super) fn retry_ending(&mut self, half: HalfKey, cx: &mut Context<'_>) {
        let Some(owed) = self.endings.owed.get(&half) else { return };
        if self.link.end(half, &owed.payload) {
            self.ending_overtaken(half, cx);
        }
    }

    /// The half is ended, by us or by the plugin itself; nothing waits there any more.
    pub(super) fn ending_overtaken(&mut self, half: HalfKey, cx: &mut Context<'_>) {
        if let Some(owed) = self.endings.owed.remove(&half) {
            self.endings.settle();
            self.half_ended(owed.leg, cx);
        }
    }

    /// Ends whose time has come go out with an empty payload.
    pub(super) fn endings_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some((_, half)) = self.endings.deadlines.pop_front_if(|(at, _)| *at <= cx.now) {
            if let Some(owed) = self.endings.owed.remove(&half) {
                self.link.end(half, &[]);
                self.half_ended(owed.leg, cx);
            }
        }
        self.endings.settle();
    }

    /// A half of a leg is ended towards the plugin.
    fn half_ended(&mut self, leg: Option<(LegId, Side)>, cx: &mut Context<'_>) {
        match leg {
            Some((id, Side::Inlet)) => self.inlet_over(id, cx),
            Some((id, Side::Outlet)) => self.outlet_over(id, cx),
            None => {}
        }
    }
}
