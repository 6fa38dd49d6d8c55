//! One end of a pair, whatever its protocol: it writes messages, and says how many have come.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bpmux::{DuplexKeys, Kind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::client::{Client, Flood};
use crate::plugin::Plugin;
use crate::plugin::batch::Batch;
use crate::plugin::socket::Socket;
use crate::server::{Program, Server};

/// The plugins at both ends of a channel; the first one opens it.
pub(crate) const NAMES: [&str; 2] = ["bench-a", "bench-b"];

/// A client of a server.
pub(crate) struct End {
    way: Way,
    /// What it writes, if its protocol is ours.
    batch: Option<Batch>,
    /// What a message comes to where it is read, in bytes, and what has come of one.
    unit: u64,
    begun: u64,
}

/// How it reaches the other end.
enum Way {
    /// Through a forwarder, with messages like those of a channel.
    Bare(Socket),
    /// Through the relay, and what we are to it as a writer.
    Channel(Box<Plugin>, DuplexKeys, Kind),
    /// Through anything else, to this address.
    Client(Box<Client>, String),
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Bare(socket) => socket.as_fd(),
            Way::Channel(plugin, ..) => plugin.as_fd(),
            Way::Client(client, _) => client.as_fd(),
        }
    }
}

impl End {
    fn new(way: Way) -> Self {
        Self { way, batch: None, unit: 0, begun: 0 }
    }

    /// Connects a pair, and so many others between the two, which are over at once.
    pub(crate) fn pair(server: &mut Server, between: usize) -> Result<[Self; 2]> {
        let one = server.connect()?;
        for _ in 0..between {
            server.connect()?;
        }
        let other = server.connect()?;
        match server.program() {
            Program::Forwarder(_) => Ok([Socket::new(one)?, Socket::new(other)?].map(|it| Self::new(Way::Bare(it)))),
            Program::Relay { .. } => Self::channel(one, other, NAMES),
        }
    }

    /// A channel between plugins with these connections and names.
    pub(crate) fn channel(one: OwnedFd, other: OwnedFd, [name, peer]: [&str; 2]) -> Result<[Self; 2]> {
        let mut other = Plugin::register(other, peer)?;
        let (one, keys) = Self::to(Plugin::register(one, name)?, &mut other, peer)?;
        Ok([one, Self::new(Way::Channel(Box::new(other), keys, Kind::InSink))])
    }

    /// A plugin with a channel to another one of this name, and the other's end of that.
    pub(crate) fn to(mut one: Plugin, other: &mut Plugin, name: &str) -> Result<(Self, DuplexKeys)> {
        let [keys, theirs] = one.connect(other, name)?;
        Ok((Self::new(Way::Channel(Box::new(one), keys, Kind::OutSink)), theirs))
    }

    /// A plugin to which others have channels, of which this is one, and send messages of `size` bytes on all.
    pub(crate) fn reader(mut plugin: Plugin, keys: DuplexKeys, size: usize) -> Self {
        plugin.expect(&Batch::new(Kind::OutSink, 1, size, Some(1)));
        Self { unit: size as u64, ..Self::new(Way::Channel(Box::new(plugin), keys, Kind::InSink)) }
    }

    /// Two clients with their addresses.
    pub(crate) fn clients(one: (Client, String), other: (Client, String)) -> [Self; 2] {
        let [(one, to_one), (other, to_other)] = [one, other];
        [(one, to_other), (other, to_one)].map(|(client, to)| Self::new(Way::Client(Box::new(client), to)))
    }

    /// Prepares messages of `size` bytes to the other end: `count` in each write, or as many as go into one.
    pub(crate) fn prepare(&mut self, other: &mut Self, size: usize, count: Option<usize>) -> Result<()> {
        if let (Way::Client(one, address), Way::Client(other, _)) = (&mut self.way, &mut other.way) {
            return one.prepare(other, address, size, count);
        }
        let batch = self.fill(size, count);
        other.unit = match &mut other.way {
            Way::Channel(plugin, ..) => {
                plugin.expect(batch);
                size as u64
            }
            // It does not know what is a head.
            _ => batch.stride() as u64,
        };
        Ok(())
    }

    /// Prepares messages to somebody who expects them.
    pub(crate) fn fill(&mut self, size: usize, count: Option<usize>) -> &Batch {
        self.batch.insert(match &self.way {
            Way::Channel(plugin, keys, kind) => Batch::new(*kind, plugin.id(keys.writer), size, count),
            // Any id of the same length will do.
            _ => Batch::new(Kind::OutSink, 1, size, count),
        })
    }

    /// Counts messages of `size` bytes, of which not many come.
    pub(crate) fn count(&mut self, size: usize) {
        self.unit = size as u64;
    }

    /// How many messages are written at once the next time.
    pub(crate) fn next_count(&self) -> u64 {
        match &self.way {
            Way::Client(client, _) => client.next_count(),
            _ => self.batch.as_ref().map_or(0, |batch| batch.count() as u64),
        }
    }

    /// Whether the next messages can be written at once, as far as that is known.
    pub(crate) fn may_write(&self) -> bool {
        match (&self.way, &self.batch) {
            (Way::Channel(plugin, keys, _), Some(batch)) => plugin.may_write(keys.writer, batch),
            _ => true,
        }
    }

    /// Writes the next messages.
    pub(crate) fn write(&mut self) -> Result<()> {
        if let Way::Client(client, _) = &mut self.way {
            return client.write();
        }
        let batch = self.batch.as_ref().context("nothing is prepared")?;
        match &mut self.way {
            Way::Channel(plugin, keys, _) => plugin.write_batch(keys.writer, batch),
            Way::Bare(socket) => socket.write(&[], batch.messages(batch.count())),
            Way::Client(..) => unreachable!("it has written"),
        }
    }

    /// Reads what has come, or waits for it. Returns how many messages have come whole.
    pub(crate) fn read(&mut self) -> Result<u64> {
        let bytes = match &mut self.way {
            Way::Client(client, _) => return client.read(),
            Way::Channel(plugin, ..) => plugin.read()?,
            Way::Bare(socket) => socket.read(|input| {
                ensure!(!input.is_empty(), "the forwarder has ended the connection");
                Ok(input.len() as u64)
            })?,
        };
        self.begun += bytes;
        let count = self.begun.checked_div(self.unit).context("nobody was to send anything")?;
        self.begun %= self.unit;
        Ok(count)
    }

    /// Takes what has come for a plugin that writes, if anything has: credit.
    pub(crate) fn hear(&mut self) -> Result<()> {
        match &mut self.way {
            Way::Channel(plugin, ..) => plugin.hear(),
            _ => Ok(()),
        }
    }

    /// Whether there is something to read, within this time.
    pub(crate) fn is_readable(&self, patience: Duration) -> Result<bool> {
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
        let mut fds = [PollFd::new(self, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Messages that were passed over, as far as that is known.
    pub(crate) fn missing(&self) -> u64 {
        match &self.way {
            Way::Client(client, _) => client.missing(),
            _ => 0,
        }
    }

    /// Bytes of a message as it arrives, about.
    pub(crate) fn stride(&self) -> usize {
        match &self.way {
            Way::Client(client, _) => client.stride(),
            _ => self.unit as usize,
        }
    }

    /// Writes messages until `end`, whether somebody reads them or not, with a pause behind each write.
    pub(crate) fn flood(&mut self, end: Instant, pause: Duration) -> Result<Flood> {
        if let Way::Client(client, _) = &mut self.way {
            return client.flood(end, pause);
        }
        let mut flood = Flood::default();
        let mut taken = Instant::now();
        while Instant::now() < end {
            if self.may_write() {
                self.write()?;
                flood.messages += self.next_count();
                taken = Instant::now();
            } else {
                self.hear()?;
                flood.held = flood.held.max(taken.elapsed());
            }
            std::thread::sleep(pause);
        }
        Ok(flood)
    }
}
