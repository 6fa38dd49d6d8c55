//! A leg, the endpoint of a channel: one plugin's end of it. A channel has two legs, at most one shard each, and they speak in
//! channel messages.
//!
//! Seen from its plugin a leg has two halves: the *inlet*, which the relay reads from the plugin, and the *outlet*, which
//! the relay writes to it. What comes in at the inlet of one leg goes out at the outlet of the other.

use bpmux::{DuplexKeys, HalfKey, Rewrite, varint};

use super::super::address::{ConnId, LegAddr, LegId, LegRef};
use super::super::cap::Account;
use super::super::msg::{ChargedBytes, Offer, Side};
use super::super::name::Name;
use super::super::waits::{Nanos, WaitStates};
use super::state::{InletState, OutletState};

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
    Open(Agreed),
}

/// How messages of our plugin are turned into the other one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    /// What heads get in place of our plugin's id.
    pub(super) rewrite: Rewrite,
    /// Whether ids have the same width at both ends.
    pub(super) same_width: bool,
}

/// What is known of the other leg of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FarLeg {
    /// It has no name yet, or its name has not come.
    Unknown,
    /// Its name, with which it asked. It does not know the name of this leg yet.
    Asker(LegId),
    /// Its name; it knows that of this leg.
    Known(LegId),
}

/// The half that the relay reads from the plugin.
#[derive(Debug)]
pub(super) struct Inlet {
    /// None until the duplex is open.
    pub(super) half: Option<HalfKey>,
    state: InletState,
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
    state: OutletState,
    /// Whether the shard holds payload for it.
    pub(super) backlogged: bool,
    /// Credit for the plugin's cancel payload that has not been granted.
    pub(super) cancel_banked: u64,
}

impl Inlet {
    /// Whether the plugin may write on it.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.state == InletState::Open
    }

    /// Whether its end waits for credit.
    pub(super) fn awaits_credit(&self) -> bool {
        self.state == InletState::AwaitingCredit
    }

    /// Whether it is ended.
    pub(super) fn is_over(&self) -> bool {
        self.state == InletState::Over
    }
}

impl Outlet {
    /// Whether payload for it goes out.
    #[inline]
    pub(super) fn takes_payload(&self) -> bool {
        matches!(self.state, OutletState::Open | OutletState::Closing)
    }

    /// Whether its end waits for credit.
    pub(super) fn awaits_credit(&self) -> bool {
        self.state == OutletState::AwaitingCredit
    }

    /// Whether it is ended.
    pub(super) fn is_over(&self) -> bool {
        self.state == OutletState::Over
    }
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
    /// What the inlet is to be cancelled with: there while it is `Cancelling`.
    cancel: Option<ChargedBytes>,
    /// What the outlet is to be closed with: there while it is `Closing`.
    close: Option<ChargedBytes>,
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
    far_leg: FarLeg,
    /// Whether the plugin at the other end is connected by TCP; known when both have agreed.
    pub(super) far_tcp: bool,
    /// Whether our plugin began the channel.
    pub(super) initiator: bool,
    /// Whether the leg stands in the list of those whose credit is to be looked at.
    pub(super) dirty: bool,
    /// Whether its plugin is known to have sent something.
    pub(super) used: bool,
    pub(super) inlet: Inlet,
    pub(super) outlet: Outlet,
    setup: Option<Box<ChannelSetup>>,
}

impl ChannelSetup {
    /// Pings of the other plugin for one half.
    pub(super) fn pings(&mut self, side: Side) -> &mut u32 {
        match side {
            Side::Inlet => &mut self.inlet_pings,
            Side::Outlet => &mut self.outlet_pings,
        }
    }

    /// The ends that are still to go out.
    pub(super) fn ends(self) -> impl Iterator<Item = ChargedBytes> {
        self.cancel.into_iter().chain(self.close)
    }
}

impl Leg {
    /// What it takes beside itself while it begins or ends, and once its plugin has sent something.
    pub(super) const BYTES_SETUP: usize = size_of::<ChannelSetup>();
    pub(super) const BYTES_USED: usize = Account::BYTES_BESIDE + WaitStates::BYTES_BESIDE;

    fn new(stage: Stage, far_name: Name, far_conn: ConnId, account: Account) -> Self {
        Self {
            stage,
            far_name,
            far_conn,
            far_leg: FarLeg::Unknown,
            far_tcp: false,
            initiator: false,
            dirty: false,
            used: false,
            inlet: Inlet { half: None, state: InletState::Open, banked: 0, account, waits: WaitStates::new(0) },
            outlet: Outlet { half: None, state: OutletState::Open, backlogged: false, cancel_banked: 0 },
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
        (leg.far_leg, leg.far_tcp) = (FarLeg::Asker(from.leg), tcp);
        leg.setup =
            Some(Box::new(ChannelSetup { asker: Some((name, version)), far_id: id, ..ChannelSetup::default() }));
        leg
    }

    /// One of its halves; none before the duplex is open.
    pub(super) fn half(&self, side: Side) -> Option<HalfKey> {
        match side {
            Side::Inlet => self.inlet.half,
            Side::Outlet => self.outlet.half,
        }
    }

    /// How the other leg is found, from this one with this address.
    #[inline]
    pub(super) fn far(&self, me: LegAddr) -> LegRef {
        match self.far_leg {
            FarLeg::Unknown => LegRef::OfferedBy(me),
            FarLeg::Asker(leg) | FarLeg::Known(leg) => LegRef::At(leg),
        }
    }

    /// The other leg is there, and this is its name.
    pub(super) fn bind(&mut self, far: LegId) {
        self.far_leg = FarLeg::Known(far);
    }

    /// Both plugins agree; messages of ours get the other leg's id from now on. `now`: on the clock of our plugin.
    pub(super) fn agree(&mut self, my_id: u64, far_id: u64, now: Nanos) {
        let same_width = varint::len(my_id) == varint::len(far_id);
        self.stage = Stage::Open(Agreed { rewrite: Rewrite::to(far_id), same_width });
        self.inlet.waits = WaitStates::new(now);
        self.setup().far_id = 0;
    }

    /// How messages are turned into the other plugin's, when both have agreed.
    #[inline]
    pub(super) fn agreed(&self) -> Option<&Agreed> {
        match &self.stage {
            Stage::Open(agreed) => Some(agreed),
            Stage::Waiting | Stage::Queued | Stage::Asked | Stage::Mute => None,
        }
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
        self.outlet.state == OutletState::Closing
    }

    /// Whether that is so, and it is.
    #[inline]
    pub(super) fn is_ready_to_close(&self) -> bool {
        self.is_closing() && self.outlet.half.is_some() && !self.outlet.backlogged && self.early_empties() == 0
    }

    /// Whether the inlet is to be cancelled as soon as the duplex is open.
    pub(super) fn is_cancelled(&self) -> bool {
        self.inlet.state == InletState::Cancelling
    }

    /// The outlet is to be closed with this when all payload before it is out. Gives it back if the outlet is ending or over.
    pub(super) fn begin_close(&mut self, charged: ChargedBytes) -> Result<(), ChargedBytes> {
        if self.outlet.state != OutletState::Open {
            return Err(charged);
        }
        self.outlet.state = OutletState::Closing;
        self.setup().close = Some(charged);
        Ok(())
    }

    /// The end of an outlet that is to be closed, and now is: from here on it waits for credit only.
    pub(super) fn take_close(&mut self) -> Option<(HalfKey, ChargedBytes)> {
        let half = self.outlet.half.filter(|_| self.is_closing())?;
        self.outlet.state = OutletState::AwaitingCredit;
        self.setup().close.take().map(|charged| (half, charged))
    }

    /// The outlet is ended; returns the end that was still to go out. Nothing if it was over already.
    pub(super) fn end_outlet(&mut self) -> Option<Option<ChargedBytes>> {
        let before = std::mem::replace(&mut self.outlet.state, OutletState::Over);
        (before != OutletState::Over).then(|| self.setup.as_mut().and_then(|setup| setup.close.take()))
    }

    /// The inlet is to be cancelled with this as soon as the duplex is open. Gives it back if the inlet is ending or over.
    pub(super) fn begin_cancel(&mut self, charged: ChargedBytes) -> Result<(), ChargedBytes> {
        if self.inlet.state != InletState::Open {
            return Err(charged);
        }
        self.inlet.state = InletState::Cancelling;
        self.setup().cancel = Some(charged);
        Ok(())
    }

    /// The end of an inlet that is to be cancelled, if the duplex is open: from here on it waits for credit only.
    pub(super) fn take_cancel(&mut self) -> Option<(HalfKey, ChargedBytes)> {
        let half = self.inlet.half.filter(|_| self.is_cancelled())?;
        self.inlet.state = InletState::AwaitingCredit;
        self.setup().cancel.take().map(|charged| (half, charged))
    }

    /// The inlet is ended. Whether it was not over already.
    pub(super) fn end_inlet(&mut self) -> bool {
        std::mem::replace(&mut self.inlet.state, InletState::Over) != InletState::Over
    }

    /// Whether its plugin has been asked and has not answered: an end is a denial.
    pub(super) fn may_be_denied(&self) -> bool {
        matches!(self.stage, Stage::Asked | Stage::Mute)
    }

    /// Whether nothing more happens on it.
    pub(super) fn is_over(&self) -> bool {
        self.inlet.is_over() && self.outlet.is_over()
    }

    /// Whether its plugin has sent something, and that was not known.
    #[inline]
    pub(super) fn is_newly_used(&self) -> bool {
        !self.used && self.inlet.waits.is_used()
    }

    /// By whom it is found until its name is known.
    pub(super) fn asker(&self) -> Option<LegAddr> {
        match self.far_leg {
            FarLeg::Asker(leg) => Some(LegAddr { conn: self.far_conn, leg }),
            FarLeg::Unknown | FarLeg::Known(_) => None,
        }
    }
}

/// Puts a leg into the list of those whose credit is to be looked at.
#[inline]
pub(super) fn mark_dirty(leg: &mut Leg, id: LegId, dirty: &mut Vec<LegId>) {
    if !leg.dirty {
        leg.dirty = true;
        dirty.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What idle channels are mostly made of, in bytes: what is needed only at times belongs into [`ChannelSetup`].
    const LEG_BYTES_MAX: usize = 224;

    #[test]
    fn legs_are_small() {
        assert!(size_of::<Leg>() <= LEG_BYTES_MAX, "{}", size_of::<Leg>());
    }
}
