//! One end of a pair, whatever its protocol: it writes messages, and says how many have come.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bpmux::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::client::{Client, Flood};
use crate::baseline::batch::Batch;
use crate::baseline::line::Line;
use crate::baseline::plugin::Plugin;

/// A client of a server.
pub(super) enum End {
    /// Of the relay.
    Plugin(Channel),
    /// Of anything else, and the address of the other end.
    Client(Box<Client>, String),
}

/// A plugin with a channel.
pub(super) struct Channel {
    line: Line,
    batch: Option<Batch>,
    /// Payload of a message that we receive.
    size: u64,
    /// Payload of a message that has not come whole.
    begun: u64,
    missing: u64,
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plugin(Channel { line: Line::Channel(plugin, ..), .. }) => plugin.as_fd(),
            Self::Plugin(Channel { line: Line::Bare(socket), .. }) => socket.as_fd(),
            Self::Client(client, _) => client.as_fd(),
        }
    }
}

impl End {
    /// Connects two plugins, of which the other has this name.
    pub(super) fn channel(mut one: Plugin, mut other: Plugin, name: &str) -> Result<[Self; 2]> {
        let [keys, offered] = one.connect(&mut other, name)?;
        let end = |plugin, keys, kind| {
            let line = Line::Channel(Box::new(plugin), keys, kind);
            Self::Plugin(Channel { line, batch: None, size: 0, begun: 0, missing: 0 })
        };
        Ok([end(one, keys, Kind::OutSink), end(other, offered, Kind::InSink)])
    }

    /// Two clients with their addresses.
    pub(super) fn clients(one: (Client, String), other: (Client, String)) -> [Self; 2] {
        let [(one, to_one), (other, to_other)] = [one, other];
        [Self::Client(Box::new(one), to_other), Self::Client(Box::new(other), to_one)]
    }

    /// Prepares messages of `size` bytes to the other end: `count` in each write, or as many as go into one.
    pub(super) fn prepare(&mut self, other: &mut Self, size: usize, count: Option<usize>) -> Result<()> {
        match (self, other) {
            (Self::Plugin(one), Self::Plugin(other)) => {
                one.batch = Some(one.line.batch(size, count));
                other.line.expect(size);
                other.size = size as u64;
                Ok(())
            }
            (Self::Client(one, address), Self::Client(other, _)) => one.prepare(other, address, size, count),
            _ => unreachable!("both ends are of one kind"),
        }
    }

    /// How many messages are written at once the next time.
    pub(super) fn next_count(&self) -> u64 {
        match self {
            Self::Plugin(channel) => channel.batch.as_ref().map_or(0, |batch| batch.count() as u64),
            Self::Client(client, _) => client.next_count(),
        }
    }

    /// Writes the next messages.
    pub(super) fn write(&mut self) -> Result<()> {
        match self {
            Self::Plugin(channel) => channel.write(),
            Self::Client(client, _) => client.write(),
        }
    }

    /// Reads what has come, or waits for it. Returns how many messages have come whole.
    pub(super) fn read(&mut self) -> Result<u64> {
        match self {
            Self::Plugin(channel) => channel.read(),
            Self::Client(client, _) => client.read(),
        }
    }

    /// Whether there is something to read, within this time.
    pub(super) fn is_readable(&self, patience: Duration) -> Result<bool> {
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
        let mut fds = [PollFd::new(self, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Messages that were passed over, as far as that is known.
    pub(super) fn missing(&self) -> u64 {
        match self {
            Self::Plugin(channel) => channel.missing,
            Self::Client(client, _) => client.missing(),
        }
    }

    /// Bytes of a message as it arrives, about.
    pub(super) fn stride(&self) -> usize {
        match self {
            Self::Plugin(channel) => channel.size as usize,
            Self::Client(client, _) => client.stride(),
        }
    }

    /// Writes messages until `end`, whether somebody reads them or not, with a pause behind each write.
    pub(super) fn flood(&mut self, end: Instant, pause: Duration) -> Result<Flood> {
        match self {
            Self::Plugin(channel) => channel.flood(end, pause),
            Self::Client(client, _) => client.flood(end, pause),
        }
    }
}

impl Channel {
    fn write(&mut self) -> Result<()> {
        self.line.write(self.batch.as_ref().context("nothing is prepared")?)
    }

    fn read(&mut self) -> Result<u64> {
        ensure!(self.size > 0, "nobody was to send anything");
        self.begun += self.line.read()?;
        let count = self.begun / self.size;
        self.begun %= self.size;
        Ok(count)
    }

    fn flood(&mut self, end: Instant, pause: Duration) -> Result<Flood> {
        let batch = self.batch.as_ref().context("nothing is prepared")?;
        let mut flood = Flood::default();
        let mut taken = Instant::now();
        while Instant::now() < end {
            if let Line::Channel(plugin, keys, _) = &mut self.line
                && !plugin.may_write(keys.writer, batch)
            {
                plugin.try_receive()?;
                flood.held = flood.held.max(taken.elapsed());
            } else {
                self.line.write(batch)?;
                flood.messages += batch.count() as u64;
                taken = Instant::now();
            }
            std::thread::sleep(pause);
        }
        Ok(flood)
    }
}
