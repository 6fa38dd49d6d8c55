//! One connection to the bus, as a plugin has it: a link, the ends of its channels, and what it says at the beginning and
//! at the end. The engine carries its bytes.

use std::collections::VecDeque;
use std::mem;

use bpmux::{DuplexKeys, Event, HalfKey, Kind, Limits, Link, Opened, Piece, What};
use engine::batch::Batch;
use engine::driver::Token;
use slab::Slab;
use wire::{Connect, Entry};

use super::Time;
use super::end::{End, State, Turn};
use super::presence::Watching;
use super::topology::ChannelSpec;
use super::world::World;
use super::writer::SEND_BYTES;
use crate::error::Error;

/// Bytes that the relay may send on a channel before we give more.
const WINDOW_BYTES: u64 = 16 << 20;

/// Bytes that the relay may send on the top level: openings of channels, hundreds of thousands at once, and why it ends a
/// connection.
const TOP_WINDOW_BYTES: u64 = 16 << 20;

/// Bytes of control chunks in one send.
const CONTROL_BYTES_MAX: usize = 16 << 10;

/// What the relay may open; it opens a duplex for each channel that somebody opens to us.
const LIMITS: Limits = Limits { halves_max: u32::MAX, openings_partial_max: 64 };

/// Nobody's half, as the user of a half.
const NOBODY: u32 = 0;

/// The users of halves count from 1.
fn user_of(end: usize) -> u32 {
    end as u32 + 1
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Has not said who it is: there is no credit for that yet.
    Nameless,
    /// The relay has not confirmed that it has read that.
    Registering,
    Ready,
    /// Has said its last word.
    Leaving,
}

/// A connection that is registered as a plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) number: u32,
    pub(crate) token: Token,
    pub(crate) stage: Stage,
    pub(crate) name: String,
    /// What it says it is, beside its name.
    pub(crate) version: u16,
    link: Link<u32>,
    /// There is no relay.
    direct: bool,
    /// It opens its channels without waiting for the relay to have read its name.
    pub(crate) hasty: bool,
    /// Channels that are still to be opened.
    to_open: VecDeque<ChannelSpec>,
    /// Ends that wait for their turn.
    ready: VecDeque<u32>,
    /// Channels that are not over, those to come included.
    pub(crate) channels_left: u32,
    /// Its ends that are there.
    pub(crate) ends: Vec<u32>,
    /// Openings of the relay's that are still incomplete.
    offers: Vec<(DuplexKeys, Vec<u8>)>,
    /// Whether it should leave when it has nothing more to say.
    pub(crate) leaves: bool,
    /// Whether it does not read at present.
    pub(crate) deaf: bool,
    /// Whether a receive is under way.
    pub(crate) receiving: bool,
    /// Whether a send is under way.
    pub(crate) sending: bool,
    /// Whether it stands in the list of those who may have something to send.
    pub(crate) dirty: bool,
    /// When its cycle was meant to begin, if it comes and goes.
    pub(crate) begun: Time,
    /// What it sees of others that come and go.
    pub(crate) watching: Option<Watching>,
    /// What the relay says when it ends the connection.
    farewell: Vec<u8>,
}

impl Plugin {
    /// A connection on which nothing has been said; `expected` channels will be opened to it.
    pub(crate) fn new(number: u32, token: Token, name: String, to_open: Vec<ChannelSpec>, expected: u32) -> Self {
        let mut link = Link::new(LIMITS);
        link.grant(HalfKey::TOP_READER, TOP_WINDOW_BYTES);
        Self {
            number,
            token,
            stage: Stage::Nameless,
            name,
            version: 1,
            link,
            direct: false,
            hasty: false,
            channels_left: to_open.len() as u32 + expected,
            to_open: to_open.into(),
            ready: VecDeque::new(),
            ends: Vec::new(),
            offers: Vec::new(),
            leaves: false,
            deaf: false,
            receiving: false,
            sending: false,
            dirty: false,
            begun: 0,
            watching: None,
            farewell: Vec::new(),
        }
    }

    /// One that talks to the other end of its socket without a relay between them.
    pub(crate) fn directly(mut self) -> Self {
        self.direct = true;
        self.stage = Stage::Ready;
        self
    }

    /// Gives an end its turn with the next send.
    pub(crate) fn queue(&mut self, end: u32, ends: &mut Slab<End>) {
        let state = &mut ends[end as usize];
        if !mem::replace(&mut state.queued, true) {
            self.ready.push_back(end);
        }
    }

    /// Gives all of its ends their turn.
    pub(crate) fn queue_all(&mut self, ends: &mut Slab<End>) {
        for index in 0..self.ends.len() {
            self.queue(self.ends[index], ends);
        }
    }

    /// Tells the relay that it is alive.
    pub(crate) fn ping(&mut self) {
        self.link.ping(HalfKey::TOP_WRITER);
    }

    // Writing.

    /// Fills a send with what there is to say.
    pub(crate) fn fill(&mut self, out: &mut Batch, world: &mut World) {
        self.register(out);
        self.link.flush_owed(out.staged(), CONTROL_BYTES_MAX);
        if self.stage != Stage::Ready {
            return;
        }
        if world.moment.opens {
            self.open(out, world);
            self.watch(out);
        }
        for _ in 0..self.ready.len() {
            if out.len() >= SEND_BYTES {
                return;
            }
            self.turn(out, world);
        }
        if self.link.flush_owed(out.staged(), SEND_BYTES + CONTROL_BYTES_MAX) {
            return;
        }
        if self.leaves && self.ready.is_empty() {
            self.link.put_part(HalfKey::TOP_WRITER, 0, 0, out.staged());
            self.stage = Stage::Leaving;
        }
    }

    /// Whether it has more to say as soon as it can.
    pub(crate) fn has_more(&self) -> bool {
        !self.ready.is_empty() || self.link.owes()
    }

    fn register(&mut self, out: &mut Batch) {
        let entry = self.entry();
        if self.stage == Stage::Nameless && self.link.may_send(HalfKey::TOP_WRITER) >= entry.len() as u64 {
            let len = entry.len() as u64;
            self.link.put_part(HalfKey::TOP_WRITER, len, len, out.staged());
            out.put(&entry);
            self.stage = if self.hasty { Stage::Ready } else { Stage::Registering };
            if !self.hasty {
                // The answer says that the relay has read as far.
                self.ping();
            }
        }
    }

    /// As what it registers.
    fn entry(&self) -> Vec<u8> {
        Entry { name: self.name.as_bytes(), version: self.version }.to_bytes()
    }

    /// Opens channels as far as the top-level credit goes.
    fn open(&mut self, out: &mut Batch, world: &mut World) {
        while let Some(&channel) = self.to_open.front() {
            let opening = if self.direct {
                [&[Connect::CODE][..], &self.entry()].concat()
            } else {
                let name = world.topology.name(channel.acceptor);
                Connect { name: name.as_bytes(), version_min: None }.to_bytes()
            };
            match self.link.open_duplex(1, &opening, WINDOW_BYTES, out.staged()) {
                Ok(keys) => {
                    self.to_open.pop_front();
                    self.add_end(channel, keys, true, world);
                }
                // More will come.
                Err(_) => return,
            }
        }
    }

    fn add_end(&mut self, channel: ChannelSpec, keys: DuplexKeys, opens: bool, world: &mut World) -> u32 {
        let seed = world.flows[usize::from(channel.flow)].spec.seed;
        let id = self.link.id(keys.reader).expect("the channel is new");
        let end = End::new(channel.flow, channel.channel, seed, keys, id, opens);
        let end = world.ends.insert(if self.direct { end.directly() } else { end });
        self.link.set_user(keys.writer, user_of(end));
        self.link.set_user(keys.reader, user_of(end));
        self.ends.push(end as u32);
        end as u32
    }

    /// Lets the next end write.
    fn turn(&mut self, out: &mut Batch, world: &mut World) {
        let Some(number) = self.ready.pop_front() else { return };
        let end = &mut world.ends[number as usize];
        end.queued = false;
        let flow = &mut world.flows[usize::from(end.flow)];
        match end.turn(&mut self.link, out, &mut world.copies, flow, &world.moment) {
            Turn::WantsMore => {
                end.queued = true;
                self.ready.push_back(number);
            }
            Turn::Done => self.over(number, world),
            Turn::Rests => {}
        }
    }

    /// Both directions of a channel are over: nothing more is heard of it.
    fn over(&mut self, number: u32, world: &mut World) {
        self.channels_left -= 1;
        if world.flows[usize::from(world.ends[number as usize].flow)].spec.is_transient() {
            self.ready.retain(|&ready| ready != number);
            self.ends.retain(|&end| end != number);
            world.ends.remove(number as usize);
        }
    }

    // Reading.

    /// Reads what has come.
    pub(crate) fn read(&mut self, mut input: &mut [u8], world: &mut World) -> Result<(), Error> {
        loop {
            if let Some((key, user)) = self.link.run_at(input)
                && user != NOBODY
                && world.ends[user as usize - 1].state == State::Open
            {
                let run = self.link.take_run(key, input, None);
                if run.messages > 0 {
                    let (bytes, rest) = mem::take(&mut input).split_at_mut(run.bytes);
                    input = rest;
                    let end = &mut world.ends[user as usize - 1];
                    let flow = &mut world.flows[usize::from(end.flow)];
                    end.read_run(bytes, run.messages, run.payload_bytes, flow, world.moment.now);
                    let reacts = end.reacts(flow);
                    self.after_reading(key, user - 1, reacts, &mut world.ends);
                    continue;
                }
            }
            let step = self.link.next(input).map_err(|source| Error::Protocol { plugin: self.name.clone(), source })?;
            let (bytes, rest) = mem::take(&mut input).split_at_mut(step.used);
            input = rest;
            match step.event {
                None => return Ok(()),
                Some(event) => self.event(event, bytes, world)?,
            }
        }
    }

    fn event(&mut self, event: Event<u32>, bytes: &[u8], world: &mut World) -> Result<(), Error> {
        match event {
            Event::Ping(key, _) => self.link.pong(key),
            Event::Pong(HalfKey::TOP_WRITER, _) if self.stage == Stage::Registering => self.stage = Stage::Ready,
            Event::Opened(Opened::Duplex(keys)) => self.offers.push((keys, Vec::new())),
            Event::Credit(_, user, _) if user != NOBODY => self.queue(user - 1, &mut world.ends),
            Event::Piece(key, user, piece) => {
                let bytes = &bytes[bytes.len() - piece.len..];
                match user {
                    _ if key == HalfKey::TOP_READER => self.farewell.extend_from_slice(bytes),
                    NOBODY if piece.what == What::Opening => self.offered(key, piece, bytes, world)?,
                    NOBODY => self.watched(key, piece, bytes, world)?,
                    user => self.piece(key, user - 1, piece, bytes, world)?,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn piece(&mut self, key: HalfKey, number: u32, piece: Piece, bytes: &[u8], world: &mut World) -> Result<(), Error> {
        let end = &mut world.ends[number as usize];
        let flow = &mut world.flows[usize::from(end.flow)];
        if key != end.keys.reader || (end.state == State::Opening && piece.what == What::End) {
            return if piece.last { Err(self.ended_early(bytes)) } else { Ok(()) };
        }
        if end.state == State::Opening {
            // The other plugin accepts.
            end.state = State::Open;
            world.opened += 1;
            self.queue(number, &mut world.ends);
            return Ok(());
        }
        match piece.what {
            What::End => match end.read_end(&piece, bytes, flow) {
                Some(Turn::Done) => {
                    self.over(number, world);
                    return Ok(());
                }
                Some(_) => {}
                None => return Err(self.ended_early(bytes)),
            },
            _ => end.read_piece(&piece, bytes, flow, world.moment.now),
        }
        let reacts = end.reacts(flow);
        self.after_reading(key, number, reacts, &mut world.ends);
        Ok(())
    }

    /// Gives back what the relay has spent on a half, once that is half of the window.
    #[inline]
    fn give_back(&mut self, key: HalfKey, window_bytes: u64) {
        let left = self.link.may_receive(key);
        if left < window_bytes / 2 {
            self.link.grant(key, window_bytes - left);
        }
    }

    /// Gives back credit for what was read, and lets the end react.
    #[inline]
    fn after_reading(&mut self, key: HalfKey, end: u32, reacts: bool, ends: &mut Slab<End>) {
        self.give_back(key, WINDOW_BYTES);
        if reacts {
            self.queue(end, ends);
        }
    }

    /// Somebody opens a channel to us.
    fn offered(&mut self, key: HalfKey, piece: Piece, bytes: &[u8], world: &mut World) -> Result<(), Error> {
        let Some(index) = self.offers.iter().position(|(keys, _)| keys.writer == key) else { return Ok(()) };
        self.offers[index].1.extend_from_slice(bytes);
        if !piece.last {
            return Ok(());
        }
        let (keys, opening) = self.offers.swap_remove(index);
        self.give_back(HalfKey::TOP_READER, TOP_WINDOW_BYTES);
        let known = opener_in(&opening).and_then(|name| world.topology.number(name));
        let channel = known.and_then(|opener| world.topology.channel(opener, self.number));
        let Some(channel) = channel else {
            return Err(Error::UnexpectedOpening { plugin: self.name.clone() });
        };
        self.link.grant(keys.reader, WINDOW_BYTES);
        self.channels_left += u32::from(world.flows[usize::from(channel.flow)].spec.is_transient());
        let end = self.add_end(channel, keys, false, world);
        self.queue(end, &mut world.ends);
        Ok(())
    }

    /// Asks to be told who comes and goes.
    fn watch(&mut self, out: &mut Batch) {
        if let Some(watching) = &mut self.watching
            && watching.half.is_none()
        {
            watching.half = self.link.open(Kind::OutStream, &[], WINDOW_BYTES, out.staged()).ok();
        }
    }

    fn watched(&mut self, key: HalfKey, piece: Piece, bytes: &[u8], world: &mut World) -> Result<(), Error> {
        let Some(watching) = self.watching.as_mut().filter(|watching| watching.half == Some(key)) else {
            return Ok(());
        };
        if piece.what == What::End {
            return Err(self.ended_early(bytes));
        }
        let begun = watching.has_begun();
        watching.read(bytes, piece.last, world);
        world.opened += u64::from(watching.has_begun() && !begun);
        self.give_back(key, WINDOW_BYTES);
        Ok(())
    }

    // Errors.

    fn ended_early(&self, payload: &[u8]) -> Error {
        Error::ChannelEnded { plugin: self.name.clone(), code: payload.first().copied() }
    }

    /// The error to report when the relay has ended the connection.
    pub(crate) fn disconnected(&self) -> Error {
        let reason = String::from_utf8_lossy(&self.farewell).into_owned();
        Error::Disconnected { plugin: self.name.clone(), reason }
    }
}

/// The name of the plugin that opens a channel to us.
fn opener_in(opening: &[u8]) -> Option<&[u8]> {
    Entry::parse(opening.strip_prefix(&[Connect::CODE])?).map(|entry| entry.name)
}
