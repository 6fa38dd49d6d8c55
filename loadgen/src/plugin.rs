//! One connection to the bus, as a plugin has it: a socket that does not block, a link, and little else.
//!
//! Whoever drives it passes a closure that hears what the relay says. While a plugin waits, be it for room to write, it
//! reads on: neither end can block the other.

use std::io::IoSlice;
use std::mem;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bpmux::{DuplexKeys, Event, HalfKey, Limits, Link, Opened, Piece, What};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::address::Address;
use crate::error::Error;

/// Bytes that the relay may send on a channel before we give more.
pub(crate) const WINDOW_BYTES: u64 = 16 << 20;

/// Bytes that the relay may send on the top level: it only opens channels to us and says why it ends the connection.
const TOP_WINDOW_BYTES: u64 = 4096;

/// Bytes to read at once.
const INPUT_BYTES: usize = 128 << 10;

/// Bytes of control chunks to have waiting to be written.
const CONTROL_BYTES_MAX: usize = 16 << 10;

/// Time without a word from the relay, while something must come, after which we give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time during which a peer may not be known yet, and the pause between two attempts to connect to it.
const PEER_APPEARS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(2));

/// The code with which the relay refuses to connect to a plugin that it does not know.
const NOT_CONNECTED: u8 = 0x01;

/// What a plugin says it is, beside its name.
const VERSION: u16 = 1;

const LIMITS: Limits = Limits { halves_max: 64, openings_partial_max: 8 };

/// Something that the relay sent.
#[derive(Debug)]
pub(crate) enum Inbound<'a> {
    /// Whole messages with their heads on the half of [`Plugin::read_runs_of`].
    Run(&'a [u8]),
    /// An event, and the bytes of it if it is a piece.
    Event(Event<()>, &'a [u8]),
}

/// A connection that is registered as a plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    name: String,
    socket: OwnedFd,
    link: Link<()>,
    /// What was read last.
    input: Vec<u8>,
    /// Chunks that wait to be written.
    output: Vec<u8>,
    runs_of: Option<HalfKey>,
    /// What the relay says when it ends the connection.
    farewell: Vec<u8>,
}

impl Plugin {
    /// Connects and registers.
    pub(crate) fn connect(address: &Address, name: &str) -> Result<Self, Error> {
        let socket = address.connect().map_err(|source| Error::Unreachable { address: address.clone(), source })?;
        let mut plugin = Self {
            name: name.into(),
            socket,
            link: Link::new(LIMITS),
            input: vec![0; INPUT_BYTES],
            output: Vec::new(),
            runs_of: None,
            farewell: Vec::new(),
        };
        plugin.link.grant(HalfKey::TOP_READER, TOP_WINDOW_BYTES);
        let mut entry = named(name);
        entry.extend_from_slice(&VERSION.to_be_bytes());
        plugin.await_credit(HalfKey::TOP_WRITER, entry.len(), &mut |_, _| {})?;
        let len = entry.len() as u64;
        plugin.send_part(HalfKey::TOP_WRITER, len, &entry, &mut |_, _| {})?;
        Ok(plugin)
    }

    /// The link, to see what may be sent and to say what is to be said with the next write.
    pub(crate) fn link(&mut self) -> &mut Link<()> {
        &mut self.link
    }

    /// Whole messages of this half are handed over together from now on.
    pub(crate) fn read_runs_of(&mut self, key: HalfKey) {
        self.runs_of = Some(key);
    }

    /// The error to report when the channel is over too soon.
    pub(crate) fn channel_ended(&self) -> Error {
        Error::ChannelEnded { plugin: self.name.clone() }
    }

    // Channels.

    /// Connects to a plugin, which may need a moment to be known.
    pub(crate) fn open(&mut self, peer: &str) -> Result<DuplexKeys, Error> {
        let deadline = Instant::now() + PEER_APPEARS.0;
        loop {
            match self.try_open(peer)? {
                Ok(keys) => return Ok(keys),
                Err(Some(NOT_CONNECTED)) if Instant::now() < deadline => std::thread::sleep(PEER_APPEARS.1),
                Err(code) => return Err(Error::Refused { peer: peer.into(), code }),
            }
        }
    }

    /// Connects to a plugin, or says with which code that was refused.
    fn try_open(&mut self, peer: &str) -> Result<Result<DuplexKeys, Option<u8>>, Error> {
        let mut opening = vec![0x00];
        opening.extend(named(peer));
        self.await_credit(HalfKey::TOP_WRITER, opening.len(), &mut |_, _| {})?;
        let opened = self.link.open_duplex(1, &opening, WINDOW_BYTES, &mut self.output);
        let keys = opened.expect("the credit for it was awaited");
        let mut answer = None;
        while answer.is_none() {
            self.receive("an answer to a connect", &mut |_, inbound| match inbound {
                Inbound::Event(Event::Piece(key, (), Piece { what, .. }), bytes) if key == keys.reader => {
                    answer = Some(if what == What::End { Err(bytes.first().copied()) } else { Ok(keys) });
                }
                _ => {}
            })?;
        }
        Ok(answer.expect("the loop waits for it"))
    }

    /// Accepts the next channel that another plugin opens.
    pub(crate) fn accept(&mut self) -> Result<DuplexKeys, Error> {
        let mut offered = None;
        let mut complete = None;
        while complete.is_none() {
            self.receive("a channel to accept", &mut |_, inbound| match inbound {
                Inbound::Event(Event::Opened(Opened::Duplex(keys)), _) => offered = Some(keys),
                Inbound::Event(Event::Piece(_, (), Piece { what: What::Opening, last: true, .. }), _) => {
                    complete = offered;
                }
                _ => {}
            })?;
        }
        let keys = complete.expect("the loop waits for it");
        self.link.grant(keys.reader, WINDOW_BYTES);
        self.send_part(keys.writer, 0, &[], &mut |_, _| {})?;
        Ok(keys)
    }

    /// Leaves the bus, and waits until the relay has noticed.
    pub(crate) fn leave(mut self) -> Result<(), Error> {
        self.send_part(HalfKey::TOP_WRITER, 0, &[], &mut |_, _| {})?;
        loop {
            match self.receive("the end of the connection", &mut |_, _| {}) {
                Ok(()) => {}
                Err(Error::Disconnected { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    // Input and output.

    /// Waits until at least `len` bytes may be sent on an open half.
    pub(crate) fn await_credit(
        &mut self,
        key: HalfKey,
        len: usize,
        hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>),
    ) -> Result<(), Error> {
        while self.link.may_send(key) < len as u64 {
            if !self.link.is_open(key) {
                return Err(self.channel_ended());
            }
            self.receive("credit", hear)?;
        }
        Ok(())
    }

    /// Writes encoded chunks, behind what is owed. Their credit is the caller's to account for.
    pub(crate) fn send(
        &mut self,
        chunks: &[u8],
        hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>),
    ) -> Result<(), Error> {
        self.link.flush_owed(&mut self.output, CONTROL_BYTES_MAX);
        self.write_all(chunks, hear)
    }

    /// Writes the next part of a message of `total` bytes, or all of it. Its credit must be there.
    pub(crate) fn send_part(
        &mut self,
        key: HalfKey,
        total: u64,
        part: &[u8],
        hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>),
    ) -> Result<(), Error> {
        self.link.flush_owed(&mut self.output, CONTROL_BYTES_MAX);
        self.link.put_part(key, total, part.len() as u64, &mut self.output);
        self.write_all(part, hear)
    }

    /// Writes what waits and then `bytes`. Nothing may come between them, so what is owed meanwhile has to wait.
    fn write_all(&mut self, mut bytes: &[u8], hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>)) -> Result<(), Error> {
        loop {
            let written = self.write(bytes)?;
            bytes = &bytes[written..];
            if bytes.is_empty() && self.output.is_empty() {
                return Ok(());
            }
            if self.wait(PollFlags::IN | PollFlags::OUT, "room to write")?.contains(PollFlags::IN) {
                self.read(hear)?;
            }
        }
    }

    /// Reads what has come, or waits for it, and writes what that makes us owe.
    pub(crate) fn receive(
        &mut self,
        what: &'static str,
        hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>),
    ) -> Result<(), Error> {
        loop {
            if self.poll_receive(hear)? {
                return Ok(());
            }
            let room = if self.output.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            self.wait(PollFlags::IN | room, what)?;
        }
    }

    /// Reads what has come, if anything has, and writes what is owed as far as there is room. Returns whether it has.
    pub(crate) fn poll_receive(&mut self, hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>)) -> Result<bool, Error> {
        self.write_owed()?;
        let came = self.read(hear)?;
        self.write_owed()?;
        Ok(came)
    }

    fn write_owed(&mut self) -> Result<(), Error> {
        self.link.flush_owed(&mut self.output, CONTROL_BYTES_MAX);
        if self.output.is_empty() { Ok(()) } else { self.write(&[]).map(|_| ()) }
    }

    /// Writes as much as there is room for of what waits and then of `bytes`; returns how many of the latter.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        match rustix::io::writev(&self.socket, &[IoSlice::new(&self.output), IoSlice::new(bytes)]) {
            Ok(written) => {
                let waited = written.min(self.output.len());
                self.output.drain(..waited);
                Ok(written - waited)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(Errno::PIPE | Errno::CONNRESET) => self.last_words().map(|()| 0),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Reads once and tells what came; returns whether anything did.
    fn read(&mut self, hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>)) -> Result<bool, Error> {
        match rustix::io::read(&self.socket, &mut self.input) {
            Ok(0) => Err(self.disconnected()),
            Ok(len) => self.digest(len, hear).map(|()| true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(Errno::CONNRESET) => Err(self.disconnected()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Tells what the first `len` bytes of the input mean.
    fn digest(&mut self, len: usize, hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>)) -> Result<(), Error> {
        let Self { link, input, runs_of, farewell, name, .. } = self;
        let mut input = &mut input[..len];
        loop {
            if let Some(key) = *runs_of
                && link.run_at(input).is_some_and(|(found, ())| found == key)
            {
                let run = link.take_run(key, input, None);
                if run.messages > 0 {
                    let (bytes, rest) = mem::take(&mut input).split_at_mut(run.bytes);
                    input = rest;
                    hear(link, Inbound::Run(bytes));
                    continue;
                }
            }
            let step = link.next(input).map_err(|source| Error::Protocol { plugin: name.clone(), source })?;
            let (bytes, rest) = mem::take(&mut input).split_at_mut(step.used);
            input = rest;
            match step.event {
                None => return Ok(()),
                Some(Event::Ping(key, ())) => link.pong(key),
                Some(Event::Piece(HalfKey::TOP_READER, (), piece)) => {
                    farewell.extend_from_slice(&bytes[bytes.len() - piece.len..]);
                }
                Some(event @ Event::Piece(_, (), piece)) => {
                    hear(link, Inbound::Event(event, &bytes[bytes.len() - piece.len..]));
                }
                Some(event) => hear(link, Inbound::Event(event, &[])),
            }
        }
    }

    /// Waits until the socket is ready for one of `flags`; returns for which.
    fn wait(&self, flags: PollFlags, what: &'static str) -> Result<PollFlags, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let mut ready = [PollFd::new(&self.socket, flags)];
            match poll(&mut ready, Some(&timeout)) {
                Ok(0) => {
                    return Err(Error::Silent { plugin: self.name.clone(), what, seconds: PATIENCE.as_secs() });
                }
                // A hang-up and an error show when we read.
                Ok(_) if ready[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) => {
                    return Ok(ready[0].revents() | PollFlags::IN);
                }
                Ok(_) => return Ok(ready[0].revents()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    // Errors.

    /// The relay takes no more: reads up to why.
    fn last_words(&mut self) -> Result<(), Error> {
        while self.read(&mut |_, _| {})? {}
        Err(self.disconnected())
    }

    fn disconnected(&self) -> Error {
        let reason = String::from_utf8_lossy(&self.farewell).into_owned();
        Error::Disconnected { plugin: self.name.clone(), reason }
    }

    fn failed(&self, error: Errno) -> Error {
        Error::Socket { plugin: self.name.clone(), source: error.into() }
    }
}

/// Gives back what the relay has spent on a half, once that is half of the window.
#[inline]
pub(crate) fn top_up(link: &mut Link<()>, key: HalfKey) {
    let left = link.may_receive(key);
    if left < WINDOW_BYTES / 2 {
        link.grant(key, WINDOW_BYTES - left);
    }
}

/// A name as the bus writes it: its length and itself.
fn named(name: &str) -> Vec<u8> {
    let len = u8::try_from(name.len()).expect("our names are short");
    [&[len], name.as_bytes()].concat()
}

/// Two plugins and the channel from the first to the second.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The one that opened the channel, and its end of it.
    pub(crate) opener: (Plugin, DuplexKeys),
    /// The one that accepted it, and its end of it.
    pub(crate) acceptor: (Plugin, DuplexKeys),
}

impl Pair {
    /// Connects two plugins, whose names begin with `label`, and a channel between them.
    pub(crate) fn connect(address: &Address, label: &str) -> Result<Self, Error> {
        let name = |role: &str| format!("load-{}-{label}-{role}", std::process::id());
        let mut acceptor = Plugin::connect(address, &name("b"))?;
        let mut opener = Plugin::connect(address, &name("a"))?;
        std::thread::scope(|scope| {
            let accepting = scope.spawn(move || acceptor.accept().map(|keys| (acceptor, keys)));
            let keys = opener.open(&name("b"))?;
            let acceptor = accepting.join().expect("accepting does not panic")?;
            Ok(Self { opener: (opener, keys), acceptor })
        })
    }
}
