//! A pair of plugins in a relay, and what that says of their channel, asked as a plugin would.

use std::time::Instant;

use anyhow::{Context, Result};
use minbus::{Bus, Flow, FlowState, Stats};
use tokio::runtime::{self, Runtime};

use super::link_emulator::{Carriers, LinkEmulator};
use crate::lab::scene::Scene;
use crate::server::Server;
use crate::traffic::end::{End, NAMES};
use crate::traffic::flow;
use crate::traffic::sample::{Sample, Setting};

/// A pair, of which the writer may be far away.
pub(super) struct Pair {
    pub(super) server: Server,
    pub(super) ends: [End; 2],
    pub(super) look: Look,
    carriers: Option<Carriers>,
}

impl Pair {
    /// In a fresh relay with this configuration.
    pub(super) fn new(scene: &Scene, config: &str, way: Option<LinkEmulator>) -> Result<Self> {
        Self::at(scene.relay(config)?, way)
    }

    /// In a relay.
    pub(super) fn at(mut server: Server, way: Option<LinkEmulator>) -> Result<Self> {
        let (one, other) = (server.connect()?, server.connect()?);
        let (one, carriers) = match way {
            Some(way) => way.before(one).map(|(near, carriers)| (near, Some(carriers)))?,
            None => (one, None),
        };
        let ends = End::channel(one, other, NAMES)?;
        Ok(Self { look: Look::at(&server)?, server, ends, carriers })
    }

    /// Sends messages of `size` bytes as fast as it goes. Returns also what the cap was at the end, in KiB.
    pub(super) fn flow(&mut self, setting: &Setting, size: usize) -> Result<(Sample, f64)> {
        let pid = self.server.pid();
        flow::pair(&mut self.ends, size, |going| {
            let sample = going.sample(setting, pid, size)?;
            Ok((sample, self.look.view()?.flow.cap_bytes as f64 / 1024.0))
        })
    }

    /// They leave, and the relay stops. Nobody else must be there.
    pub(super) fn stop(self) -> Result<()> {
        let Self { server, ends, look, carriers } = self;
        drop((ends, look));
        carriers.into_iter().for_each(Carriers::join);
        server.stop()
    }
}

/// A client that asks.
pub(super) struct Look {
    runtime: Runtime,
    bus: Bus,
}

/// A direction of a channel at some time.
pub(super) struct View {
    pub(super) flow: Flow,
    at: Instant,
}

impl Look {
    /// Connects to a relay.
    pub(super) fn at(server: &Server) -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let bus = runtime.block_on(Bus::builder().address(server.address().clone()).connect())?;
        Ok(Self { runtime, bus })
    }

    pub(super) fn stats(&self) -> Result<Stats> {
        Ok(self.runtime.block_on(self.bus.stats())?)
    }

    /// The direction between [`NAMES`] in which it is written.
    pub(super) fn view(&self) -> Result<View> {
        let flows = self.stats()?.flows;
        let at = Instant::now();
        let names = NAMES.map(str::as_bytes);
        let is_it = |flow: &Flow| [flow.writer.name.as_bytes(), flow.reader.name.as_bytes()] == names;
        let flow = flows.into_iter().find(|flow| is_it(flow) && flow.opened_by_writer);
        Ok(View { flow: flow.context("the relay does not tell of the channel")?, at })
    }

    /// What the memory of the relay is bounded by, in bytes.
    pub(super) fn ceiling_bytes(&self) -> Result<u64> {
        Ok(self.stats()?.ceiling.iter().map(|(_, bytes)| bytes).sum())
    }
}

impl View {
    /// Which part of the time since then it has been in a state, and which part of it is accounted for.
    pub(super) fn shares_since(&self, earlier: &Self, state: FlowState) -> (f64, f64) {
        let elapsed = (self.at - earlier.at).as_secs_f64();
        let share = |state| (self.flow.time(state) - earlier.flow.time(state)).as_secs_f64() / elapsed;
        (share(state), FlowState::ALL.into_iter().map(share).sum())
    }
}
