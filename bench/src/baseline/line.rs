//! A plugin's way to another one: through the relay, as a channel, or through a forwarder that knows only bytes.

use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use bpmux::{DuplexKeys, Kind};

use super::batch::Batch;
use super::plugin::Plugin;
use super::server::{Program, Server};
use super::socket::Socket;

/// The plugins at both ends of a channel; the first one opens it.
pub(crate) const NAMES: [&str; 2] = ["bench-a", "bench-b"];

/// One plugin's end.
#[derive(Debug)]
pub(crate) enum Line {
    /// Through a forwarder.
    Bare(Socket),
    /// Through the relay, and what we are to it as a writer.
    Channel(Box<Plugin>, DuplexKeys, Kind),
}

impl Line {
    /// Connects a pair, and so many others between the two, which are over at once.
    pub(crate) fn pair(server: &mut Server, between: usize) -> Result<[Self; 2]> {
        let one = server.connect()?;
        for _ in 0..between {
            server.connect()?;
        }
        let other = server.connect()?;
        if let Program::Forwarder(_) = server.program() {
            return Ok([Self::Bare(Socket::new(one)?), Self::Bare(Socket::new(other)?)]);
        }
        Self::channel(one, other)
    }

    /// A channel between plugins with these connections.
    pub(crate) fn channel(one: OwnedFd, other: OwnedFd) -> Result<[Self; 2]> {
        let [name, peer] = NAMES;
        let mut one = Plugin::register(one, name)?;
        let mut other = Plugin::register(other, peer)?;
        let [keys, offered] = one.connect(&mut other, peer)?;
        Ok([Self::Channel(Box::new(one), keys, Kind::OutSink), Self::Channel(Box::new(other), offered, Kind::InSink)])
    }

    /// Messages to write on it.
    pub(crate) fn batch(&self, size: usize, count: Option<usize>) -> Batch {
        match self {
            // Any id of the same length will do.
            Self::Bare(..) => Batch::new(Kind::OutSink, 1, size, count),
            Self::Channel(plugin, keys, kind) => Batch::new(*kind, plugin.id(keys.writer), size, count),
        }
    }

    /// Expects messages of this size, a great many of them.
    pub(crate) fn expect(&mut self, size: usize) {
        if let Self::Channel(plugin, keys, kind) = self {
            let kind = if *kind == Kind::OutSink { Kind::InSink } else { Kind::OutSink };
            let like = Batch::new(kind, plugin.id(keys.writer), size, Some(1));
            plugin.expect(&like);
        }
    }

    /// Writes all messages of a batch.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<()> {
        match self {
            Self::Bare(socket) => socket.write(&[], batch.messages(batch.count())),
            Self::Channel(plugin, keys, _) => plugin.write_batch(keys.writer, batch),
        }
    }

    /// Reads what has come, or waits for it. Returns how much that is, in bytes as [`Line::unit`] counts them.
    pub(crate) fn read(&mut self) -> Result<u64> {
        match self {
            Self::Bare(socket) => socket.read(|input| {
                ensure!(!input.is_empty(), "the forwarder has ended the connection");
                Ok(input.len() as u64)
            }),
            Self::Channel(plugin, ..) => plugin.read(),
        }
    }

    /// What a message comes to in [`Line::read`]: its payload where that is known, else all its bytes.
    pub(crate) fn unit(&self, batch: &Batch) -> u64 {
        match self {
            Self::Bare(..) => batch.stride() as u64,
            Self::Channel(..) => batch.size() as u64,
        }
    }
}
