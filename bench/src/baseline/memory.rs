//! Memory in the relay: how much more it holds for many connections or channels than for few.

use anyhow::Result;
use testkit::proc::{Memory, memory_bytes};

use crate::plugin::Plugin;
use crate::server::Server;
use crate::traffic::idle;
use crate::traffic::sample::Sample;

/// Connections that are there before those that count.
const CONNECTIONS_BEFORE: usize = 1_000;

/// For each of `count` registered plugins that do nothing.
pub(super) fn of_connections(server: &mut Server, count: usize) -> Result<Sample> {
    let pid = server.pid();
    let register = |index| Plugin::register(server.connect()?, &name(index));
    idle::measure(CONNECTIONS_BEFORE, count, register, || memory_bytes(pid, Memory::Anonymous))
}

/// For each channel between `count` plugins, of which each has one to each other.
pub(super) fn of_channels(server: &mut Server, count: usize) -> Result<Sample> {
    let pid = server.pid();
    let register = |index| Plugin::register(server.connect()?, &name(index));
    let mut plugins = (0..count).map(register).collect::<Result<Vec<Plugin>>>()?;
    // Each pair of them in turn, and first from the later to the earlier.
    let mut pairs =
        (1..count).flat_map(|later| (0..later).flat_map(move |earlier| [(later, earlier), (earlier, later)]));
    let connect = |_| {
        let (from, to) = pairs.next().expect("there are as many");
        let [one, other] = plugins.get_disjoint_mut([from, to])?;
        one.connect(other, &name(to)).map(drop)
    };
    idle::measure(0, count * (count - 1), connect, || memory_bytes(pid, Memory::Anonymous))
}

fn name(index: usize) -> String {
    format!("bench-idle-{index}")
}
