//! A leg: one plugin's end of a connection through the relay. A connection has two, at most one shard each, and they
//! speak in letters.
//!
//! Seen from its plugin a leg has two halves: the *inlet*, which the relay reads from the plugin, and the *outlet*, which
//! the relay writes to it. What comes in at the inlet of one leg goes out at the outlet of the other.

use std::collections::HashMap;

use bpmux::{HalfKey, Rewrite, varint};

use super::address::{LegAddr, LegId, LegRef, PortAddr};
use super::blame::{Blame, Nanos};
use super::cap::Account;
use super::command::Name;
use super::letter::{Offer, Parcel};

/// How far the connection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Our plugin has asked; the other one has not answered.
    Waiting,
    /// Our plugin is to be asked, when it has given the top-level credit for it.
    Queued { name: Name, version: u16 },
    /// Our plugin has been asked and has not answered.
    Asked,
    /// Both have agreed.
    Open,
}

/// The half that the relay reads from the plugin.
#[derive(Debug)]
pub(super) struct Inlet {
    /// None until the duplex is open.
    pub(super) half: Option<HalfKey>,
    /// Whether it is ended towards the plugin, or by it.
    pub(super) over: bool,
    /// Whether the relay is about to end it and takes nothing from it any more.
    pub(super) ending: bool,
    /// Credit that the far plugin gave and that has not been granted to ours.
    pub(super) banked: u64,
    /// What has been promised to our plugin.
    pub(super) account: Account,
    /// What our plugin's messages wait for; counts from when both have agreed.
    pub(super) blame: Blame,
    /// The plugin's close payload, as far as it has come.
    pub(super) close_payload: Vec<u8>,
    /// Pings of the far reader, from before the duplex was open.
    pub(super) early_pings: u32,
    /// What it is to be cancelled with as soon as the duplex is open.
    pub(super) early_cancel: Option<Parcel>,
}

/// The half that the relay writes to the plugin.
#[derive(Debug)]
pub(super) struct Outlet {
    /// None until the duplex is open.
    pub(super) half: Option<HalfKey>,
    /// Whether it is ended towards the plugin, or by it.
    pub(super) over: bool,
    /// What it is to be closed with, as soon as all payload before it is out.
    pub(super) end: Option<Parcel>,
    /// Whether its end waits for credit.
    pub(super) ending: bool,
    /// Whether the shard holds payload for it.
    pub(super) backlogged: bool,
    /// Credit that the plugin gave before the connection was accepted.
    pub(super) banked: u64,
    /// Credit for the plugin's cancel payload that has not been granted.
    pub(super) cancel_banked: u64,
    /// The plugin's cancel payload, as far as it has come.
    pub(super) cancel_payload: Vec<u8>,
    /// Empty messages that are to be written before any payload.
    pub(super) early_empties: u32,
    /// Pings of the far writer, from before the duplex was open.
    pub(super) early_pings: u32,
}

/// One plugin's end of a connection.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) stage: Stage,
    /// Whose the other leg is; empty for a client's.
    pub(super) far_name: Name,
    /// Where the other leg is.
    pub(super) far_port: PortAddr,
    pub(super) far_leg: LegRef,
    /// How messages are turned into the other leg's; known when both have agreed.
    pub(super) rewrite: Option<Rewrite>,
    /// Whether ids have the same width at both ends.
    pub(super) same_width: bool,
    /// The id at the other end, for the leg that is asked.
    pub(super) far_id: u64,
    /// Whether the plugin at the other end is connected by TCP; known when both have agreed.
    pub(super) far_tcp: bool,
    /// Whether our plugin began the connection.
    pub(super) initiator: bool,
    /// Whether the leg stands in the list of those whose credit is to be looked at.
    pub(super) touched: bool,
    pub(super) inlet: Inlet,
    pub(super) outlet: Outlet,
}

impl Leg {
    fn new(stage: Stage, far_name: Name, far_port: PortAddr, far_leg: LegRef, account: Account) -> Self {
        Self {
            stage,
            far_name,
            far_port,
            far_leg,
            rewrite: None,
            same_width: false,
            far_id: 0,
            far_tcp: false,
            initiator: false,
            touched: false,
            inlet: Inlet {
                half: None,
                over: false,
                ending: false,
                banked: 0,
                account,
                blame: Blame::new(0),
                close_payload: Vec::new(),
                early_pings: 0,
                early_cancel: None,
            },
            outlet: Outlet {
                half: None,
                over: false,
                end: None,
                ending: false,
                backlogged: false,
                banked: 0,
                cancel_banked: 0,
                cancel_payload: Vec::new(),
                early_empties: 0,
                early_pings: 0,
            },
        }
    }

    /// The leg of a plugin that asks for a connection to `far`. Its own address finds the other leg.
    pub(super) fn asking(me: LegAddr, far: (Name, PortAddr), account: Account, halves: (HalfKey, HalfKey)) -> Self {
        let mut leg = Self::new(Stage::Waiting, far.0, far.1, LegRef::OfferedBy(me), account);
        leg.initiator = true;
        (leg.inlet.half, leg.outlet.half) = (Some(halves.0), Some(halves.1));
        leg
    }

    /// The leg of a plugin that is asked.
    pub(super) fn asked(offer: Offer, account: Account) -> Self {
        let Offer { from, id, name, version, tcp, asker } = offer;
        let mut leg = Self::new(Stage::Queued { name, version }, asker, from.port, LegRef::At(from.leg), account);
        (leg.far_id, leg.far_tcp) = (id, tcp);
        leg
    }

    /// Both plugins agree; messages of ours get the other leg's id from now on. `now`: on the clock of our plugin.
    pub(super) fn agree(&mut self, my_id: u64, far_id: u64, now: Nanos) {
        self.stage = Stage::Open;
        self.inlet.blame = Blame::new(now);
        self.rewrite = Some(Rewrite::to(far_id));
        self.same_width = varint::len(my_id) == varint::len(far_id);
    }

    /// Whether its plugin has been asked, and its answer may still matter.
    pub(super) fn awaits_answer(&self) -> bool {
        let outlet = &self.outlet;
        self.stage == Stage::Asked && !(outlet.over || outlet.ending || outlet.end.is_some())
    }

    /// Whether nothing more happens on it.
    pub(super) fn is_over(&self) -> bool {
        self.inlet.over && self.outlet.over
    }
}

/// The legs of one port.
#[derive(Debug, Default)]
pub(super) struct Legs {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// For legs that are asked: found by who asks, until that one knows their name.
    offered: HashMap<LegAddr, LegId>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    leg: Option<Box<Leg>>,
}

impl Legs {
    /// The name of the leg that is inserted next.
    pub(super) fn next_id(&self) -> LegId {
        match self.free.last() {
            Some(&slot) => LegId { slot, generation: self.slots[slot as usize].generation },
            None => LegId { slot: self.slots.len() as u32, generation: 0 },
        }
    }

    pub(super) fn insert(&mut self, leg: Leg) -> LegId {
        let id = self.next_id();
        if self.free.pop().is_none() {
            self.slots.push(Slot::default());
        }
        if let (LegRef::At(from), false) = (leg.far_leg, leg.initiator) {
            self.offered.insert(LegAddr { port: leg.far_port, leg: from }, id);
        }
        self.slots[id.slot as usize].leg = Some(Box::new(leg));
        id
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.leg.as_deref_mut()
    }

    pub(super) fn get(&self, id: LegId) -> Option<&Leg> {
        let slot = self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.leg.as_deref()
    }

    pub(super) fn find(&self, leg: LegRef) -> Option<LegId> {
        match leg {
            LegRef::At(id) => Some(id),
            LegRef::OfferedBy(from) => self.offered.get(&from).copied(),
        }
    }

    pub(super) fn remove(&mut self, id: LegId) -> Option<Leg> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        let leg = slot.leg.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        if let (LegRef::At(from), false) = (leg.far_leg, leg.initiator) {
            self.offered.remove(&LegAddr { port: leg.far_port, leg: from });
        }
        Some(*leg)
    }

    /// The memory that they take, in bytes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Slot>() + self.free.capacity() * size_of::<u32>();
        slots + self.len() * size_of::<Leg>() + self.offered.capacity() * 2 * size_of::<(LegAddr, LegId)>()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Those from a slot on.
    pub(super) fn from(&self, slot: u32) -> impl Iterator<Item = (u32, &Leg)> {
        let slots = self.slots.iter().enumerate().skip(slot as usize);
        slots.filter_map(|(index, slot)| Some((index as u32, slot.leg.as_deref()?)))
    }

    pub(super) fn ids(&self) -> Vec<LegId> {
        let ids = self.slots.iter().enumerate().filter(|(_, slot)| slot.leg.is_some());
        ids.map(|(index, slot)| LegId { slot: index as u32, generation: slot.generation }).collect()
    }
}
