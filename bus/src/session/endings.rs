//! Ends of halves that wait for flow control: the relay owes them to a plugin that has given no credit for their payload.
//!
//! "Where a plugin left no credit for an end payload that the server owes it, the server waits `end_credit_timeout`,
//! then ends with an empty payload" (protocol, section 2).

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bpmux::HalfKey;

use super::super::address::LegId;
use super::super::msg::{ChargedBytes, Effect, Held, Side};
use super::overhead::HASHED_BYTES;
use super::{Context, Role, Session};

/// An end that waits.
#[derive(Debug)]
struct Owed {
    charged: ChargedBytes,
    /// Of which leg the half is, if it is of one.
    leg: Option<(LegId, Side)>,
}

/// All ends of one plugin that wait.
#[derive(Debug, Default)]
pub(super) struct Endings {
    owed: HashMap<HalfKey, Owed>,
    /// By when, in that order, since all wait equally long. Some may be settled.
    deadlines: VecDeque<(Instant, HalfKey)>,
    /// Ends that are on their way out, and what is accounted for them until they have left. In the order in which they have
    /// come to be, which is about that in which they are written.
    leaving: VecDeque<(HalfKey, Held)>,
}

impl Endings {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.deadlines.is_empty() && self.leaving.is_empty()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn len(&self) -> usize {
        self.owed.len().max(self.deadlines.len()) + self.leaving.len()
    }

    /// The memory that they take, in bytes, about; the payloads are accounted for elsewhere.
    pub(super) fn memory_bytes(&self) -> usize {
        self.owed.capacity() * (size_of::<(HalfKey, Owed)>() + HASHED_BYTES)
            + self.deadlines.capacity() * size_of::<(Instant, HalfKey)>()
            + self.leaving.capacity() * size_of::<(HalfKey, Held)>()
    }

    /// None of them will be sent.
    pub(super) fn abandon(&mut self, effects: &mut Vec<Effect>) {
        self.owed.drain().for_each(|(_, owed)| owed.charged.held.release(effects));
        self.leaving.drain(..).for_each(|(_, held)| held.release(effects));
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
    pub(super) fn end_with(
        &mut self,
        half: HalfKey,
        charged: ChargedBytes,
        leg: Option<(LegId, Side)>,
        cx: &mut Context<'_>,
    ) {
        if self.link.end(half, &charged.payload) {
            self.note_leaving(half, charged.held);
            return self.handle_half_ended(leg, cx);
        }
        if leg.is_none() {
            self.link.set_user(half, Role::Ending);
        }
        let at = cx.now + cx.settings.end_credit_timeout;
        let endings = &mut self.pending().endings;
        endings.owed.insert(half, Owed { charged, leg });
        endings.deadlines.push_back((at, half));
    }

    /// An end is on its way out.
    fn note_leaving(&mut self, half: HalfKey, held: Held) {
        if held.bytes > 0 {
            self.pending().endings.leaving.push_back((half, held));
        }
    }

    /// There is more credit for an end that waits.
    pub(super) fn retry_ending(&mut self, half: HalfKey, cx: &mut Context<'_>) {
        let Self { link, pending: Some(pending), .. } = self else { return };
        let Some(owed) = pending.endings.owed.get_mut(&half) else { return };
        if link.end(half, &owed.charged.payload) {
            let held = std::mem::replace(&mut owed.charged.held.bytes, 0);
            let held = Held { bytes: held, ..owed.charged.held };
            self.note_leaving(half, held);
            self.handle_overtaken_ending(half, cx);
        }
    }

    /// Ends that have been written leave with the send that is being filled. The first one that has not been keeps those
    /// behind it, unless nothing at all is left to be written.
    pub(super) fn settle_endings(&mut self, cx: &mut Context<'_>) {
        let Self { link, pending: Some(pending), .. } = self else { return };
        let leaving = &mut pending.endings.leaving;
        while let Some((_, held)) = leaving.pop_front_if(|(half, _)| !link.owes() || !link.owes_end(*half)) {
            cx.carried.push(held);
        }
    }

    /// The half is ended, by us or by the plugin itself; nothing waits there any more.
    pub(super) fn handle_overtaken_ending(&mut self, half: HalfKey, cx: &mut Context<'_>) {
        let Some(endings) = self.pending.as_mut().map(|pending| &mut pending.endings) else { return };
        if let Some(owed) = endings.owed.remove(&half) {
            owed.charged.held.release(cx.effects);
            endings.settle();
            self.handle_half_ended(owed.leg, cx);
        }
    }

    /// Ends whose time has come go out with an empty payload.
    pub(super) fn handle_endings_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some((_, half)) = self.pending().endings.deadlines.pop_front_if(|(at, _)| *at <= cx.now) {
            if let Some(owed) = self.pending().endings.owed.remove(&half) {
                self.link.end(half, &[]);
                owed.charged.held.release(cx.effects);
                self.handle_half_ended(owed.leg, cx);
            }
        }
        self.pending().endings.settle();
    }

    /// A half of a leg is ended towards the plugin.
    fn handle_half_ended(&mut self, leg: Option<(LegId, Side)>, cx: &mut Context<'_>) {
        match leg {
            Some((id, Side::Inlet)) => self.handle_inlet_over(id, cx),
            Some((id, Side::Outlet)) => self.handle_outlet_over(id, cx),
            None => {}
        }
    }
}
