//! The ledger of flow control: every half of one endpoint, by key and by id, and all that is owed to the peer about them.
//!
//! What we may do is written here (open, send, grant, end); what the peer does comes in through [`crate::link`].
//! Chunks without payload are not written when they arise but noted on their half, and written by
//! [`Ledger::flush_owed`] when there is room: a peer that does not read cannot make us hold more than a few words for
//! each half.

use std::collections::VecDeque;

use crate::chunk::{self, Kind};
use crate::half::{EndPayload, Ending, Half, HalfKey, Rare};
use crate::ids::{IdMap, IdPool};
use crate::varint;

/// How much a peer may make an endpoint remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Halves that the peer opened and that are not forgotten: one for a request, a sink or a stream, two for a duplex.
    pub halves_max: u32,
    /// Opening payloads of which the last part has not come.
    pub openings_partial_max: u32,
}

/// Why something cannot be opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Opening payloads spend top-level credit.
    #[error("the peer has not given enough top-level credit for the opening payload")]
    NoCredit,
}

/// The two halves of a duplex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplexKeys {
    /// The half that we write.
    pub writer: HalfKey,
    /// The half that we read.
    pub reader: HalfKey,
}

/// The longest chunk that [`Ledger::flush_owed`] writes, its end payload not counted, in bytes.
const CONTROL_LEN_MAX: usize = 1 + 2 * varint::LEN_MAX;

/// The most pongs written ahead of a response in one go; a bound that nobody is expected to reach.
const PONGS_BEFORE_RESPONSE_MAX: u32 = 8;

/// All halves of one endpoint. `U` is what the user keeps beside each.
#[derive(Clone, Debug)]
pub struct Ledger<U> {
    pub(crate) halves: Vec<Half<U>>,
    /// Slots that can be used again.
    free: Vec<u32>,
    /// For each kind that we send, the slots by id. Requests, sinks and streams, opened by us or by the peer. Boxed, because
    /// many a peer has nothing open.
    ids: Option<Box<[IdMap; 6]>>,
    pool: IdPool,
    /// Halves that owe something, each once.
    owing: VecDeque<u32>,
    /// Halves that the peer opened.
    pub(crate) peer_halves: u32,
    pub(crate) openings_partial: u32,
    pub(crate) limits: Limits,
}

impl<U: Copy + Default> Ledger<U> {
    pub(crate) fn new(limits: Limits) -> Self {
        let top = |kind| Half::new(kind, 0, 0);
        Self {
            halves: vec![top(Kind::InSink), top(Kind::InStream)],
            free: Vec::new(),
            ids: None,
            pool: IdPool::default(),
            owing: VecDeque::new(),
            peer_halves: 0,
            openings_partial: 0,
            limits,
        }
    }

    // Getters.

    #[inline]
    pub(crate) fn half(&self, key: HalfKey) -> Option<&Half<U>> {
        self.halves.get(key.slot as usize).filter(|half| half.generation == key.generation)
    }

    #[inline]
    pub(crate) fn half_mut(&mut self, key: HalfKey) -> Option<&mut Half<U>> {
        self.halves.get_mut(key.slot as usize).filter(|half| half.generation == key.generation)
    }

    #[inline]
    pub(crate) fn key(&self, slot: u32) -> HalfKey {
        HalfKey { slot, generation: self.halves[slot as usize].generation }
    }

    /// Bytes that we may still send on this half; 0 for a half that is gone.
    #[must_use]
    pub fn may_send(&self, key: HalfKey) -> u64 {
        self.half(key).map_or(0, |half| half.may_send.left())
    }

    /// Bytes that the peer may still send on this half; 0 for a half that is gone.
    #[must_use]
    pub fn may_receive(&self, key: HalfKey) -> u64 {
        self.half(key).map_or(0, |half| half.may_receive.left())
    }

    /// Bytes of our message under way that are still to be announced. On a half that we opened and read: of the opening
    /// payload (see [`Ledger::begin_duplex`]).
    #[must_use]
    pub fn outgoing_left(&self, key: HalfKey) -> u64 {
        self.half(key).map_or(0, Half::outgoing_left)
    }

    /// Whether neither end has ended the half.
    #[must_use]
    pub fn is_open(&self, key: HalfKey) -> bool {
        self.half(key).is_some_and(|half| half.ending == Ending::Open)
    }

    /// Whether we have ended the half and not written that yet.
    #[must_use]
    pub fn owes_end(&self, key: HalfKey) -> bool {
        self.half(key).is_some_and(|half| matches!(half.ending, Ending::EndOwed(_)))
    }

    /// The id of a half, as its opener chose it.
    #[must_use]
    pub fn id(&self, key: HalfKey) -> Option<u64> {
        self.half(key).map(|half| half.id)
    }

    /// The kind of the chunks that we send about a half.
    #[must_use]
    pub fn kind(&self, key: HalfKey) -> Option<Kind> {
        self.half(key).map(|half| half.kind)
    }

    /// What the user keeps beside the half.
    #[must_use]
    pub fn user(&self, key: HalfKey) -> Option<U> {
        self.half(key).map(|half| half.user)
    }

    /// Keeps `user` beside the half.
    pub fn set_user(&mut self, key: HalfKey, user: U) {
        if let Some(half) = self.half_mut(key) {
            half.user = user;
        }
    }

    /// Whether some half owes the peer a chunk.
    #[must_use]
    pub fn owes(&self) -> bool {
        !self.owing.is_empty()
    }

    /// Halves of the peer's that are not forgotten.
    #[must_use]
    pub fn peer_halves(&self) -> u32 {
        self.peer_halves
    }

    /// Halves that we opened and that are not forgotten, because the peer has not acknowledged their end, if nothing else.
    #[must_use]
    pub fn own_halves(&self) -> u32 {
        (self.halves.len() - self.free.len() - 2) as u32 - self.peer_halves
    }

    /// The memory that the halves take, in bytes, about; end payloads that are still to be written do not count.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let Self { halves, free, ids, pool, owing, peer_halves: _, openings_partial: _, limits: _ } = self;
        let slots = free.capacity() + owing.capacity();
        let ids: usize = ids.iter().flat_map(|ids| ids.iter()).map(|map| size_of::<IdMap>() + map.memory_bytes()).sum();
        // As if each half had what few of them have.
        let halves = halves.capacity() * size_of::<Half<U>>() + halves.len() * size_of::<Rare>();
        halves + slots * size_of::<u32>() + ids + pool.memory_bytes()
    }

    // Opening and forgetting.

    #[inline]
    pub(crate) fn slot_of(&self, kind: Kind, id: u64) -> Option<u32> {
        self.ids.as_ref()?[kind as usize].get(id)
    }

    pub(crate) fn insert(&mut self, kind: Kind, id: u64) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                let old = &mut self.halves[slot as usize];
                // The slot may still stand in the list of those that owe, where it must not stand twice.
                *old = Half { listed: old.listed, ..Half::new(kind, id, old.generation) };
                slot
            }
            None => {
                if self.halves.len() == self.halves.capacity() {
                    // In smaller steps than a vector's own: a plugin may have very many halves, or two.
                    self.halves.reserve_exact((self.halves.len() / 4).max(2));
                }
                self.halves.push(Half::new(kind, id, 0));
                self.halves.len() as u32 - 1
            }
        };
        self.ids.get_or_insert_default()[kind as usize].insert(id, slot);
        slot
    }

    /// The half is over and its id is free again.
    pub(crate) fn forget(&mut self, slot: u32) {
        let half = &mut self.halves[slot as usize];
        let (kind, id) = (half.kind, half.id);
        self.openings_partial -= u32::from(half.is_opening_partial());
        half.generation = half.generation.wrapping_add(1);
        half.ending = Ending::Open;
        debug_assert!(!half.owes_signals(), "an end and an ack are written after all else");
        half.rare = None;
        self.ids.get_or_insert_default()[kind as usize].remove(id);
        self.free.push(slot);
        self.count_off(kind, id);
    }

    /// The id of a duplex of ours is free when both of its halves are gone.
    fn count_off(&mut self, kind: Kind, id: u64) {
        let ours = matches!(kind, Kind::OutRequest | Kind::OutSink | Kind::OutStream);
        let twin = match kind {
            Kind::OutSink => Kind::OutStream,
            Kind::OutStream => Kind::OutSink,
            Kind::InSink => Kind::InStream,
            Kind::InStream => Kind::InSink,
            _ => kind,
        };
        if ours && self.slot_of(twin, id).is_none() {
            self.pool.give_back(id);
        } else if !ours {
            self.peer_halves -= 1;
        }
    }

    /// Opens a duplex and grants `credit` on the half that we read. The id takes `id_width` bytes (1 to 9) where such
    /// a one is free, else more.
    ///
    /// # Errors
    /// [`OpenError::NoCredit`]; nothing is written then.
    pub fn open_duplex(
        &mut self,
        id_width: usize,
        opening: &[u8],
        credit: u64,
        out: &mut Vec<u8>,
    ) -> Result<DuplexKeys, OpenError> {
        self.begin_duplex(id_width, opening.len() as u64, opening, credit, out)
    }

    /// Opens a duplex with the first bytes of an opening payload of `total` bytes, for which there need be no more credit
    /// yet, and grants `credit` on the half that we read. The rest goes out by [`Ledger::continue_opening`] on that half;
    /// to end that half before gives the opening up.
    ///
    /// # Errors
    /// [`OpenError::NoCredit`]; nothing is written then.
    ///
    /// # Panics
    /// When `part` is longer than `total`, which is the caller's mistake.
    pub fn begin_duplex(
        &mut self,
        id_width: usize,
        total: u64,
        part: &[u8],
        credit: u64,
        out: &mut Vec<u8>,
    ) -> Result<DuplexKeys, OpenError> {
        let left = total.checked_sub(part.len() as u64).expect("a part is no longer than the whole");
        self.spend_on_opening(part)?;
        let id = self.new_id(id_width);
        let (writer, reader) = (self.insert(Kind::OutSink, id), self.insert(Kind::OutStream, id));
        let flags = if credit > 0 { chunk::Flags::CREDIT } else { chunk::Flags::NONE };
        if left > 0 {
            chunk::put_partial(total, out);
        }
        chunk::put_payload_head(Kind::Duplex, flags, id, part.len() as u64, out);
        out.extend_from_slice(part);
        let half = &mut self.halves[reader as usize];
        half.set_outgoing_left(left);
        if credit > 0 {
            varint::put(credit, out);
            half.may_receive.give(credit).expect("a new half holds no credit");
        }
        Ok(DuplexKeys { writer: self.key(writer), reader: self.key(reader) })
    }

    /// Sends more of the opening payload of a duplex, whose reading half this is. Protocol, *Messages*: "that of a duplex is
    /// continued on `Out-Stream`".
    ///
    /// # Errors
    /// [`OpenError::NoCredit`]; nothing is written then.
    ///
    /// # Panics
    /// When the half is not open or the parts add up to more than the total, which are the caller's mistakes.
    pub fn continue_opening(&mut self, key: HalfKey, part: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        self.spend_on_opening(part)?;
        let half = self.half_mut(key).expect("parts go to halves that are there");
        debug_assert_eq!(half.ending, Ending::Open, "parts go to open halves");
        let left = half.outgoing_left().checked_sub(part.len() as u64).expect("parts add up to the total");
        half.set_outgoing_left(left);
        chunk::put_payload_head(half.kind, chunk::Flags::NONE, half.id, part.len() as u64, out);
        out.extend_from_slice(part);
        Ok(())
    }

    /// Opens a request, a sink or a stream (`OutRequest`, `OutSink`, `OutStream`), and grants `credit` on it: for the
    /// response or the messages where we read, for a cancel payload where we write.
    ///
    /// # Errors
    /// [`OpenError::NoCredit`]; nothing is written then.
    pub fn open(&mut self, kind: Kind, opening: &[u8], credit: u64, out: &mut Vec<u8>) -> Result<HalfKey, OpenError> {
        debug_assert!(matches!(kind, Kind::OutRequest | Kind::OutSink | Kind::OutStream));
        self.spend_on_opening(opening)?;
        let id = self.new_id(1);
        let slot = self.insert(kind, id);
        chunk::put_payload_head(kind, chunk::Flags::NONE, id, opening.len() as u64, out);
        out.extend_from_slice(opening);
        let key = self.key(slot);
        self.grant(key, credit);
        Ok(key)
    }

    fn spend_on_opening(&mut self, opening: &[u8]) -> Result<(), OpenError> {
        let top = &mut self.halves[HalfKey::TOP_WRITER.slot as usize];
        top.may_send.spend(opening.len() as u64).map_err(|_| OpenError::NoCredit)
    }

    fn new_id(&mut self, width: usize) -> u64 {
        let ids = self.ids.get_or_insert_default();
        self.pool.take(width, |id| {
            [Kind::OutRequest, Kind::OutSink, Kind::OutStream].iter().any(|&kind| ids[kind as usize].get(id).is_some())
        })
    }

    // What we say.

    /// Lets the peer write `amount` more bytes. A grant on a half that is ended or gone is dropped.
    ///
    /// # Panics
    /// When the sum passes 2^64-1, which is the caller's mistake.
    pub fn grant(&mut self, key: HalfKey, amount: u64) {
        self.owe(key, |half| {
            half.may_receive.give(amount).expect("our own grants stay below 2^64");
            half.owed_credit += amount;
        });
    }

    /// Asks for a pong.
    pub fn ping(&mut self, key: HalfKey) {
        self.pings(key, 1);
    }

    /// Asks for `count` pongs.
    pub fn pings(&mut self, key: HalfKey, count: u32) {
        self.owe(key, |half| half.set_owed_pings(half.owed_pings().saturating_add(count)));
    }

    /// Answers a ping. On a half that the peer has ended, too, as long as the ack is not written: the ping may have come
    /// with the response.
    pub fn pong(&mut self, key: HalfKey) {
        if let Some(half) = self.half_mut(key).filter(|half| !half.is_deaf() && half.ending != Ending::Over) {
            half.set_owed_pongs(half.owed_pongs().saturating_add(1));
            self.list(key.slot);
        }
    }

    /// Ends our side: closes where we write, cancels where we read, declines a request. A message of ours that is
    /// under way is given up, and so is an opening. From now on what arrives on this half is dropped, until
    /// [`crate::Event::Over`] says that the peer knows.
    ///
    /// Returns false, and does nothing, when `payload` is longer than what the peer lets us send. Ending a half that
    /// is ended already does nothing and returns true.
    pub fn end(&mut self, key: HalfKey, payload: &[u8]) -> bool {
        let Some(half) = self.half_mut(key) else { return true };
        if half.ending != Ending::Open {
            return true;
        }
        if half.may_send.spend(payload.len() as u64).is_err() {
            return false;
        }
        half.owe_end(payload);
        self.list(key.slot);
        true
    }

    /// The last words of a connection that we end: the top-level close, if there is credit for `reason`, and nothing else.
    pub fn farewell(&mut self, reason: &[u8]) {
        self.owe_nothing();
        self.end(HalfKey::TOP_WRITER, reason);
        if self.halves[HalfKey::TOP_WRITER.slot as usize].owes() {
            // It had been ended before, and not been written.
            self.list(HalfKey::TOP_WRITER.slot);
        }
    }

    /// Nothing is said any more of what is owed to the peer now.
    pub fn owe_nothing(&mut self) {
        for slot in std::mem::take(&mut self.owing) {
            let half = &mut self.halves[slot as usize];
            half.listed = false;
            half.owe_nothing();
        }
    }

    /// Writes the head of the next `len` bytes of our message of `total` bytes, whose payload the caller appends. The
    /// first part announces the total; a message in one part is a plain chunk. Before the last part of a response come
    /// the pongs that are owed, a few at most: nothing may follow it.
    ///
    /// # Panics
    /// When the half is not open, when the credit is not there or the parts add up to more than the total, which are
    /// the caller's mistakes.
    pub fn put_part(&mut self, key: HalfKey, total: u64, len: u64, out: &mut Vec<u8>) {
        let half = self.half_mut(key).expect("parts go to halves that are there");
        debug_assert_eq!(half.ending, Ending::Open, "parts go to open halves");
        half.may_send.spend(len).expect("parts are sent against credit");
        let under_way = half.outgoing_left();
        if under_way == 0 && len < total {
            chunk::put_partial(total, out);
        }
        let left = if under_way == 0 { total } else { under_way };
        let left = left.checked_sub(len).expect("parts add up to the total");
        half.set_outgoing_left(left);
        let (kind, id) = (half.kind, half.id);
        if left == 0 && kind == Kind::InRequest {
            // "A complete response counts as the responder's end."
            for _ in 0..half.owed_pongs().min(PONGS_BEFORE_RESPONSE_MAX) {
                chunk::put_control(kind, false, 0, id, out);
            }
            half.ending = Ending::EndSent;
            half.owe_nothing();
        }
        chunk::put_payload_head(kind, chunk::Flags::NONE, id, len, out);
    }

    /// Accounts for whole messages that went out by another way, as bytes that a [`crate::Run`] has rewritten.
    ///
    /// # Panics
    /// When the credit is not there, which is the caller's mistake.
    pub fn spend_on_run(&mut self, key: HalfKey, payload_bytes: u64) {
        let half = self.half_mut(key).expect("runs go to halves that are there");
        half.may_send.spend(payload_bytes).expect("runs are sent against credit");
    }

    /// Accounts for parts of messages that went out by another way, with heads of their own ([`crate::Rewrite::put_head`]):
    /// `left` bytes of the last message are still to follow.
    ///
    /// # Panics
    /// When the credit is not there, which is the caller's mistake.
    pub fn spend_on_parts(&mut self, key: HalfKey, payload_bytes: u64, left: u64) {
        let half = self.half_mut(key).expect("parts go to halves that are there");
        half.may_send.spend(payload_bytes).expect("parts are sent against credit");
        half.set_outgoing_left(left);
    }

    /// Notes something on an open half and puts it into the list.
    fn owe(&mut self, key: HalfKey, note: impl FnOnce(&mut Half<U>)) {
        if let Some(half) = self.half_mut(key).filter(|half| half.ending == Ending::Open) {
            note(half);
            if half.owes() {
                self.list(key.slot);
            }
        }
    }

    pub(crate) fn list(&mut self, slot: u32) {
        let half = &mut self.halves[slot as usize];
        if !half.listed {
            half.listed = true;
            self.owing.push_back(slot);
        }
    }

    // What is owed.

    /// Writes what is owed while `out` is shorter than `len_max`; returns whether something is still owed.
    ///
    /// It may pass `len_max` by one end payload, which the peer has given credit for.
    pub fn flush_owed(&mut self, out: &mut Vec<u8>, len_max: usize) -> bool {
        while let Some(&slot) = self.owing.front() {
            if out.len() + CONTROL_LEN_MAX > len_max {
                return true;
            }
            self.put_owed(slot, out);
            self.owing.pop_front();
            let half = &mut self.halves[slot as usize];
            half.listed = half.owes();
            if half.listed {
                // One chunk a turn: a half that owes many pongs does not keep the others waiting.
                self.owing.push_back(slot);
            }
        }
        false
    }

    /// Writes one chunk of what the half owes: credit and a ping together, then pongs, then the end or the ack.
    fn put_owed(&mut self, slot: u32, out: &mut Vec<u8>) {
        let half = &mut self.halves[slot as usize];
        let (kind, id) = (half.kind, half.id);
        let (pings, pongs) = (half.owed_pings(), half.owed_pongs());
        if half.owed_credit > 0 || pings > 0 {
            chunk::put_control(kind, pings > 0, half.owed_credit, id, out);
            half.owed_credit = 0;
            half.set_owed_pings(pings.saturating_sub(1));
        } else if pongs > 0 {
            chunk::put_control(kind, false, 0, id, out);
            half.set_owed_pongs(pongs - 1);
        } else if let Ending::EndOwed(payload) = half.ending {
            match payload {
                EndPayload::Empty => chunk::put_end(kind, id, &[], out),
                EndPayload::Byte(byte) => chunk::put_end(kind, id, &[byte], out),
                EndPayload::Bytes => chunk::put_end(kind, id, &half.take_end_payload(), out),
            }
            half.ending = Ending::EndSent;
        } else if matches!(half.ending, Ending::AckOwed { .. }) {
            chunk::put_ack_end(kind, id, out);
            self.forget(slot);
        }
    }
}
