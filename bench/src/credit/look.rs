//! What the relay says of a channel, asked as a plugin would.

use std::time::Instant;

use anyhow::{Context, Result};
use minbus::{Bus, Flow, FlowState, Stats};
use tokio::runtime::{self, Runtime};

use crate::baseline::line::NAMES;
use crate::baseline::server::Server;

/// A client that asks.
pub(super) struct Look {
    runtime: Runtime,
    bus: Bus,
}

/// A direction of a channel at some time.
pub(super) struct View {
    pub(super) flow: Flow,
    pub(super) at: Instant,
}

impl Look {
    /// Connects to a relay.
    pub(super) fn at(server: &Server) -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let address = server.address().to_string().parse().context("an address that the client knows")?;
        let bus = runtime.block_on(Bus::builder().address(address).connect())?;
        Ok(Self { runtime, bus })
    }

    pub(super) fn stats(&self) -> Result<Stats> {
        Ok(self.runtime.block_on(self.bus.stats())?)
    }

    /// The direction of a [`crate::baseline::line::Line`] in which it is written.
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
