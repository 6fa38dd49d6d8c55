//! A plugin made of raw chunks: it sends what a test says, right or wrong, and judges all that comes back.
//!
//! Credit is summed up as it comes, partial payloads are put together, and pings on the top level are answered; all
//! else waits as events, in order on each half. A half is named by the type and id of the chunks that come in on it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use Kind::{Duplex, InRequest, InSink, InStream, OutRequest, OutSink, OutStream};
use oracle::audit::{Audit, Event, What, seen_by_other};
pub use oracle::entry::{connect_to, entries, entry};
use oracle::wire::{Bytes, Chunk, Kind, Rule, chunk, in_sink, in_stream, out_request, out_sink, parse};

pub use crate::socket::Address;
use crate::socket::Socket;

/// How long to wait for what must come. It bounds a test that fails; it measures nothing.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(1);
/// Chunks that a failing test shows.
const LOG_CHUNKS: usize = 40;
/// Top-level credit that a registered plugin starts with: enough for every offer of a test.
pub const TOP_CREDIT: u64 = 1 << 20;
/// Credit for a whole listing of the bus.
const LISTING_CREDIT: u64 = 1 << 20;
/// Requests that the peer makes for itself start here, out of the way of those of the tests.
const OWN_REQUESTS: u64 = 1 << 32;

/// How a peer cuts what it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// A write for each call.
    Whole,
    /// A write for each byte.
    Bytes,
    /// Credit in chunks of one.
    Trickle,
}

/// A raw plugin. See the module.
pub struct Peer {
    socket: Socket,
    pace: Pace,
    inbox: Vec<u8>,
    audit: Audit,
    events: VecDeque<Event>,
    log: VecDeque<String>,
    name: Vec<u8>,
    next_request: u64,
    /// Pings that the other end has sent on the top level.
    pub pings: u32,
    /// Whether the peer answers the pings of the other end on the top level; it does from the start.
    pub answers_pings: bool,
}

impl Peer {
    /// Connects, and sends nothing.
    ///
    /// # Panics
    /// When there is no connection to be had.
    pub fn connect(address: &Address, pace: Pace) -> Self {
        Self {
            socket: Socket::connect(address, PATIENCE),
            pace,
            inbox: Vec::new(),
            audit: Audit::default(),
            events: VecDeque::new(),
            log: VecDeque::new(),
            name: Vec::new(),
            next_request: OWN_REQUESTS,
            pings: 0,
            answers_pings: true,
        }
    }

    /// The bare socket, for one who goes on without a ledger.
    ///
    /// # Panics
    /// When it is no unix socket, or something that has come in waits.
    pub fn into_unix_socket(self) -> UnixStream {
        assert!(self.inbox.is_empty() && self.events.is_empty(), "something has come in");
        self.socket.into_unix().expect("a unix socket")
    }

    /// Gives top-level credit and registers, without waiting for it to take effect.
    pub fn register(&mut self, name: &[u8], version: u16) {
        self.give(InStream, 0, TOP_CREDIT);
        self.register_without_credit(name, version);
    }

    /// Registers, and lets the server send no opening payload.
    pub fn register_without_credit(&mut self, name: &[u8], version: u16) {
        name.clone_into(&mut self.name);
        self.send(&in_sink(0).payload(entry(name, version)));
    }

    /// What the daemon calls this end of the socket in its log.
    pub fn label(&self) -> String {
        self.socket.label()
    }

    /// The name it registered with.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Registers, and waits for an answer to a ping: whether it comes, and not the end of the connection.
    pub fn is_let_in(&mut self, name: &[u8]) -> bool {
        self.give(InStream, 0, TOP_CREDIT);
        name.clone_into(&mut self.name);
        self.send_now(&in_sink(0).payload(entry(name, 1)));
        self.send_now(&in_stream(0).ping());
        while !self.has(InSink, 0) {
            if !self.read_if_any() {
                return false;
            }
        }
        self.next_on(InSink, 0) == What::Pong
    }

    /// Sends a chunk. One that spends top-level credit waits for it first.
    pub fn send(&mut self, chunk: &Chunk) {
        let length = chunk.payload.as_ref().map_or(0, |payload| payload.len() as u64);
        if length > 0 && (self.audit.opens(chunk) || (chunk.kind == InSink && chunk.id == 0)) {
            self.wait_credit(InSink, 0, length);
        }
        self.send_now(chunk);
    }

    /// Sends chunks, each as [`Peer::send`] does.
    pub fn send_all(&mut self, chunks: &[Chunk]) {
        chunks.iter().for_each(|chunk| self.send(chunk));
    }

    /// Sends a payload of so many bytes in parts, as top-level credit comes; `chunk` makes the chunk of a part, the first or
    /// another.
    pub fn send_in_parts(&mut self, total: u64, chunk: impl Fn(bool) -> Chunk) {
        let mut sent = 0;
        while sent < total {
            self.wait_credit(InSink, 0, 1);
            let length = self.credit(InSink, 0).min(total - sent);
            let part = chunk(sent == 0).payload(vec![b'x'; length as usize]);
            self.send(&if sent == 0 { part.partial(total) } else { part });
            sent += length;
        }
    }

    /// Sends a chunk, whether there is credit for it or not.
    pub fn send_now(&mut self, chunk: &Chunk) {
        self.book(chunk);
        self.write(&chunk.bytes());
    }

    /// Books a chunk that is still to be written, by [`Peer::pour`].
    pub fn book(&mut self, chunk: &Chunk) {
        self.audit.sent(chunk);
        self.note('>', chunk);
    }

    /// Sends bytes as they are. What can be read of them as chunks is booked.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(Some((chunk, length))) = parse(rest) {
            self.audit.sent(&chunk);
            self.note('>', &chunk);
            rest = &rest[length..];
        }
        self.write(bytes);
    }

    /// Writes; that the other end is gone shows when reading.
    fn write(&mut self, bytes: &[u8]) {
        let writer = self.socket.bytes();
        let result = if self.pace == Pace::Bytes {
            bytes.chunks(1).try_for_each(|byte| writer.write_all(byte))
        } else {
            writer.write_all(bytes)
        };
        match result {
            Err(error) if !is_gone(error.kind()) => self.fail(&format!("cannot write: {error}")),
            _ => {}
        }
    }

    /// Writes bytes without booking them: whether the other end still takes them.
    pub fn pour(&mut self, bytes: &[u8]) -> bool {
        self.socket.bytes().write_all(bytes).is_ok()
    }

    /// Writes a block again and again without reading anything, until the socket takes no more or much has been taken.
    pub fn pour_while_it_lasts(&mut self, block: &[u8]) {
        /// So much that no socket buffer holds it, and little enough for a server that takes it all.
        const BLOCKS: usize = 500;
        let short = Duration::from_millis(100);
        self.socket.set_write_timeout(short);
        for _ in 0..BLOCKS {
            if !self.pour(block) {
                return;
            }
        }
    }

    /// Writes bytes without booking them, as many as the socket takes within a moment: how many that is.
    pub fn pour_some(&mut self, bytes: &[u8]) -> usize {
        self.socket.set_write_timeout(Duration::from_millis(20));
        self.socket.bytes().write(bytes).unwrap_or(0)
    }

    /// Notes in the log of this connection what begins now.
    pub fn begin(&mut self, what: &str) {
        self.log.push_back(format!("  -- {what}"));
    }

    /// Closes the writing direction of the socket.
    pub fn shutdown_write(&mut self) {
        // Fails only where the other end is gone already, which shows when reading.
        let _ = self.socket.shutdown_write();
    }

    /// Closes the writing direction of the socket, and waits until the server has ended the connection.
    pub fn leave(&mut self) {
        self.shutdown_write();
        self.closed();
    }

    /// Gives credit on a half, addressed as this end's chunks do: in one chunk, or in ones when it trickles.
    pub fn give(&mut self, kind: Kind, id: u64, amount: u64) {
        /// More than this in ones would only take time.
        const ONES: u64 = 300;
        let ones = if self.pace == Pace::Trickle { amount.min(ONES) } else { 0 };
        let parts = (0..ones).map(|_| 1).chain((amount > ones).then_some(amount - ones));
        let bytes: Vec<u8> = parts.flat_map(|part| chunk(kind, id).credit(part).bytes()).collect();
        self.send_bytes(&bytes);
    }

    /// Bytes that this end may send now on a half, addressed as its chunks do.
    pub fn credit(&self, kind: Kind, id: u64) -> u64 {
        self.audit.credit(seen_by_other(kind, id))
    }

    /// All credit that this end has been given on a half, addressed as its chunks do.
    pub fn credit_total(&self, kind: Kind, id: u64) -> u128 {
        self.audit.credit_total(seen_by_other(kind, id))
    }

    /// Bytes that the other end may send now on a half, addressed as its chunks do.
    pub fn allowance(&self, kind: Kind, id: u64) -> u64 {
        self.audit.allowance((kind, id))
    }

    /// Waits until this end may send that many bytes on a half, addressed as its chunks do.
    pub fn wait_credit(&mut self, kind: Kind, id: u64, amount: u64) {
        let what = format!("credit of {amount} for {} {id}", kind.name());
        self.wait(&what, |peer| (peer.credit(kind, id) >= amount).then_some(()));
    }

    /// Waits until that many bytes of messages have come in on a half, all in all.
    pub fn wait_bytes(&mut self, kind: Kind, id: u64, total: u64) {
        let what = format!("{total} bytes on {} {id}", kind.name());
        self.wait(&what, |peer| (peer.audit.bytes_total((kind, id)) >= total).then_some(()));
    }

    /// Bytes of messages that have come in on a half, all in all.
    pub fn bytes_total(&self, kind: Kind, id: u64) -> u64 {
        self.audit.bytes_total((kind, id))
    }

    /// The next event on a half; events on others wait.
    pub fn next_on(&mut self, kind: Kind, id: u64) -> What {
        self.next_for(&format!("anything on {} {id}", kind.name()), kind, id)
    }

    fn next_for(&mut self, what: &str, kind: Kind, id: u64) -> What {
        self.wait(what, |peer| {
            let at = peer.events.iter().position(|(half, _)| *half == (kind, id))?;
            peer.events.remove(at).map(|(_, what)| what)
        })
    }

    /// The next event on a half must be this one.
    pub fn expect(&mut self, kind: Kind, id: u64, expected: &What) {
        let got = self.next_for(&format!("{} {id}: {expected:?}", kind.name()), kind, id);
        if got != *expected {
            self.fail(&format!("on {} {id}\n  expected {expected:?}\n  got      {got:?}", kind.name()));
        }
    }

    /// Whether anything waits that has come in on a half; nothing is read for it.
    pub fn has(&self, kind: Kind, id: u64) -> bool {
        self.events.iter().any(|(half, _)| *half == (kind, id))
    }

    /// Whether an offer waits; nothing is read for it.
    pub fn has_offer(&self) -> bool {
        self.events.iter().any(|((kind, _), _)| *kind == Duplex)
    }

    /// Waits until the server has used up all top-level credit that this end has given.
    pub fn wait_spent(&mut self) {
        self.wait("the top-level credit to be spent", |peer| (peer.allowance(InSink, 0) == 0).then_some(()));
    }

    /// Waits until the server has pinged the top level that often, all in all.
    pub fn wait_pings(&mut self, count: u32) {
        self.wait("pings", |peer| (peer.pings >= count).then_some(()));
    }

    /// The next message on a half that is addressed so by *this* end's chunks, with `step` bytes of credit at a time,
    /// each given when the one before is used up.
    pub fn pull(&mut self, kind: Kind, id: u64, step: u64) -> Vec<u8> {
        let half = seen_by_other(kind, id);
        loop {
            let before = self.audit.bytes_total(half);
            if self.has(half.0, half.1) {
                return self.message(half.0, half.1);
            }
            if self.audit.allowance(half) == 0 {
                self.give(kind, id, step);
            }
            self.wait("the next part", |peer| {
                (peer.has(half.0, half.1) || peer.audit.bytes_total(half) > before).then_some(())
            });
        }
    }

    /// The next message on a half, whole.
    pub fn message(&mut self, kind: Kind, id: u64) -> Vec<u8> {
        match self.next_on(kind, id) {
            What::Message(bytes) => bytes,
            other => self.fail(&format!("expected a message on {} {id}, got {other:?}", kind.name())),
        }
    }

    /// The next message on a half; nothing when that half, or the connection, is ended instead.
    pub fn message_or_end(&mut self, kind: Kind, id: u64) -> Option<Vec<u8>> {
        while !self.has(kind, id) {
            if !self.read_if_any() {
                return None;
            }
        }
        let at = self.events.iter().position(|(half, what)| *half == (kind, id) && !matches!(what, What::End(_)))?;
        match self.events.remove(at) {
            Some((_, What::Message(bytes))) => Some(bytes),
            other => self.fail(&format!("expected a message or an end on {} {id}, got {other:?}", kind.name())),
        }
    }

    /// The other end ends a half with this payload, and gets its ack.
    pub fn expect_end(&mut self, kind: Kind, id: u64, payload: &[u8]) {
        self.expect(kind, id, &What::End(payload.to_vec()));
        self.ack(kind, id);
    }

    /// Ends a half, addressed as this end's chunks do, with an empty payload, and gets the ack.
    pub fn end(&mut self, kind: Kind, id: u64) {
        self.send(&chunk(kind, id).end([]));
        self.expect(kind.inverted(id), id, &What::AckEnd);
    }

    /// Acks an end that came in on a half.
    pub fn ack(&mut self, kind: Kind, id: u64) {
        self.send_now(&chunk(kind.inverted(id), id).ack_end());
    }

    /// Opens a duplex to a name, with credit for messages and for a cancel payload.
    pub fn dial_with(&mut self, id: u64, name: &[u8], credit: u64, cancel_credit: u64) {
        self.send(&chunk(Duplex, id).payload(connect_to(name)).credit(credit));
        self.send_now(&out_sink(id).credit(cancel_credit));
    }

    /// A duplex that this end opened is closed and cancelled with this payload; both are acked.
    pub fn refused(&mut self, id: u64, payload: &[u8]) {
        self.expect_end(InSink, id, payload);
        self.expect_end(InStream, id, payload);
    }

    /// A duplex that the server opened is closed and cancelled with this payload; both are acked.
    pub fn expect_ends(&mut self, id: u64, payload: &[u8]) {
        self.expect_end(OutSink, id, payload);
        self.expect_end(OutStream, id, payload);
    }

    /// The next duplex that the server opens: its id and its opening payload.
    pub fn offer(&mut self) -> (u64, Vec<u8>) {
        self.wait("an offer", |peer| {
            let at = peer.events.iter().position(|((kind, _), _)| *kind == Duplex)?;
            match peer.events.remove(at) {
                Some(((_, id), What::Open(payload))) => Some((id, payload)),
                other => unreachable!("a Duplex chunk opens: {other:?}"),
            }
        })
    }

    /// Accepts an offer.
    pub fn accept(&mut self, id: u64) {
        self.send_now(&in_sink(id).payload([]));
    }

    /// Lets the server handle all that was sent so far: it answers a ping on the top level.
    pub fn fence(&mut self) {
        self.send_now(&in_stream(0).ping());
        self.expect(InSink, 0, &What::Pong);
    }

    /// Nothing has happened that no test has asked for, up to the next pong.
    pub fn quiet(&mut self) {
        self.fence();
        if !self.events.is_empty() {
            self.fail(&format!("nothing was due, but there is {:?}", self.events));
        }
    }

    /// Asks who is there.
    pub fn query(&mut self) -> Vec<(Vec<u8>, u16)> {
        let id = self.next_request;
        self.next_request += 1;
        self.send_now(&out_request(id).payload([]).credit(LISTING_CREDIT));
        let listing = self.message(InRequest, id);
        self.send_now(&chunk(OutRequest, id).ack_end());
        entries(&listing)
    }

    /// Asks until a name is on the bus.
    pub fn wait_listed(&mut self, name: &[u8]) {
        self.wait_listing(&format!("{} to be listed", name.escape_ascii()), |names| {
            names.iter().any(|(n, _)| n == name)
        });
    }

    /// Asks until a name is no more on the bus.
    pub fn wait_gone(&mut self, name: &[u8]) {
        self.wait_listing(&format!("{} to be gone", name.escape_ascii()), |names| names.iter().all(|(n, _)| n != name));
    }

    fn wait_listing(&mut self, what: &str, done: impl Fn(&[(Vec<u8>, u16)]) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !done(&self.query()) {
            if Instant::now() > give_up {
                self.fail(&format!("waited for {what}"));
            }
            sleep(POLL);
        }
    }

    /// Reads until the server ends the connection, without looking at what comes.
    ///
    /// # Errors
    /// The connection ends otherwise than by the end of its bytes.
    pub fn read_to_end(&mut self) -> std::io::Result<()> {
        std::io::copy(self.socket.bytes(), &mut std::io::sink()).map(drop)
    }

    /// Reads some bytes and drops them unseen: whether there are more to come.
    pub fn drop_some(&mut self) -> bool {
        self.socket.bytes().read(&mut [0; 1 << 16]).is_ok_and(|count| count > 0)
    }

    /// The server ends the connection; it may say why before. Whatever else was due may still come.
    pub fn closed(&mut self) -> Option<String> {
        let said = self.events.iter().position(|(half, what)| *half == (InSink, 0) && matches!(what, What::End(_)));
        let mut reason = match said.and_then(|at| self.events.remove(at)) {
            Some((_, What::End(why))) => Some(self.reason(why)),
            _ => None,
        };
        loop {
            while let Ok(Some((chunk, length))) = parse(&self.inbox) {
                self.inbox.drain(..length);
                self.note('<', &chunk);
                if reason.is_some() && (chunk.kind, chunk.id) == (InSink, 0) {
                    self.fail("the server sends more on the top level behind its close of it");
                }
                if let (InSink, 0, Some(why)) = (chunk.kind, chunk.id, chunk.end) {
                    if why.len() as u64 > self.audit.allowance((InSink, 0)) {
                        self.fail("the server says why without credit for it");
                    }
                    reason = Some(self.reason(why));
                }
            }
            if !self.fill() {
                return reason;
            }
        }
    }

    fn reason(&self, why: Vec<u8>) -> String {
        String::from_utf8(why).unwrap_or_else(|error| self.fail(&format!("the reason is not UTF-8: {error}")))
    }

    /// Waits until `ready` finds what it looks for, reading on as long as it does not.
    fn wait<T>(&mut self, what: &str, mut ready: impl FnMut(&mut Self) -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ready(self) {
                return found;
            }
            if Instant::now() > give_up {
                self.fail(&format!("waited for {what}"));
            }
            self.read_chunk(what);
        }
    }

    /// Reads one chunk and takes it in.
    fn read_chunk(&mut self, what: &str) {
        if !self.read_if_any() {
            self.fail(&format!("waited for {what}, but the connection was ended"));
        }
    }

    /// Reads one chunk and takes it in: `false` when the connection was ended instead.
    fn read_if_any(&mut self) -> bool {
        loop {
            match parse(&self.inbox) {
                Ok(Some((chunk, length))) => {
                    self.inbox.drain(..length);
                    self.take_in(&chunk);
                    return true;
                }
                Ok(None) if self.fill() => {}
                Ok(None) => return false,
                Err(rule) => self.broken(rule, None),
            }
        }
    }

    /// Reads some bytes: `false` when the connection was ended.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 1 << 16];
        match self.socket.bytes().read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.inbox.extend(&buffer[..count]);
                true
            }
            Err(error) if is_gone(error.kind()) => false,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.fail("waited in vain")
            }
            Err(error) => self.fail(&format!("cannot read: {error}")),
        }
    }

    fn take_in(&mut self, incoming: &Chunk) {
        self.note('<', incoming);
        let events = match self.audit.got(incoming) {
            Ok(events) => events,
            Err(rule) => self.broken(rule, Some(incoming)),
        };
        for ((kind, id), what) in events {
            if id == 0 && what == What::Ping && matches!(kind, InSink | InStream) {
                self.pings += 1;
                if self.answers_pings {
                    self.send_now(&chunk(kind.inverted(0), 0));
                }
            } else if !matches!(what, What::Begun | What::Part(_) | What::Credit(_) | What::Crossed) {
                self.events.push_back(((kind, id), what));
            }
        }
    }

    fn note(&mut self, direction: char, chunk: &Chunk) {
        if self.log.len() == LOG_CHUNKS {
            self.log.pop_front();
        }
        self.log.push_back(format!("{direction} {chunk}"));
    }

    fn broken(&self, rule: Rule, chunk: Option<&Chunk>) -> ! {
        self.fail(&format!("the server itself breaks a rule, {rule}: {chunk:?}"))
    }

    /// Ends the test with the last chunks of this connection.
    #[track_caller]
    pub fn fail(&self, what: &str) -> ! {
        let log: Vec<&str> = self.log.iter().map(String::as_str).collect();
        panic!("plugin {}: {what}\nits last chunks (> sent, < received):\n{}", Bytes(&self.name), log.join("\n"))
    }
}

/// A plugin of version 1 that the bus lists.
pub fn plugin(address: &Address, name: &str) -> Peer {
    let mut peer = Peer::connect(address, Pace::Whole);
    peer.register(name.as_bytes(), 1);
    peer.fence();
    peer
}

/// A plugin, if there is a place for it.
pub fn admitted(address: &Address, name: &str) -> Option<Peer> {
    let mut peer = Peer::connect(address, Pace::Whole);
    peer.is_let_in(name.as_bytes()).then_some(peer)
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}
