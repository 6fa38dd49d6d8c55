//! A leg: one plugin's end of a channel through the relay. A channel has two, at most one shard each, and they
//! speak in channel messages.
//!
//! Seen from its plugin a leg has two halves: the *inlet*, which the relay reads from the plugin, and the *outlet*, which
//! the relay writes to it. What comes in at the inlet of one leg goes out at the outlet of the other.

use std::collections::HashMap;

use bpmux::{DuplexKeys, HalfKey, Rewrite, varint};

use super::address::{ConnId, LegAddr, LegId, LegRef};
use super::cap::Account;
use super::command::Name;
use super::msg::{ChargedBytes, Offer};
use super::waits::{Nanos, WaitStates};

/// How far the channel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Our plugin has asked; the other one has not answered.
    Waiting,
    /// Our plugin is to be asked, when it has given the top-level credit for it.
    Queued,
    /// Our plugin has been asked and has not answered.
    Asked,
    /// The same, and it knows that the half on which it would answer is over, since the other one does not want to read.
    Mute,
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
    pub(super) waits: WaitStates,
}

/// The half that the relay writes to the plugin.
#[derive(Debug)]
pub(super) struct Outlet {
    /// None until the duplex is open.
    pub(super) half: Option<HalfKey>,
    /// Whether it is ended towards the plugin, or by it.
    pub(super) over: bool,
    /// Whether its end waits for credit.
    pub(super) ending: bool,
    /// Whether the shard holds payload for it.
    pub(super) backlogged: bool,
    /// Credit for the plugin's cancel payload that has not been granted.
    pub(super) cancel_banked: u64,
}

/// What a leg needs only while the channel begins or ends.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ChannelSetup {
    /// Who asks, as the plugin is to be told, and its version.
    pub(super) asker: Option<(Name, u16)>,
    /// The duplex by which its plugin is being asked, as long as parts of the opening payload are missing.
    pub(super) asking: Option<DuplexKeys>,
    /// Empty messages of its plugin that came before it was all there: the first one accepts.
    pub(super) answers: u32,
    /// The id at the other end, for the leg that is asked.
    pub(super) far_id: u64,
    /// Credit that the plugin gave before the channel was accepted.
    pub(super) banked: u64,
    /// Pings of the far reader and of the far writer, from before the duplex was open.
    pub(super) inlet_pings: u32,
    pub(super) outlet_pings: u32,
    /// Empty messages that are to be written before any payload.
    pub(super) empties: u32,
    /// What the inlet is to be cancelled with as soon as the duplex is open.
    pub(super) cancel: Option<ChargedBytes>,
    /// What the outlet is to be closed with, as soon as all payload before it is out.
    pub(super) close: Option<ChargedBytes>,
    /// The plugin's close payload and its cancel payload, as far as they have come.
    pub(super) close_payload: Vec<u8>,
    pub(super) cancel_payload: Vec<u8>,
}

/// One plugin's end of a channel.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) stage: Stage,
    /// Whose the other leg is; empty for a client's.
    pub(super) far_name: Name,
    /// Where the other leg is.
    pub(super) far_conn: ConnId,
    /// Its name there, once it is known.
    pub(super) far_leg: Option<LegId>,
    /// Whether the other leg does not know this one by name.
    nameless: bool,
    /// How messages are turned into the other leg's; known when both have agreed.
    pub(super) rewrite: Option<Rewrite>,
    /// Whether ids have the same width at both ends.
    pub(super) same_width: bool,
    /// Whether the plugin at the other end is connected by TCP; known when both have agreed.
    pub(super) far_tcp: bool,
    /// Whether our plugin began the channel.
    pub(super) initiator: bool,
    /// Whether the leg stands in the list of those whose credit is to be looked at.
    pub(super) dirty: bool,
    /// Whether its plugin is known to have sent something.
    used: bool,
    pub(super) inlet: Inlet,
    pub(super) outlet: Outlet,
    setup: Option<Box<ChannelSetup>>,
}

impl Leg {
    /// What it takes beside itself while it begins or ends, and once its plugin has sent something.
    const BYTES_PASSING: usize = size_of::<ChannelSetup>();
    const BYTES_USED: usize = Account::BYTES_BESIDE + WaitStates::BYTES_BESIDE;

    fn new(stage: Stage, far_name: Name, far_conn: ConnId, account: Account) -> Self {
        Self {
            stage,
            far_name,
            far_conn,
            far_leg: None,
            nameless: false,
            rewrite: None,
            same_width: false,
            far_tcp: false,
            initiator: false,
            dirty: false,
            used: false,
            inlet: Inlet { half: None, over: false, ending: false, banked: 0, account, waits: WaitStates::new(0) },
            outlet: Outlet { half: None, over: false, ending: false, backlogged: false, cancel_banked: 0 },
            setup: None,
        }
    }

    /// The leg of a plugin that asks for a channel to `far`.
    pub(super) fn asking(far: (Name, ConnId), account: Account, halves: (HalfKey, HalfKey)) -> Self {
        let mut leg = Self::new(Stage::Waiting, far.0, far.1, account);
        leg.initiator = true;
        (leg.inlet.half, leg.outlet.half) = (Some(halves.0), Some(halves.1));
        leg
    }

    /// The leg of a plugin that is asked.
    pub(super) fn asked(offer: Offer, account: Account) -> Self {
        let Offer { from, id, name, version, tcp, asker, .. } = offer;
        let mut leg = Self::new(Stage::Queued, asker, from.conn, account);
        (leg.far_leg, leg.nameless, leg.far_tcp) = (Some(from.leg), true, tcp);
        leg.setup =
            Some(Box::new(ChannelSetup { asker: Some((name, version)), far_id: id, ..ChannelSetup::default() }));
        leg
    }

    /// How the other leg is found, from this one with this address.
    #[inline]
    pub(super) fn far(&self, me: LegAddr) -> LegRef {
        self.far_leg.map_or(LegRef::OfferedBy(me), LegRef::At)
    }

    /// Both plugins agree; messages of ours get the other leg's id from now on. `now`: on the clock of our plugin.
    pub(super) fn agree(&mut self, my_id: u64, far_id: u64, now: Nanos) {
        self.stage = Stage::Open;
        self.inlet.waits = WaitStates::new(now);
        self.rewrite = Some(Rewrite::to(far_id));
        self.same_width = varint::len(my_id) == varint::len(far_id);
        self.setup().far_id = 0;
    }

    /// What there is only while the channel begins or ends.
    pub(super) fn setup(&mut self) -> &mut ChannelSetup {
        self.setup.get_or_insert_default()
    }

    /// The same, if there is anything of it.
    #[inline]
    pub(super) fn has_setup(&self) -> Option<&ChannelSetup> {
        self.setup.as_deref()
    }

    /// Gives the memory of it back when there is nothing of it any more.
    #[inline]
    pub(super) fn settle_setup(&mut self) {
        self.setup.take_if(|setup| **setup == ChannelSetup::default());
    }

    /// Empty messages that are to be written before any payload.
    #[inline]
    pub(super) fn early_empties(&self) -> u32 {
        self.setup.as_ref().map_or(0, |setup| setup.empties)
    }

    /// Whether the outlet is to be closed when all payload before it is out.
    pub(super) fn is_closing(&self) -> bool {
        self.has_setup().is_some_and(|setup| setup.close.is_some())
    }

    /// Whether that is so, and it is.
    #[inline]
    pub(super) fn is_ready_to_close(&self) -> bool {
        self.is_closing() && self.outlet.half.is_some() && !self.outlet.backlogged && self.early_empties() == 0
    }

    /// Whether the inlet is to be cancelled as soon as the duplex is open.
    pub(super) fn is_cancelled(&self) -> bool {
        self.has_setup().is_some_and(|setup| setup.cancel.is_some())
    }

    /// Whether its plugin has been asked and has not answered: an end is a denial.
    pub(super) fn may_be_denied(&self) -> bool {
        matches!(self.stage, Stage::Asked | Stage::Mute)
    }

    /// Whether nothing more happens on it.
    pub(super) fn is_over(&self) -> bool {
        self.inlet.over && self.outlet.over
    }

    /// Whether its plugin has sent something, and that was not known.
    #[inline]
    pub(super) fn is_newly_used(&self) -> bool {
        !self.used && self.inlet.waits.is_used()
    }

    /// By whom it is found until its name is known.
    fn asker(&self) -> Option<LegAddr> {
        self.far_leg.filter(|_| self.nameless).map(|leg| LegAddr { conn: self.far_conn, leg })
    }
}

/// The legs of one connection.
#[derive(Debug, Default)]
pub(super) struct Legs {
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
    pub(super) fn next_id(&self) -> LegId {
        match self.free.last() {
            Some(&slot) => LegId { slot, generation: self.slots[slot as usize].generation },
            None => LegId { slot: self.slots.len() as u32, generation: 0 },
        }
    }

    pub(super) fn insert(&mut self, leg: Leg) -> LegId {
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
    pub(super) fn is_known(&mut self, id: LegId) {
        let Some(leg) = self.get_mut(id) else { return };
        if let Some(asker) = leg.asker() {
            leg.nameless = false;
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
    pub(super) fn memory_bytes(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Slot>() + self.free.capacity() * size_of::<u32>();
        let offered = self.offered.as_ref().map_or(0, |offered| offered.capacity());
        let legs = self.len() * (size_of::<Leg>() + Leg::BYTES_PASSING) + self.used * Leg::BYTES_USED;
        slots + legs + offered * 2 * size_of::<(LegAddr, LegId)>()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slots from one on, and the legs in those that are taken.
    pub(super) fn slots_from(&self, slot: u32) -> impl Iterator<Item = (u32, Option<&Leg>)> {
        let slots = self.slots.iter().enumerate().skip(slot as usize);
        slots.map(|(index, slot)| (index as u32, slot.leg.as_deref()))
    }

    pub(super) fn ids(&self) -> Vec<LegId> {
        let ids = self.slots.iter().enumerate().filter(|(_, slot)| slot.leg.is_some());
        ids.map(|(index, slot)| LegId { slot: index as u32, generation: slot.generation }).collect()
    }
}
