//! The legs of a connection: an arena with generations, so that the name of a leg that is gone names no other one.

use std::collections::HashMap;

use super::super::address::{LegAddr, LegId, LegRef};
use super::Leg;

/// The legs of one connection.
#[derive(Debug, Default)]
pub(crate) struct Legs {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Legs whose plugin has sent something.
    used: usize,
    /// For legs that are asked: found by who asks, until that one knows their name. Boxed, since it is soon known.
    #[expect(clippy::box_collection, reason = "it is there only while a channel begins")]
    offered: Option<Box<HashMap<LegAddr, LegId>>>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    leg: Option<Box<Leg>>,
}

impl Legs {
    /// The name of the leg that is inserted next.
    pub(crate) fn next_id(&self) -> LegId {
        match self.free.last() {
            Some(&slot) => LegId { slot, generation: self.slots[slot as usize].generation },
            None => LegId { slot: self.slots.len() as u32, generation: 0 },
        }
    }

    pub(crate) fn insert(&mut self, leg: Leg) -> LegId {
        let id = self.next_id();
        if self.free.pop().is_none() {
            if self.slots.len() == self.slots.capacity() {
                // In smaller steps than a vector's own: a plugin may have very many legs, or one.
                self.slots.reserve_exact(self.slots.len() / 4 + 1);
            }
            self.slots.push(Slot::default());
        }
        if let Some(asker) = leg.asker() {
            self.offered.get_or_insert_default().insert(asker, id);
        }
        self.slots[id.slot as usize].leg = Some(Box::new(leg));
        id
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.leg.as_deref_mut()
    }

    pub(crate) fn get(&self, id: LegId) -> Option<&Leg> {
        let slot = self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.leg.as_deref()
    }

    pub(crate) fn find(&self, leg: LegRef) -> Option<LegId> {
        match leg {
            LegRef::At(id) => Some(id),
            LegRef::OfferedBy(from) => self.offered.as_ref()?.get(&from).copied(),
        }
    }

    /// The plugin has sent something on this leg.
    #[cold]
    pub(crate) fn note_used(&mut self, id: LegId) {
        if let Some(leg) = self.get_mut(id).filter(|leg| !leg.used) {
            leg.used = true;
            self.used += 1;
        }
    }

    /// The other leg knows the name of this one.
    pub(crate) fn note_known(&mut self, id: LegId) {
        let Some(leg) = self.get_mut(id) else { return };
        if let Some(asker) = leg.asker() {
            leg.bind(asker.leg);
            self.forget_offer(asker);
        }
    }

    fn forget_offer(&mut self, asker: LegAddr) {
        let Some(offered) = &mut self.offered else { return };
        offered.remove(&asker);
        if offered.is_empty() {
            self.offered = None;
        }
    }

    pub(crate) fn remove(&mut self, id: LegId) -> Option<Leg> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        let leg = slot.leg.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.used -= usize::from(leg.used);
        if let Some(asker) = leg.asker() {
            self.forget_offer(asker);
        }
        Some(*leg)
    }

    /// The memory that they take, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Slot>() + self.free.capacity() * size_of::<u32>();
        let offered = self.offered.as_ref().map_or(0, |offered| offered.capacity());
        let legs = self.len() * (size_of::<Leg>() + Leg::BYTES_SETUP) + self.used * Leg::BYTES_USED;
        slots + legs + offered * 2 * size_of::<(LegAddr, LegId)>()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slots from one on, and the legs in those that are taken.
    pub(crate) fn slots_from(&self, slot: u32) -> impl Iterator<Item = (u32, Option<&Leg>)> {
        let slots = self.slots.iter().enumerate().skip(slot as usize);
        slots.map(|(index, slot)| (index as u32, slot.leg.as_deref()))
    }

    pub(crate) fn ids(&self) -> Vec<LegId> {
        let ids = self.slots.iter().enumerate().filter(|(_, slot)| slot.leg.is_some());
        ids.map(|(index, slot)| LegId { slot: index as u32, generation: slot.generation }).collect()
    }
}
