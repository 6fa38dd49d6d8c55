//! The legs of a connection: an arena (`slab`), whose slots are taken again, with generations, so that the name of a leg that
//! is gone names no other one.
//!
//! `slotmap` costs as many instructions for each message, and takes a few bytes less for a connection. But it has no way to
//! go on at a slot, which a page of statistics does whatever the number of legs, and it grows by doubling.

use std::collections::HashMap;

use slab::Slab;

use super::super::address::{LegAddr, LegId, LegRef};
use super::super::memory::table_bytes;
use super::leg::Leg;

/// The legs of one connection.
#[derive(Debug, Default)]
pub(super) struct Legs {
    /// Each with its generation.
    legs: Slab<(u32, Box<Leg>)>,
    /// How many legs there have been.
    generations: u32,
    /// Legs whose plugin has sent something.
    used: u32,
    /// For legs that are asked: found by who asks, until that one knows their name. Boxed, since it is soon known.
    #[expect(clippy::box_collection, reason = "it is there only while a channel begins")]
    offered: Option<Box<HashMap<LegAddr, LegId>>>,
}

impl Legs {
    pub(super) fn insert(&mut self, leg: Leg) -> LegId {
        if self.legs.len() == self.legs.capacity() {
            // In smaller steps than a vector's own: a plugin may have very many legs, or one.
            self.legs.reserve_exact(self.legs.len() / 4 + 1);
        }
        let asker = leg.asker();
        self.generations = self.generations.wrapping_add(1);
        let slot = self.legs.insert((self.generations, Box::new(leg))) as u32;
        let id = LegId { slot, generation: self.generations };
        if let Some(asker) = asker {
            self.offered.get_or_insert_default().insert(asker, id);
        }
        id
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        let (generation, leg) = self.legs.get_mut(id.slot as usize)?;
        (*generation == id.generation).then_some(leg)
    }

    #[inline]
    pub(super) fn get(&self, id: LegId) -> Option<&Leg> {
        let (generation, leg) = self.legs.get(id.slot as usize)?;
        (*generation == id.generation).then_some(leg)
    }

    pub(super) fn find(&self, leg: LegRef) -> Option<LegId> {
        match leg {
            LegRef::At(id) => Some(id),
            LegRef::OfferedBy(from) => self.offered.as_ref()?.get(&from).copied(),
        }
    }

    /// The plugin has sent something on this leg.
    #[cold]
    pub(super) fn note_used(&mut self, id: LegId) {
        if let Some(leg) = self.get_mut(id).filter(|leg| !leg.used) {
            leg.used = true;
            self.used += 1;
        }
    }

    /// The other leg knows the name of this one.
    pub(super) fn note_known(&mut self, id: LegId) {
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

    pub(super) fn remove(&mut self, id: LegId) -> Option<Leg> {
        self.get(id)?;
        let (_, leg) = self.legs.remove(id.slot as usize);
        self.used -= u32::from(leg.used);
        if let Some(asker) = leg.asker() {
            self.forget_offer(asker);
        }
        Some(*leg)
    }

    /// The memory that they take, in bytes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { legs, generations: _, used, offered } = self;
        let slots = legs.capacity() * size_of::<(u32, Box<Leg>)>();
        let offered = offered.as_ref().map_or(0, |offered| table_bytes(offered));
        let legs = legs.len() * (size_of::<Leg>() + Leg::BYTES_SETUP) + *used as usize * Leg::BYTES_USED;
        slots + legs + offered
    }

    /// The slots from one on, and the legs in those that are taken. Slots that were never taken are among them, a quarter of
    /// the legs at the most.
    pub(super) fn slots_from(&self, slot: u32) -> impl Iterator<Item = (u32, Option<&Leg>)> {
        let slots = slot..self.legs.capacity() as u32;
        slots.map(|slot| (slot, self.legs.get(slot as usize).map(|(_, leg)| &**leg)))
    }

    pub(super) fn ids(&self) -> Vec<LegId> {
        let ids = self.legs.iter().map(|(slot, (generation, _))| LegId { slot: slot as u32, generation: *generation });
        ids.collect()
    }
}
