//! What the plugin says to the relay itself: registration, queries, watches, connects, and whatever else it tries.

use bpmux::{DuplexKeys, HalfKey, Opened, Piece, What};

use super::super::address::{ConnId, LegAddr};
use super::super::directory::{self, Change};
use super::super::leg::Leg;
use super::super::msg::{ChannelMsg, ChargedBytes, Effect, Offer};
use super::super::name::Name;
use limits::{ENTRY_BYTES_MAX, OPENING_BYTES_MAX, WORK_RULES_PER_UNIT};

use super::{Context, Leaving, Opening, Role, Session, Watch};
use wire::{Connect, end, stats};

impl Session {
    /// Payload that is for the relay.
    pub(super) fn handle_piece(
        &mut self,
        half: HalfKey,
        role: Role,
        piece: Piece,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), Leaving> {
        if half == HalfKey::TOP_READER || half == HalfKey::TOP_WRITER {
            return self.handle_top_level_piece(piece, bytes, cx);
        }
        match (role, piece.what) {
            (Role::Opening(_), What::Opening) => self.handle_opening_piece(half, piece, bytes, cx),
            (Role::Opening(on), What::Message) if piece.total == 0 => self.handle_early_message(on),
            (Role::Opening(on), What::End) if piece.last => self.handle_early_end(half, on),
            (Role::Answering, What::End) if piece.last => self.handle_query_cancelled(half),
            (Role::Watch, What::End) if piece.last => self.watch_no_more(cx),
            (Role::Ending, What::End) if piece.last => self.handle_overtaken_ending(half, cx),
            (Role::Offered(leg), What::Message) if piece.total == 0 => self.handle_early_answer(leg),
            (Role::Offered(leg), What::End) if piece.last => self.handle_early_denial(leg, cx),
            _ => {}
        }
        Ok(())
    }

    fn handle_top_level_piece(&mut self, piece: Piece, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), Leaving> {
        if piece.what == What::End {
            return if piece.last { Err(Leaving::Goodbye) } else { Ok(()) };
        }
        if self.name.is_some() {
            // "A top-level message is ignored", but an empty one is a disconnection.
            return if piece.total == 0 { Err(Leaving::Goodbye) } else { Ok(()) };
        }
        if piece.total == 0 {
            return Err(Leaving::Goodbye);
        }
        if piece.total > ENTRY_BYTES_MAX as u64 {
            return Err(Leaving::NotRegistered("the first top-level message is longer than any entry"));
        }
        self.pending().registration.extend_from_slice(bytes);
        if piece.last { self.register(cx) } else { Ok(()) }
    }

    /// The plugin opens something. What it is is known when its opening payload is there.
    pub(super) fn handle_opened(&mut self, opened: Opened) -> Result<(), Leaving> {
        if self.name.is_none() {
            let refused = self.pending().refused.map(Leaving::Refused);
            let unregistered = Leaving::NotRegistered("something was opened before the registration");
            return Err(refused.unwrap_or(unregistered));
        }
        let half = match opened {
            Opened::Request(half) | Opened::Stream(half) | Opened::Sink(half) => half,
            Opened::Duplex(halves) => halves.writer,
        };
        self.link.set_user(half, Role::Opening(half));
        if let Opened::Duplex(halves) = opened {
            self.link.set_user(halves.reader, Role::Opening(half));
        }
        let opening = Opening { opened, payload: Vec::new(), empties: 0, closed: false };
        self.pending().openings.insert(half, opening);
        Ok(())
    }

    fn handle_opening_piece(&mut self, half: HalfKey, piece: Piece, bytes: &[u8], cx: &mut Context<'_>) {
        let openings = &mut self.pending().openings;
        let Some(opening) = openings.get_mut(&half) else { return };
        // One byte more than what can mean something is enough to know that it means nothing.
        let room = OPENING_BYTES_MAX + 1 - opening.payload.len();
        opening.payload.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if piece.last
            && let Some(opening) = openings.remove(&half)
        {
            self.link.set_user(half, Role::None);
            self.handle_opening(&opening, cx);
        }
    }

    /// An empty message on a duplex whose opening payload is not all there: it needs no credit.
    fn handle_early_message(&mut self, on: HalfKey) {
        if let Some(opening) = self.pending().openings.get_mut(&on) {
            opening.empties = opening.empties.saturating_add(1);
        }
    }

    /// The plugin ended a half of something whose opening payload, on the half `on`, is not all there.
    fn handle_early_end(&mut self, half: HalfKey, on: HalfKey) {
        let openings = &mut self.pending().openings;
        if half != on {
            openings.get_mut(&on).into_iter().for_each(|opening| opening.closed = true);
            return;
        }
        // The very half on which the opening payload was coming: it is given up.
        if let Some(Opening { opened: Opened::Duplex(halves), .. }) = openings.remove(&on) {
            self.link.end(halves.reader, &[]);
        }
    }

    fn handle_opening(&mut self, opening: &Opening, cx: &mut Context<'_>) {
        let payload = &opening.payload;
        match opening.opened {
            Opened::Request(half) if payload.is_empty() => self.handle_query(half, cx),
            Opened::Request(half) if payload.first() == Some(&stats::CODE) => {
                self.handle_stats_query(half, payload, cx)
            }
            Opened::Stream(half) if payload.is_empty() && self.watch.is_none() => {
                self.link.set_user(half, Role::Watch);
                directory::lock(cx.directory).watch(self.me.shard);
                cx.watchers.insert(self.me);
                self.watch = Some(Box::new(Watch::new(half)));
            }
            Opened::Duplex(halves) => match Connect::parse(payload) {
                Some(connect) => self.connect(connect, halves, opening, cx),
                None => self.refuse(halves.reader, halves.writer, &[], cx),
            },
            Opened::Request(half) | Opened::Stream(half) | Opened::Sink(half) => {
                self.link.end(half, &[]);
            }
        }
    }

    /// The plugin does not want to be told any more, or cannot.
    pub(super) fn watch_no_more(&mut self, cx: &mut Context<'_>) {
        if self.watch.take().is_some() {
            cx.watchers.remove(&self.me);
        }
    }

    /// "The server closes and cancels."
    fn refuse(&mut self, reader: HalfKey, writer: HalfKey, payload: &[u8], cx: &mut Context<'_>) {
        self.end_with(writer, ChargedBytes::own(payload), None, cx);
        self.end_with(reader, ChargedBytes::own(payload), None, cx);
    }

    fn connect(&mut self, connect: Connect<'_>, halves: DuplexKeys, opening: &Opening, cx: &mut Context<'_>) {
        let DuplexKeys { reader, writer } = halves;
        let name = Name::new(connect.name);
        let found = directory::lock(cx.directory).find(&name);
        let Some((conn, version)) = found.filter(|(conn, _)| *conn != self.me) else {
            return self.refuse(reader, writer, &[end::NOT_THERE], cx);
        };
        if self.targets.as_ref().is_some_and(|targets| targets.contains_key(&conn)) {
            return self.refuse(reader, writer, &[], cx);
        }
        if connect.version_min.is_some_and(|version_min| version < version_min) {
            return self.refuse(reader, writer, &[end::VERSION], cx);
        }
        self.limiter.charge(cx.settings.caps.rules.len() as u64 / WORK_RULES_PER_UNIT);
        let caps = cx.settings.caps.caps(self.asker().as_bytes(), name.as_bytes());
        let Some(account) = cx.budget.open(caps, self.user) else {
            return self.refuse(reader, writer, &[end::NO_MEMORY], cx);
        };
        let me = LegAddr { conn: self.me, leg: self.legs.next_id() };
        let mut leg = Leg::asking((name, conn), account, (reader, writer));
        // Given with the opening payload, or while it was coming.
        leg.setup().banked = self.link.may_send(writer);
        let id = self.legs.insert(leg);
        *cx.legs += 1;
        self.link.set_user(reader, Role::Inlet(id));
        self.link.set_user(writer, Role::Outlet(id));
        self.targets.get_or_insert_default().insert(conn, id);
        // The opening has come on the half that we write; the other one may be over.
        self.offer(conn, me, self.link.id(writer).unwrap_or_default(), cx);
        let cancel_credit = self.link.may_send(reader);
        if cancel_credit > 0 {
            self.send(id, ChannelMsg::CancelCredit(cancel_credit), cx);
        }
        if opening.empties > 0 {
            self.send(id, ChannelMsg::Empties(opening.empties), cx);
        }
        if opening.closed {
            self.send(id, ChannelMsg::Closed(ChargedBytes::own(&[])), cx);
            self.handle_inlet_over(id, cx);
        }
    }

    fn offer(&self, to: ConnId, from: LegAddr, id: u64, cx: &mut Context<'_>) {
        let asker = self.asker();
        let (name, version) = if cx.settings.anonymous { (Name::new(b""), 0) } else { (asker.clone(), self.version) };
        cx.effects.push(Effect::Offer(to, Offer { from, id, name, version, user: self.user, tcp: self.tcp, asker }));
    }

    /// Others connected or left; a watcher is told.
    pub fn handle_changes(&mut self, changes: &[Change]) {
        if let Some(watch) = &mut self.watch {
            let me = self.name.as_ref();
            changes.iter().filter(|change| Some(&change.name) != me).for_each(|change| watch.note(change));
            watch.advance();
        }
    }
}
