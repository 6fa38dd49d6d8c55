//! What the plugins of one thread share: the time, the ends of their channels, and what is measured of each flow.

use std::sync::Arc;

use slab::Slab;

use super::topology::{Role, Topology};
use crate::traffic::copies::Copies;
use crate::traffic::end::End;
use crate::traffic::flow::{Flow, Measured, Moment};
use crate::traffic::plugin::Plugin;
use crate::traffic::world::World;

/// What the plugins of a thread share.
pub(crate) struct Common {
    pub(crate) topology: Arc<Topology>,
    pub(crate) moment: Moment,
    pub(crate) ends: Slab<End>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) copies: Copies,
    /// Channels that were opened and that the other threads have not been told of.
    pub(crate) opened: u64,
}

impl Common {
    /// Nobody talks yet.
    pub(crate) fn new(topology: Arc<Topology>, moment: Moment) -> Self {
        let flow = |spec: &Arc<_>| Flow { spec: Arc::clone(spec), schedule: None, measured: Measured::default() };
        let flows = topology.flows.iter().map(flow).collect();
        Self { topology, moment, ends: Slab::new(), flows, copies: Copies::default(), opened: 0 }
    }

    /// It, as plugins see it.
    pub(crate) fn world(&mut self) -> World<'_> {
        World {
            moment: self.moment,
            ends: &mut self.ends,
            flows: &mut self.flows,
            copies: &mut self.copies,
            directory: &*self.topology,
            arrivals: &self.topology.arrivals,
            opened: &mut self.opened,
        }
    }

    /// What a plugin is there for.
    pub(crate) fn role(&self, plugin: &Plugin) -> Role {
        self.topology.plugins[plugin.number as usize].role
    }
}
