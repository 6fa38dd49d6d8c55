//! A client of a competitor: it writes messages that were prepared, and compares what it receives.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::{SendFlags, send};

use super::tape::{self, Tape};
use super::wire::{ENVELOPES, Opener, Talk, Wire, find, shown};
use crate::plugin::socket::{PATIENCE, Socket};

/// The most that goes into one write, in bytes, unless one message is longer: what fits into a frame of
/// Zenoh, which is the smallest.
const WRITE_BYTES: usize = 48_000;

/// The filling of messages.
const FILLING: u8 = 0x5a;

/// How long a first message may take before another is sent: the server may not have read yet that somebody wants it.
const PROBE_PATIENCE: Duration = Duration::from_millis(5);

/// Nothing more comes for so long: no other first message is late.
const QUIET: Duration = Duration::from_millis(20);

/// A client.
pub(crate) struct Client {
    wire: Box<dyn Wire>,
    output: Socket,
    /// Where messages come from, if not from where ours go.
    input: Option<Socket>,
    /// Something that has not come whole.
    begun: Vec<u8>,
    opener: Option<Opener>,
    tape: Option<Tape>,
    script: Script,
}

/// What it writes.
#[derive(Debug, Default)]
struct Script {
    bytes: Vec<u8>,
    writes: Vec<Write>,
    next: usize,
    envelope: u8,
}

/// Bytes that are written at once, the messages in it, and the numbers of their envelopes.
#[derive(Debug)]
struct Write {
    range: Range<usize>,
    count: u64,
    numbers_at: Vec<usize>,
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input().as_fd()
    }
}

impl Client {
    /// Introduces itself under a name. Returns also how others address it.
    pub(crate) fn join(
        wire: Box<dyn Wire>,
        output: Socket,
        input: Option<Socket>,
        name: &str,
    ) -> Result<(Self, String)> {
        let mut talks: Vec<Talk> = [Some(output), input].into_iter().flatten().map(Talk::new).collect();
        let address = wire.join(&mut talks, name).with_context(|| format!("joining as {name}"))?;
        let mut talks = talks.into_iter().map(Talk::end);
        let (output, mut begun) = talks.next().expect("there is one at least");
        let mut input = None;
        if let Some((socket, rest)) = talks.next() {
            (input, begun) = (Some(socket), rest);
        }
        let opener = wire.opener();
        let client = Self { wire, output, input, begun, opener, tape: None, script: Script::default() };
        Ok((client, address))
    }

    fn input(&self) -> &Socket {
        self.input.as_ref().unwrap_or(&self.output)
    }

    /// Prepares messages of `size` bytes to another, `count` in each write or as many as go into one, and has the other
    /// find out what they look like where they arrive.
    pub(crate) fn prepare(&mut self, other: &mut Self, address: &str, size: usize, count: Option<usize>) -> Result<()> {
        let mut payload = vec![FILLING; size];
        if let Some(introduction) = self.wire.introduction(address) {
            self.send_alone(introduction)?;
        }
        self.probe(other, address, &payload)?;
        // Another time, as servers may introduce an address before they first use it.
        let like = self.probe(other, address, &payload)?;
        let end = like.len() - other.wire.trailer().len();
        other.tape = Some(Tape::new(&like, end - size));
        let stride = self.wire.message(address, &payload).len();
        let cycle = tape::cycle(like.len());
        let per_write = count.unwrap_or((WRITE_BYTES / stride).max(1));
        // Whole cycles and whole writes.
        let messages = if per_write >= cycle { per_write / cycle * cycle } else { cycle };
        let (script, wire) = (&mut self.script, &self.wire);
        script.writes.clear();
        script.bytes.clear();
        script.next = 0;
        let mut number = 0;
        while number < messages {
            let count = per_write.min(messages - number);
            let mut bytes = Vec::with_capacity(count * stride);
            for number in number..number + count {
                tape::stamp(&mut payload, number % cycle);
                bytes.extend(wire.message(address, &payload));
            }
            script.push(bytes, count, wire.as_ref());
            number += count;
        }
        Ok(())
    }

    /// Sends a message and returns how it arrives.
    fn probe(&mut self, other: &mut Self, address: &str, payload: &[u8]) -> Result<Vec<u8>> {
        let trailer = other.wire.trailer();
        let what = [&payload[..payload.len()], trailer].concat();
        let start = Instant::now();
        let mut probes = 0;
        while start.elapsed() < PATIENCE {
            self.send_alone(self.wire.message(address, payload))?;
            probes += 1;
            let sent = Instant::now();
            while sent.elapsed() < PROBE_PATIENCE {
                if let Some(at) = find(&other.begun, &what) {
                    let like = other.begun.drain(..at + what.len()).collect();
                    // Others that were late.
                    while probes > 1 && other.receive_raw(QUIET)? {}
                    other.begun.clear();
                    return Ok(like);
                }
                other.receive_raw(Duration::from_millis(1))?;
                other.drop_asides()?;
            }
        }
        bail!("a first message does not arrive; instead {:?} did", shown(&other.begun));
    }

    fn send_alone(&mut self, message: Vec<u8>) -> Result<()> {
        let mut script = Script { envelope: self.script.envelope, ..Script::default() };
        script.push(message, 1, self.wire.as_ref());
        let (range, _) = script.advance();
        self.output.write(&script.bytes[range], &[])?;
        self.script.envelope = script.envelope;
        Ok(())
    }

    /// Takes what has come as it is, if there is anything in that time.
    fn receive_raw(&mut self, patience: Duration) -> Result<bool> {
        let start = Instant::now();
        loop {
            let Self { input, output, opener, begun, .. } = self;
            let came = input.as_ref().unwrap_or(output).try_read(|bytes| {
                ensure!(!bytes.is_empty(), "the server has ended the connection");
                let mut keep = |bytes: &[u8]| {
                    begun.extend_from_slice(bytes);
                    Ok(())
                };
                match opener {
                    Some(opener) => opener(bytes, &mut keep),
                    None => keep(bytes),
                }
            })?;
            if came.is_some() || start.elapsed() > patience {
                return Ok(came.is_some());
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn drop_asides(&mut self) -> Result<()> {
        while let Some((len, answer)) = self.wire.aside(&self.begun) {
            self.begun.drain(..len);
            self.output.write(answer, &[])?;
        }
        Ok(())
    }

    /// How many messages are written at once the next time.
    pub(crate) fn next_count(&self) -> u64 {
        self.script.writes.get(self.script.next).map_or(0, |write| write.count)
    }

    /// Writes the next messages.
    pub(crate) fn write(&mut self) -> Result<()> {
        let (range, _) = self.script.advance();
        self.output.write(&self.script.bytes[range], &[])
    }

    /// Writes messages until this time, or until the server cuts us off, with a pause behind each write. A message that is
    /// begun is finished even later: by then somebody reads.
    pub(crate) fn flood(&mut self, end: Instant, pause: Duration) -> Result<Flood> {
        let mut flood = Flood::default();
        while Instant::now() < end {
            let (range, count) = self.script.advance();
            let mut rest = &self.script.bytes[range];
            let begun = Instant::now();
            while !rest.is_empty() {
                match send(&self.output, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                    Ok(len) => rest = &rest[len..],
                    Err(rustix::io::Errno::AGAIN) if begun.elapsed() < PATIENCE => thread::sleep(pause),
                    Err(_) => {
                        flood.is_cut_off = true;
                        return Ok(flood);
                    }
                }
            }
            flood.messages += count;
            flood.held = flood.held.max(begun.elapsed());
            thread::sleep(pause);
        }
        Ok(flood)
    }

    /// Reads what has come, or waits for it. Returns how many messages have come whole.
    pub(crate) fn read(&mut self) -> Result<u64> {
        let Self { wire, output, input, begun, opener, tape, .. } = self;
        let tape = tape.as_mut().context("nobody was to send anything")?;
        let before = tape.received();
        let mut take = |bytes: &[u8]| take(bytes, begun, tape, wire.as_ref(), output);
        input.as_ref().unwrap_or(output).read(|bytes| {
            ensure!(!bytes.is_empty(), "the server has ended the connection");
            match opener {
                Some(opener) => opener(bytes, &mut take),
                None => take(bytes),
            }
        })?;
        Ok(tape.received() - before)
    }

    /// Messages that were passed over, by their numbers.
    pub(crate) fn missing(&self) -> u64 {
        self.tape.as_ref().map_or(0, Tape::missing)
    }

    /// Bytes of a message as it arrives.
    pub(crate) fn stride(&self) -> usize {
        self.tape.as_ref().map_or(0, Tape::stride)
    }
}

/// What became of messages to somebody who does not read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flood {
    /// Messages that the server has taken.
    pub(crate) messages: u64,
    /// The longest time that it has taken none.
    pub(crate) held: Duration,
    /// Whether it has ended the connection.
    pub(crate) is_cut_off: bool,
}

/// Compares what has come, and answers what is no message.
fn take(bytes: &[u8], begun: &mut Vec<u8>, tape: &mut Tape, wire: &dyn Wire, output: &Socket) -> Result<()> {
    let joined;
    let mut rest = bytes;
    if !begun.is_empty() {
        begun.extend_from_slice(bytes);
        joined = std::mem::take(begun);
        rest = &joined;
    }
    while !rest.is_empty() {
        rest = &rest[tape.take(rest)?..];
        if rest.is_empty() {
            break;
        }
        let Some((len, answer)) = wire.aside(rest) else {
            ensure!(rest.len() < 16, "the server has said {:?}", shown(rest));
            *begun = rest.to_vec();
            break;
        };
        rest = &rest[len..];
        output.write(answer, &[])?;
    }
    Ok(())
}

impl Script {
    fn push(&mut self, mut bytes: Vec<u8>, count: usize, wire: &dyn Wire) {
        let start = self.bytes.len();
        let numbers_at = wire.wrap(&mut bytes).into_iter().map(|at| start + at).collect();
        self.bytes.extend(bytes);
        self.writes.push(Write { range: start..self.bytes.len(), count: count as u64, numbers_at });
    }

    /// The next bytes to write, and how many messages they are.
    fn advance(&mut self) -> (Range<usize>, u64) {
        let write = &self.writes[self.next];
        for &at in &write.numbers_at {
            self.bytes[at] = self.envelope;
            self.envelope = (self.envelope + 1) % ENVELOPES;
        }
        self.next = (self.next + 1) % self.writes.len();
        (write.range.clone(), write.count)
    }
}
