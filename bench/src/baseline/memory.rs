//! Memory in the relay: how much more it holds for many connections or channels than for few.

use anyhow::{Context, Result};

use testkit::proc::{Memory, memory_bytes};

use crate::plugin::Plugin;
use crate::server::Server;

/// Connections that are there before those that count: what the relay sets up once is set up by then.
const CONNECTIONS_BEFORE: usize = 1_000;

/// Bytes for each of `count` registered plugins that do nothing.
pub(super) fn of_connections(server: &mut Server, count: usize) -> Result<f64> {
    let mut plugins = Vec::new();
    let mut register_until = |count: usize| -> Result<u64> {
        while plugins.len() < count {
            plugins.push(Plugin::register(server.connect()?, &format!("bench-idle-{}", plugins.len()))?);
        }
        Ok(memory_bytes(server.pid(), Memory::Anonymous)?)
    };
    let before = register_until(CONNECTIONS_BEFORE)?;
    let after = register_until(CONNECTIONS_BEFORE + count)?;
    Ok((after as f64 - before as f64) / count as f64)
}

/// Bytes for each channel between `count` plugins, of which each has one to each other.
pub(super) fn of_channels(server: &mut Server, count: usize) -> Result<f64> {
    let name = |index: usize| format!("bench-idle-{index}");
    let mut plugins = Vec::new();
    for index in 0..count {
        plugins.push(Plugin::register(server.connect()?, &name(index))?);
    }
    let before = memory_bytes(server.pid(), Memory::Anonymous)?;
    let mut channels = 0;
    for index in 1..count {
        let (earlier, later) = plugins.split_at_mut(index);
        let after = |channels| move || format!("after {channels} channels");
        for (peer, earlier) in earlier.iter_mut().enumerate() {
            later[0].connect(earlier, &name(peer)).with_context(after(channels))?;
            earlier.connect(&mut later[0], &name(index)).with_context(after(channels + 1))?;
            channels += 2;
        }
    }
    let after = memory_bytes(server.pid(), Memory::Anonymous)?;
    Ok((after as f64 - before as f64) / f64::from(channels))
}
