//! How a channel comes to be: a plugin asks for it, the other one is offered it and accepts or denies.
//!
//! ```text
//!   asking leg   connect ──Offer──> handle_offer ... offers ... is asked    asked leg
//!                Bound   <──────────────┘                          │
//!                handle_accepted <──Accepted── handle_accept <─────┤  its first empty message
//!                both halves end <──Refused─── handle_denial <─────┘  its end of either half
//! ```

use bpmux::{DuplexKeys, HalfKey, Opened, Over};
use limits::WORK_RULES_PER_UNIT;
use wire::{Connect, end};

use super::super::address::{ConnId, LegAddr, LegId, LegRef};
use super::super::directory;
use super::super::msg::{ChannelMsg, ChargedBytes, Effect, Offer};
use super::super::name::Name;
use super::super::plugin::{PluginContext, Role};
use super::super::requests::Opening;
use super::Channels;
use super::leg::{Leg, Stage};

impl Channels {
    /// The plugin asks for a channel, or for something that means nothing.
    pub(crate) fn handle_duplex(&mut self, opening: &Opening, cx: &mut PluginContext<'_>) {
        let Opened::Duplex(keys) = opening.opened else { return };
        let connected = match Connect::parse(&opening.payload) {
            Some(connect) => self.connect(&connect, keys, opening, cx),
            None => Err(&[][..]),
        };
        // "The server closes and cancels."
        if let Err(payload) = connected {
            cx.end_own(keys.writer, payload);
            cx.end_own(keys.reader, payload);
        }
    }

    /// Makes the leg of the plugin that asks, and an offer for the one that is asked; or tells with what to refuse it.
    fn connect(
        &mut self,
        connect: &Connect<'_>,
        keys: DuplexKeys,
        opening: &Opening,
        cx: &mut PluginContext<'_>,
    ) -> Result<(), &'static [u8]> {
        let DuplexKeys { reader, writer } = keys;
        let name = Name::new(connect.name);
        let found = directory::lock(cx.directory).find(&name);
        let (conn, version) = found.filter(|(conn, _)| *conn != cx.plugin.me).ok_or(&[end::NOT_THERE][..])?;
        if self.targets.as_ref().is_some_and(|targets| targets.contains_key(&conn)) {
            return Err(&[]);
        }
        if connect.version_min.is_some_and(|version_min| version < version_min) {
            return Err(&[end::VERSION]);
        }
        cx.plugin.limiter.charge(cx.settings.caps.rules.len() as u64 / WORK_RULES_PER_UNIT);
        let caps = cx.settings.caps.caps(cx.plugin.asker().as_bytes(), name.as_bytes());
        let account = cx.budget.open(caps, cx.plugin.user).ok_or(&[end::NO_MEMORY][..])?;
        let mut leg = Leg::asking((name, conn), account, (reader, writer));
        // Given with the opening payload, or while it was coming.
        leg.setup().banked = cx.plugin.link.may_send(writer);
        let id = self.insert(leg, cx);
        cx.plugin.link.set_user(reader, Role::Inlet(id));
        cx.plugin.link.set_user(writer, Role::Outlet(id));
        self.targets.get_or_insert_default().insert(conn, id);
        offer(conn, LegAddr { conn: cx.plugin.me, leg: id }, writer, cx);
        self.tell_cancel_credit(id, reader, cx);
        if opening.empties > 0 {
            self.send(id, ChannelMsg::Empties(opening.empties), cx);
        }
        if opening.closed {
            self.send(id, ChannelMsg::Closed(ChargedBytes::own(&[])), cx);
            self.handle_inlet_over(id, cx);
        }
        Ok(())
    }

    /// Tells the other leg of the credit that the plugin has given for a cancel payload before there was a channel.
    pub(super) fn tell_cancel_credit(&mut self, id: LegId, reader: HalfKey, cx: &mut PluginContext<'_>) {
        let cancel_credit = cx.plugin.link.may_send(reader);
        if cancel_credit > 0 {
            self.send(id, ChannelMsg::CancelCredit(cancel_credit), cx);
        }
    }

    /// Another plugin wants to connect to this one.
    pub(crate) fn handle_offer(&mut self, offer: Offer, cx: &mut PluginContext<'_>) {
        let (conn, leg) = (offer.from.conn, LegRef::At(offer.from.leg));
        let caps = cx.settings.caps.caps(cx.plugin.asker().as_bytes(), offer.asker.as_bytes());
        let queued = self.work().offers.len() < cx.settings.offers_max;
        let account = if queued { cx.budget.open(caps, offer.user) } else { None };
        let Some(account) = account else {
            return cx.effects.send(Effect::Leg(conn, leg, ChannelMsg::Refused(end::NO_MEMORY)));
        };
        let id = self.insert(Leg::asked(offer, account), cx);
        cx.effects.send(Effect::Leg(conn, leg, ChannelMsg::Bound(id)));
        self.work().offers.push(cx.now, id);
    }

    /// The plugin has accepted the channel that it was asked for.
    pub(super) fn handle_accept(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        // Both halves have the same one, and either may be over.
        let id_of = |half: Option<HalfKey>| half.and_then(|half| cx.plugin.link.id(half));
        let my_id = id_of(leg.inlet.half).or_else(|| id_of(leg.outlet.half)).unwrap_or_default();
        let far_id = leg.setup().far_id;
        leg.agree(my_id, far_id, self.reading.clock(cx.now));
        self.send(id, ChannelMsg::Accepted { id: my_id, tcp: cx.plugin.tcp }, cx);
        self.pass_banked(id, cx);
    }

    /// The other plugin has accepted; it is spoken to with `far_id`.
    pub(super) fn handle_accepted(&mut self, id: LegId, (far_id, far_tcp): (u64, bool), cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.far_tcp = far_tcp;
        let my_id = leg.inlet.half.and_then(|half| cx.plugin.link.id(half)).unwrap_or_default();
        leg.agree(my_id, far_id, self.reading.clock(cx.now));
        self.handle_empties(id, 1);
        self.pass_banked(id, cx);
    }

    /// The plugin has answered on a half that is ended already, since the other one does not want to hear anything, and did
    /// not know yet.
    pub(crate) fn handle_missed(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        if self.legs.get(id).is_some_and(|leg| leg.stage == Stage::Asked) {
            self.handle_accept(id, cx);
        }
    }

    /// Nothing more comes on the half on which the plugin would answer, which the relay has ended. Is it the plugin's own end
    /// that says so, that was a denial. Else the plugin knows that it has nothing to answer on: credit is how it accepts.
    pub(crate) fn handle_inlet_known_over(&mut self, id: LegId, over: Over, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id).filter(|leg| leg.stage == Stage::Asked) else { return };
        match over {
            Over::Crossed => self.handle_denial(id, cx),
            Over::Acked => {
                leg.stage = Stage::Mute;
                self.accept_by_credit(id, cx);
            }
        }
    }

    /// The same for the half that the relay writes, on which only a denial can come.
    pub(crate) fn handle_outlet_known_over(&mut self, id: LegId, over: Over, cx: &mut PluginContext<'_>) {
        if over == Over::Crossed && self.legs.get(id).is_some_and(Leg::may_be_denied) {
            self.handle_denial(id, cx);
        }
    }

    /// Has a plugin that cannot answer given credit, it wants to read.
    pub(super) fn accept_by_credit(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if leg.stage == Stage::Mute && leg.has_setup().is_some_and(|setup| setup.banked > 0) {
            self.handle_accept(id, cx);
        }
    }

    /// "`b` ends either half before that: a denial. The server ends what is left of it."
    pub(super) fn handle_denial(&mut self, id: LegId, cx: &mut PluginContext<'_>) {
        self.send(id, ChannelMsg::Refused(end::NOT_THERE), cx);
        self.end_silently(id, cx);
    }
}

/// Offers a channel from the leg `from`, whose opening has come on `writer`, to the plugin at `to`.
fn offer(to: ConnId, from: LegAddr, writer: HalfKey, cx: &mut PluginContext<'_>) {
    let asker = cx.plugin.asker();
    let (name, version) = if cx.settings.anonymous { (Name::new(b""), 0) } else { (asker.clone(), cx.plugin.version) };
    // The half that we write is there; the other one may be over.
    let id = cx.plugin.link.id(writer).unwrap_or_default();
    cx.effects
        .send(Effect::Offer(to, Offer { from, id, name, version, user: cx.plugin.user, tcp: cx.plugin.tcp, asker }));
}
