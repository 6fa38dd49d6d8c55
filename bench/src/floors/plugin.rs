//! A plugin of the relay with one channel, as lean as it can be: blocking calls, large reads, much credit.

use std::mem;
use std::os::fd::OwnedFd;

use anyhow::{Result, bail, ensure};
use bpmux::{DuplexKeys, Event, HalfKey, Limits, Link, Opened, Piece, What};

use super::batch::Batch;
use super::socket::Socket;

/// Bytes to read at once.
const INPUT_BYTES: usize = 256 << 10;

/// Credit that the relay has on the channel when all is quiet: far more than its own window.
const WINDOW_BYTES: u64 = 16 << 20;

/// Top-level credit of the relay, in bytes: it opens one channel to a plugin, and says why it ends a connection.
const TOP_WINDOW_BYTES: u64 = 4096;

/// The least part of a message that cannot be sent whole, unless less is left of it.
const PART_BYTES_MIN: usize = 16 << 10;

/// Bytes of control chunks to write at once.
const CONTROL_BYTES_MAX: usize = 16 << 10;

const LIMITS: Limits = Limits { halves_max: 64, openings_partial_max: 8 };

/// A registered plugin.
#[derive(Debug)]
pub(super) struct Plugin {
    socket: Socket,
    link: Link<()>,
    input: Vec<u8>,
    /// Chunks that are to be written.
    output: Vec<u8>,
    /// What the relay has said about the channel.
    heard: Heard,
    /// What most messages look like.
    pattern: Option<Pattern>,
    /// Credit that the relay has spent on the channel and not been given back.
    spent_bytes: u64,
}

#[derive(Debug, Default)]
struct Heard {
    /// A channel that was offered to us.
    offered: Option<DuplexKeys>,
    /// Whether the opening payload of it is complete.
    offer_complete: bool,
    /// Whether the channel that we opened was accepted: the empty message.
    accepted: bool,
    /// Whether our ping was answered.
    ponged: bool,
    /// Payload that has come since somebody asked last.
    payload_bytes: u64,
    /// The end of a half, as a text for the error.
    ended: Option<String>,
}

impl Plugin {
    /// Registers.
    pub(super) fn register(socket: OwnedFd, name: &str) -> Result<Self> {
        let mut plugin = Self {
            socket: Socket::new(socket)?,
            link: Link::new(LIMITS),
            input: vec![0; INPUT_BYTES],
            output: Vec::new(),
            heard: Heard::default(),
            pattern: None,
            spent_bytes: 0,
        };
        plugin.link.grant(HalfKey::TOP_READER, TOP_WINDOW_BYTES);
        let entry = [&named(name)[..], &1_u16.to_be_bytes()].concat();
        plugin.await_credit(HalfKey::TOP_WRITER, entry.len())?;
        plugin.link.put_part(HalfKey::TOP_WRITER, entry.len() as u64, entry.len() as u64, &mut plugin.output);
        plugin.send(&entry)?;
        plugin.link.ping(HalfKey::TOP_WRITER);
        plugin.send(&[])?;
        // What is answered behind the registration has been read behind it.
        while !plugin.heard.ponged {
            plugin.receive()?;
        }
        Ok(plugin)
    }

    /// Asks for a channel to a plugin, which is to [`Plugin::accept`] it.
    pub(super) fn open(&mut self, peer: &str) -> Result<DuplexKeys> {
        let opening = [&[0x00], &named(peer)[..]].concat();
        self.await_credit(HalfKey::TOP_WRITER, opening.len())?;
        let keys = self.link.open_duplex(1, &opening, WINDOW_BYTES, &mut self.output);
        self.send(&[])?;
        Ok(keys.expect("the credit for it was awaited"))
    }

    /// Accepts the next channel that another plugin opens.
    pub(super) fn accept(&mut self) -> Result<DuplexKeys> {
        while !self.heard.offer_complete {
            self.receive()?;
        }
        let keys = self.heard.offered.expect("an opening payload follows an offer");
        self.link.grant(keys.reader, WINDOW_BYTES);
        self.link.put_part(keys.writer, 0, 0, &mut self.output);
        self.send(&[])?;
        Ok(keys)
    }

    /// Waits until the channel that we opened is accepted.
    pub(super) fn await_acceptance(&mut self) -> Result<()> {
        while !self.heard.accepted {
            self.receive()?;
        }
        Ok(())
    }

    /// The id of a channel's half on the wire.
    pub(super) fn id(&self, key: HalfKey) -> u64 {
        self.link.id(key).expect("the channel is open")
    }

    /// Writes a batch: as much at once as the relay gives credit for, long messages in parts if need be.
    pub(super) fn write_batch(&mut self, key: HalfKey, batch: &Batch) -> Result<()> {
        let mut left = batch.count();
        while left > 0 {
            let wanted = (left * batch.size()) as u64;
            if self.link.may_send(key) < wanted {
                self.try_receive()?;
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

    /// Expects that what comes looks like the messages of this batch.
    pub(super) fn expect(&mut self, batch: &Batch) {
        self.pattern = Some(Pattern::of(batch));
    }

    /// Reads what has come on this half, or waits for it. Returns how much payload that is.
    pub(super) fn read(&mut self, key: HalfKey) -> Result<u64> {
        self.receive()?;
        let payload_bytes = mem::take(&mut self.heard.payload_bytes);
        self.spent_bytes += payload_bytes;
        if self.spent_bytes >= WINDOW_BYTES / 2 {
            self.link.grant(key, mem::take(&mut self.spent_bytes));
            self.send(&[])?;
        }
        Ok(payload_bytes)
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
        let len = self.socket.read(&mut self.input)?;
        self.digest(len)
    }

    fn try_receive(&mut self) -> Result<()> {
        match self.socket.try_read(&mut self.input)? {
            Some(len) => self.digest(len),
            None => Ok(()),
        }
    }

    /// Learns from the first `len` bytes of the input, and says what that makes us owe.
    fn digest(&mut self, len: usize) -> Result<()> {
        ensure!(len > 0, "the relay has ended the connection");
        let Self { link, input, heard, pattern, .. } = self;
        let mut input = &input[..len];
        loop {
            if let Some(pattern) = pattern
                && link.run_at(input).is_some()
            {
                let count = pattern.count(input);
                heard.payload_bytes += (count * pattern.size) as u64;
                input = &input[count * pattern.stride..];
            }
            let step = link.next(input)?;
            let (used, rest) = input.split_at(step.used);
            input = rest;
            match step.event {
                None => break,
                Some(Event::Opened(Opened::Duplex(keys))) => heard.offered = Some(keys),
                Some(Event::Ping(key, ())) => link.pong(key),
                Some(Event::Pong(..)) => heard.ponged = true,
                Some(Event::Piece(_, (), piece)) => heard.piece(piece, &used[used.len() - piece.len..]),
                Some(_) => {}
            }
        }
        if let Some(why) = &self.heard.ended {
            bail!("the relay has ended the channel or the connection: {why}");
        }
        self.send(&[])
    }
}

impl Heard {
    fn piece(&mut self, piece: Piece, bytes: &[u8]) {
        match piece.what {
            What::Opening => self.offer_complete |= piece.last,
            What::Message => {
                self.payload_bytes += piece.len as u64;
                self.accepted |= piece.total == 0;
            }
            What::End => self.ended = Some(format!("{:?}", String::from_utf8_lossy(bytes))),
        }
    }
}

/// Whole messages that are all alike. They are counted at a stride that is known, without a wait for the length that
/// stands in each: much faster than by the link, which is told nothing of them but credit.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    /// The first eight bytes, and which of them are the head.
    head: u64,
    mask: u64,
    size: usize,
    stride: usize,
}

impl Pattern {
    fn of(batch: &Batch) -> Self {
        let mut head = [0; 8];
        let mut mask = [0; 8];
        let len = batch.head_len();
        head[..len].copy_from_slice(&batch.messages(1)[..len]);
        mask[..len].fill(0xff);
        let [head, mask] = [head, mask].map(u64::from_ne_bytes);
        Self { head, mask, size: batch.size(), stride: batch.stride() }
    }

    /// How many stand at the front.
    fn count(&self, input: &[u8]) -> usize {
        let is_one = |message: &[u8]| {
            message.first_chunk().is_some_and(|start| u64::from_ne_bytes(*start) & self.mask == self.head)
        };
        input.chunks_exact(self.stride).take_while(|message| is_one(message)).count()
    }
}

/// A name as the bus writes it: its length and itself.
fn named(name: &str) -> Vec<u8> {
    let len = u8::try_from(name.len()).expect("our names are short");
    [&[len], name.as_bytes()].concat()
}
