//! One who floods: writes what costs no credit, or next to none, as fast as the relay takes it.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use bpmux::{DuplexKeys, HalfKey, Kind, chunk};

use crate::plugin::Plugin;
use crate::server::Server;

/// Chunks that are written at once.
const CHUNKS: usize = 2_000;
/// What a message is announced as that comes in single bytes.
const PARTED_BYTES: u64 = 1 << 20;
/// Credit for each reason why a connect is refused.
const REASON_CREDIT: u64 = 16;
/// What the others give on their channels.
const EVERYTHING: u64 = 1 << 40;

/// What somebody floods with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    Pings,
    EmptyMessages,
    /// Of one byte each.
    Grants,
    /// Sinks, which the relay has no use for, ended at once.
    Opens,
    /// To a plugin that is not there.
    Connects,
    /// Of one byte each.
    Parts,
}

/// One who floods, and the channel that it has.
pub(super) struct Flooder {
    plugin: Plugin,
    keys: DuplexKeys,
    id: u64,
    flood: Flood,
}

impl Flooder {
    pub(super) fn name(number: usize) -> String {
        format!("flooder-{number}")
    }

    /// Returns also the plugin at the other end of its channel, which is to be read.
    pub(super) fn connect(server: &mut Server, flood: Flood, number: usize) -> Result<(Self, Plugin)> {
        let peer_name = format!("flooded-{number}");
        let mut plugin = Plugin::register(server.connect()?, &Self::name(number))?;
        let mut peer = Plugin::register(server.connect()?, &peer_name)?;
        peer.set_window(EVERYTHING);
        // So that credit in single bytes is news.
        plugin.set_window(0);
        let [keys, _] = plugin.connect(&mut peer, &peer_name)?;
        plugin.forgive_ends();
        let id = plugin.id(keys.writer);
        Ok((Self { plugin, keys, id, flood }, peer))
    }

    /// Floods until it is to stop, or is stopped.
    pub(super) fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            if self.write()? {
                self.plugin.hear()?;
            } else {
                self.plugin.read()?;
            }
        }
        Ok(())
    }

    /// Writes some of it. Returns whether there was credit for any.
    fn write(&mut self) -> Result<bool> {
        let Self { plugin, keys, id, flood } = self;
        let mut wrote = true;
        plugin.say(|link, out| match flood {
            Flood::Pings => link.pings(HalfKey::TOP_READER, CHUNKS as u32),
            Flood::EmptyMessages => (0..CHUNKS).for_each(|_| link.put_part(keys.writer, 0, 0, out)),
            // The link itself would put them together.
            Flood::Grants => (0..CHUNKS).for_each(|_| chunk::put_control(Kind::OutStream, false, 1, *id, out)),
            Flood::Opens => {
                for _ in 0..CHUNKS {
                    let key = link.open(Kind::OutSink, &[], 0, out).expect("an empty opening needs no credit");
                    link.end(key, &[]);
                }
            }
            Flood::Connects => {
                let opening = b"\0\x06nobody";
                let mut opened = 0;
                while opened < CHUNKS
                    && let Ok(keys) = link.open_duplex(1, opening, REASON_CREDIT, out)
                {
                    link.grant(keys.writer, REASON_CREDIT);
                    opened += 1;
                }
                wrote = opened > 0;
            }
            Flood::Parts => {
                let parts = link.may_send(keys.writer).min(CHUNKS as u64);
                for _ in 0..parts {
                    link.put_part(keys.writer, PARTED_BYTES, 1, out);
                    out.push(b'.');
                }
                wrote = parts > 0;
            }
        })?;
        Ok(wrote)
    }
}
