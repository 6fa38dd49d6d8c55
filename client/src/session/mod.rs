//! The session: all that a connection to the bus is, but its socket, its clock and its task.
//!
//! Bytes of the relay come in by [`Session::handle_input`], bytes for it go out by [`Session::take_output`]. The
//! program's handles ask by `poll_*` methods, which leave a waker where they have to wait; whatever a handle began is
//! kept here and not in a future, so that dropping a future loses nothing. Wakers are gathered in
//! [`Session::take_wakes`], to be woken when nobody holds the session any more.

mod half;
mod inbox;
mod offers;
mod open;
mod output;
mod query;
mod reader;
#[cfg(test)]
mod tests;
mod top;
mod writer;

use std::collections::VecDeque;
use std::task::Waker;

use bpmux::{Event, HalfKey, Limits, Link, Opened, Piece};
use slab::Slab;

use crate::error::BusError;

pub(crate) use half::{End, HalfId};
pub use inbox::Part;
pub(crate) use offers::Offer;
pub(crate) use output::{Fetched, Standing};
pub(crate) use query::{Answer, QueryId, Question};
pub(crate) use reader::ReaderId;
pub(crate) use writer::WriterId;

/// Bytes of output that may wait for the socket, roughly: what is above it waits in the queues of the halves.
const OUT_LEN_MAX: usize = 256 * 1024;

/// Bytes that one half may send before the others have their turn.
const QUANTUM: usize = 64 * 1024;

/// The longest end payload, in bytes. The relay passes on no more credit than this for cancelling payloads.
pub const END_PAYLOAD_LEN_MAX: usize = 1024;

/// Credit for the cancelling payload of the peer, in bytes: the relay puts one byte before it.
const CANCEL_CREDIT: u64 = END_PAYLOAD_LEN_MAX as u64 + 1;

/// The least receive window, in bytes: it must let a closing payload pass though a quarter of it was not given back.
const WINDOW_MIN: u64 = 4 * END_PAYLOAD_LEN_MAX as u64;

/// What the relay may make us remember. Halves: 32,768 channels that others opened.
const LINK_LIMITS: Limits = Limits { halves_max: 1 << 16, openings_partial_max: 1024 };

/// How much a session holds for its program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionConfig {
    /// Bytes that may wait on one channel for the peer's credit before `send` waits.
    pub(crate) send_queue_max: usize,
    /// Connections that may wait to be accepted; further ones are denied.
    pub(crate) backlog_max: usize,
}

/// What a channel to another plugin receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelConfig {
    /// The receive window, in bytes.
    pub(crate) window: u64,
    /// The longest message that is received as a whole, in bytes.
    pub(crate) message_len_max: usize,
}

/// What the program keeps beside a half.
#[derive(Clone, Copy, Debug, Default)]
enum Role {
    /// The top level, or something that is not heard any more.
    #[default]
    None,
    Reader(ReaderId),
    Writer(WriterId),
    Query(QueryId),
}

/// One connection to a bus.
#[derive(Debug)]
pub(crate) struct Session {
    config: SessionConfig,
    link: Link<Role>,
    /// Bytes for the relay that nobody has fetched yet.
    out: Vec<u8>,
    top: top::Top,
    readers: Slab<reader::Reader>,
    writers: Slab<writer::Writer>,
    queries: Slab<query::Query>,
    offers: offers::Offers,
    /// Writers that have something to send and credit for it, each about once.
    runnable: VecDeque<WriterId>,
    /// Halves whose handles wait until output is written, or for room for more.
    waiting_for_output: Vec<HalfId>,
    /// Bytes of output that were fetched so far ...
    fetched: u64,
    /// ... and those of them that are written to the socket.
    written: u64,
    standing: Standing,
    /// Whether closing waits for nothing any more.
    hurried: bool,
    gone: Option<BusError>,
    /// Those who wait for the end of the connection.
    gone_wakers: Vec<Waker>,
    wakes: Vec<Waker>,
}

impl Session {
    /// A session that registers with `entry` (see [`wire::Entry`]) as soon as the relay lets it.
    pub(crate) fn new(config: SessionConfig, entry: Vec<u8>) -> Self {
        let mut link = Link::new(LINK_LIMITS);
        link.grant(HalfKey::TOP_READER, top::WINDOW);
        Self {
            config,
            link,
            out: Vec::new(),
            top: top::Top::new(entry),
            readers: Slab::new(),
            writers: Slab::new(),
            queries: Slab::new(),
            offers: offers::Offers::default(),
            runnable: VecDeque::new(),
            waiting_for_output: Vec::new(),
            fetched: 0,
            written: 0,
            standing: Standing::default(),
            hurried: false,
            gone: None,
            gone_wakers: Vec::new(),
            wakes: Vec::new(),
        }
    }

    /// Fails once the connection is over, or is being closed so that nothing new may begin.
    fn check_gone(&self) -> Result<(), BusError> {
        match &self.gone {
            Some(error) => Err(error.clone()),
            None if self.standing != Standing::Open => Err(BusError::Closed),
            None => Ok(()),
        }
    }

    /// Hands over the wakers of those who have something to do. `into` should be empty.
    pub(crate) fn take_wakes(&mut self, into: &mut Vec<Waker>) {
        std::mem::swap(&mut self.wakes, into);
    }

    /// Bytes from the relay, cut anywhere.
    pub(crate) fn handle_input(&mut self, mut input: &[u8]) -> Result<(), BusError> {
        loop {
            let step = self.link.next(input)?;
            let (read, rest) = input.split_at(step.used);
            input = rest;
            let Some(event) = step.event else { break };
            self.handle_event(event, read)?;
        }
        self.top_up_top_level();
        Ok(())
    }

    /// `read` ends with the bytes of the piece, if the event is one.
    fn handle_event(&mut self, event: Event<Role>, read: &[u8]) -> Result<(), BusError> {
        match event {
            Event::Piece(key, role, piece) => {
                let bytes = &read[read.len() - piece.len..];
                self.handle_piece(key, role, piece, bytes)?;
            }
            Event::Credit(key, role, _) => self.handle_credit(key, role),
            Event::Ping(key, _) => self.link.pong(key),
            Event::Pong(key, role) => self.handle_pong(key, role),
            Event::Opened(Opened::Duplex(keys)) => self.handle_offer(keys),
            // The relay opens nothing else; what a later version of it might open is refused without harm.
            Event::Opened(Opened::Request(key) | Opened::Sink(key) | Opened::Stream(key)) => {
                self.link.end(key, &[]);
            }
            // What we have ended is nobody's business any more.
            Event::Missed(..) | Event::Over(..) => {}
        }
        Ok(())
    }

    fn handle_piece(&mut self, key: HalfKey, role: Role, piece: Piece, bytes: &[u8]) -> Result<(), BusError> {
        match role {
            Role::Reader(id) => self.handle_reader_piece(id, piece, bytes),
            Role::Writer(id) => self.handle_writer_piece(id, piece, bytes),
            Role::Query(id) => self.handle_query_piece(id, piece, bytes)?,
            Role::None => return self.handle_top_piece(key, piece, bytes),
        }
        Ok(())
    }

    fn handle_credit(&mut self, key: HalfKey, role: Role) {
        match role {
            Role::Writer(id) => self.handle_writer_credit(id),
            Role::Reader(id) => self.try_cancel(id),
            Role::None if key == HalfKey::TOP_WRITER => self.handle_top_credit(),
            Role::None | Role::Query(_) => {}
        }
    }

    fn handle_pong(&mut self, key: HalfKey, role: Role) {
        let pings = match role {
            Role::Writer(id) => &mut self.writers[id.index()].half.pings,
            Role::Reader(id) => &mut self.readers[id.index()].half.pings,
            Role::None if key == HalfKey::TOP_WRITER => &mut self.top.pings,
            Role::None | Role::Query(_) => return,
        };
        pings.handle_pong(&mut self.wakes);
    }

    /// The connection is over: everybody gets to know. The first reason counts.
    pub(crate) fn handle_gone(&mut self, error: BusError) {
        if self.gone.is_some() {
            return;
        }
        self.gone = Some(error);
        let writers = self.writers.iter_mut().map(|(_, writer)| &mut writer.half);
        let readers = self.readers.iter_mut().map(|(_, reader)| &mut reader.half);
        writers.chain(readers).for_each(|half| half.wake_all(&mut self.wakes));
        for (_, query) in &mut self.queries {
            self.wakes.extend(query.waker.take());
        }
        self.top.wake_all(&mut self.wakes);
        self.offers.wake_all(&mut self.wakes);
        self.wakes.append(&mut self.gone_wakers);
    }
}

/// Leaves a waker among others, each task once.
fn leave_waker(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

/// Leaves the only waker of a place.
fn set_waker(place: &mut Option<Waker>, waker: &Waker) {
    if !place.as_ref().is_some_and(|known| known.will_wake(waker)) {
        *place = Some(waker.clone());
    }
}
