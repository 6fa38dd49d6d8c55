//! A plugin of the relay, as lean as it can be: blocking calls, large reads, much credit.
//!
//! - [`socket`] what it reads and writes; [`batch`] messages that it writes, [`pattern`] those that it expects
//! - [`waiting`] for many of them

pub(crate) mod batch;
mod pattern;
pub(crate) mod socket;
pub(crate) mod waiting;

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Result, bail, ensure};
use bpmux::{DuplexKeys, Event, HalfKey, Limits, Link, Opened, Piece, What};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::{Connect, Entry};

use batch::Batch;
use pattern::Pattern;
use socket::Socket;

/// Credit that the relay has on a channel when all is quiet, unless it is set: far more than its own window.
const WINDOW_BYTES: u64 = 16 << 20;

/// Top-level credit of the relay, in bytes: it opens channels to a plugin, and says why it ends a connection.
const TOP_WINDOW_BYTES: u64 = 64 << 10;

/// Credit for each reason why a channel is refused.
const REASON_BYTES: u64 = 16;

/// How long it is waited for input by those who have other things to look at, in nanoseconds.
const WAIT_NS: i64 = 20_000_000;

/// The least part of a message that cannot be sent whole, unless less is left of it.
const PART_BYTES_MIN: usize = 16 << 10;

/// Bytes of control chunks to write at once.
const CONTROL_BYTES_MAX: usize = 16 << 10;

const LIMITS: Limits = Limits { halves_max: 65_536, openings_partial_max: 8 };

/// A registered plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    socket: Socket,
    /// Beside each half that we read: credit that was spent on it and not given back.
    link: Link<u64>,
    /// Chunks that are to be written.
    output: Vec<u8>,
    heard: Heard,
    /// Credit that the relay has on each channel when all is quiet, in bytes.
    window_bytes: u64,
    /// What most messages look like.
    pattern: Option<Pattern>,
}

/// What the relay has said.
#[derive(Debug, Default)]
struct Heard {
    /// A channel that is offered to us.
    offered: Option<DuplexKeys>,
    /// Whether the opening payload of it is complete.
    offer_complete: bool,
    /// Whether the channel that we opened was accepted: the empty message.
    accepted: bool,
    /// Whether our ping was answered.
    ponged: bool,
    /// Payload that has come since somebody asked last.
    payload_bytes: u64,
    /// The end of a half, as a text for the error, unless that is none.
    ended: Option<String>,
    forgives_ends: bool,
    /// Halves on which whole messages have come, other than those that were expected. Nobody asks in a plain flow.
    messages: Option<Vec<HalfKey>>,
}

impl AsFd for Plugin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Plugin {
    /// A connection on which credit has been given and nothing else said.
    pub(crate) fn unregistered(socket: OwnedFd) -> Result<Self> {
        let mut plugin = Self {
            socket: Socket::new(socket)?,
            link: Link::new(LIMITS),
            output: Vec::new(),
            heard: Heard::default(),
            window_bytes: WINDOW_BYTES,
            pattern: None,
        };
        plugin.link.grant(HalfKey::TOP_READER, TOP_WINDOW_BYTES);
        Ok(plugin)
    }

    /// Registers, and waits until that is done.
    pub(crate) fn register(socket: OwnedFd, name: &str) -> Result<Self> {
        let mut plugin = Self::unregistered(socket)?;
        let entry = Entry { name: name.as_bytes(), version: 1 }.to_bytes();
        plugin.await_credit(HalfKey::TOP_WRITER, entry.len())?;
        plugin.link.put_part(HalfKey::TOP_WRITER, entry.len() as u64, entry.len() as u64, &mut plugin.output);
        plugin.send(&entry)?;
        plugin.settle()?;
        Ok(plugin)
    }

    /// Waits until the relay has read all that we have sent, and hears what it says to that.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.link.ping(HalfKey::TOP_WRITER);
        self.send(&[])?;
        while !mem::take(&mut self.heard.ponged) {
            self.receive()?;
        }
        Ok(())
    }

    /// Gives other windows to channels that are opened from now on: more than can ever be used up is never given back.
    pub(crate) fn set_window(&mut self, window_bytes: u64) {
        self.window_bytes = window_bytes;
    }

    /// Goes on when a channel is ended.
    pub(crate) fn forgive_ends(&mut self) {
        self.heard.forgives_ends = true;
    }

    /// Asks for a channel to another plugin, and waits until the relay has heard that.
    pub(crate) fn dial(&mut self, name: &str) -> Result<DuplexKeys> {
        let opening = Connect { name: name.as_bytes(), version_min: None }.to_bytes();
        self.await_credit(HalfKey::TOP_WRITER, opening.len())?;
        let keys = self.link.open_duplex(1, &opening, self.window_bytes, &mut self.output);
        let keys = keys.expect("the credit for it was awaited");
        // Refusals have a reason, and wait for credit for it.
        self.link.grant(keys.writer, REASON_BYTES);
        self.send(&[])?;
        self.settle()?;
        Ok(keys)
    }

    /// Whether a half has been ended, by the other plugin or by the relay.
    pub(crate) fn was_ended(&self) -> bool {
        self.heard.ended.is_some()
    }

    /// Opens a channel from one plugin to another. Returns the ends of it.
    pub(crate) fn connect(&mut self, other: &mut Self, name: &str) -> Result<[DuplexKeys; 2]> {
        let keys = self.dial(name)?;
        let offered = other.accept()?;
        while !mem::take(&mut self.heard.accepted) {
            self.receive()?;
        }
        Ok([keys, offered])
    }

    /// Accepts the next channel that another plugin opens.
    pub(crate) fn accept(&mut self) -> Result<DuplexKeys> {
        while !mem::take(&mut self.heard.offer_complete) {
            self.receive()?;
        }
        let keys = self.heard.offered.take().expect("an opening payload follows an offer");
        self.link.grant(keys.reader, self.window_bytes);
        self.say(|link, out| link.put_part(keys.writer, 0, 0, out))?;
        Ok(keys)
    }

    /// The id of a channel's half on the wire.
    pub(crate) fn id(&self, key: HalfKey) -> u64 {
        self.link.id(key).expect("the channel is open")
    }

    /// Expects that what comes looks like the messages of this batch.
    pub(crate) fn expect(&mut self, batch: &Batch) {
        self.pattern = Some(Pattern::of(batch));
    }

    /// Whether there is credit for a whole batch on this half.
    pub(crate) fn may_write(&self, key: HalfKey, batch: &Batch) -> bool {
        self.link.may_send(key) >= (batch.count() * batch.size()) as u64
    }

    /// Writes a batch: as much at once as the relay gives credit for, long messages in parts if need be.
    pub(crate) fn write_batch(&mut self, key: HalfKey, batch: &Batch) -> Result<()> {
        let mut left = batch.count();
        while left > 0 {
            let wanted = (left * batch.size()) as u64;
            if self.link.may_send(key) < wanted {
                self.hear()?;
            }
            let credit = self.link.may_send(key);
            let count = left.min((credit / batch.size() as u64) as usize);
            if count > 0 {
                self.link.spend_on_run(key, (count * batch.size()) as u64);
                self.send(batch.messages(count))?;
                left -= count;
            } else if batch.size() > PART_BYTES_MIN {
                self.write_in_parts(key, batch.payload())?;
                left -= 1;
            } else {
                self.receive()?;
            }
        }
        Ok(())
    }

    fn write_in_parts(&mut self, key: HalfKey, payload: &[u8]) -> Result<()> {
        let mut rest = payload;
        while !rest.is_empty() {
            let len = rest.len().min(self.link.may_send(key) as usize);
            if len < rest.len().min(PART_BYTES_MIN) {
                self.receive()?;
                continue;
            }
            self.link.put_part(key, payload.len() as u64, len as u64, &mut self.output);
            self.send(&rest[..len])?;
            rest = &rest[len..];
        }
        Ok(())
    }

    /// Reads what has come, or waits for it. Returns how much payload that is.
    pub(crate) fn read(&mut self) -> Result<u64> {
        self.receive()?;
        Ok(mem::take(&mut self.heard.payload_bytes))
    }

    /// The same, and on which halves messages were complete, but for those that are expected.
    pub(crate) fn read_messages(&mut self) -> Result<(u64, Vec<HalfKey>)> {
        if self.heard.messages.get_or_insert_default().is_empty() {
            self.receive()?;
        }
        let messages = self.heard.messages.as_mut().map(mem::take);
        Ok((mem::take(&mut self.heard.payload_bytes), messages.unwrap_or_default()))
    }

    /// Waits until something has come, but not for long.
    pub(crate) fn await_input(&self) -> Result<()> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: WAIT_NS };
        poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&timeout))?;
        Ok(())
    }

    /// Says whatever can be said.
    pub(crate) fn say(&mut self, compose: impl FnOnce(&mut Link<u64>, &mut Vec<u8>)) -> Result<()> {
        compose(&mut self.link, &mut self.output);
        self.send(&[])?;
        // What is owed goes by itself.
        self.send(&[])
    }

    fn await_credit(&mut self, key: HalfKey, len: usize) -> Result<()> {
        while self.link.may_send(key) < len as u64 {
            self.receive()?;
        }
        Ok(())
    }

    /// Writes what waits, and then `bytes`, to which it may be the head.
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if self.output.is_empty() {
            self.link.flush_owed(&mut self.output, CONTROL_BYTES_MAX);
        }
        self.socket.write(&self.output, bytes)?;
        self.output.clear();
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let Self { socket, link, heard, pattern, window_bytes, .. } = self;
        socket.read(|input| digest(link, heard, *pattern, *window_bytes, input))?;
        self.send(&[])
    }

    /// Hears what has come, if anything has.
    pub(crate) fn hear(&mut self) -> Result<()> {
        let Self { socket, link, heard, pattern, window_bytes, .. } = self;
        socket.try_read(|input| digest(link, heard, *pattern, *window_bytes, input))?;
        self.send(&[])
    }
}

/// Learns from what has come, and notes what that makes us owe.
fn digest(
    link: &mut Link<u64>,
    heard: &mut Heard,
    pattern: Option<Pattern>,
    window_bytes: u64,
    mut input: &[u8],
) -> Result<()> {
    ensure!(!input.is_empty(), "the relay has ended the connection");
    loop {
        if let Some(pattern) = pattern
            && let Some((key, _)) = link.run_at(input)
        {
            let (count, bytes) = pattern.count(input);
            heard.payload_bytes += (count * pattern.size()) as u64;
            top_up(link, key, (count * pattern.size()) as u64, window_bytes);
            input = &input[bytes..];
        }
        let step = link.next(input)?;
        let (used, rest) = input.split_at(step.used);
        input = rest;
        match step.event {
            None => break,
            Some(Event::Opened(Opened::Duplex(keys))) => heard.offered = Some(keys),
            Some(Event::Ping(key, _)) => link.pong(key),
            Some(Event::Pong(..)) => heard.ponged = true,
            Some(Event::Piece(key, _, piece)) => {
                heard.piece(key, piece, &used[used.len() - piece.len..]);
                top_up(link, key, piece.len as u64, window_bytes);
            }
            Some(_) => {}
        }
    }
    match &heard.ended {
        Some(why) if !heard.forgives_ends => bail!("the relay has ended a channel or the connection: {why}"),
        _ => Ok(()),
    }
}

/// Gives back what was spent on a half, once that is half of the window.
fn top_up(link: &mut Link<u64>, key: HalfKey, bytes: u64, window_bytes: u64) {
    let spent = link.user(key).unwrap_or_default() + bytes;
    let is_due = spent >= window_bytes / 2;
    link.set_user(key, if is_due { 0 } else { spent });
    if is_due {
        link.grant(key, spent);
    }
}

impl Heard {
    fn piece(&mut self, key: HalfKey, piece: Piece, bytes: &[u8]) {
        match piece.what {
            What::Opening => self.offer_complete |= piece.last,
            What::Message => {
                self.payload_bytes += piece.len as u64;
                self.accepted |= piece.total == 0;
                if piece.last
                    && let Some(messages) = &mut self.messages
                {
                    messages.push(key);
                }
            }
            What::End => self.ended = Some(format!("{:?}", String::from_utf8_lossy(bytes))),
        }
    }
}
