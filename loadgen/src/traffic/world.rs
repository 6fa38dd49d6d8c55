//! What the plugins of one thread share: the time, the ends of their channels, what is measured of each flow, and whom they
//! talk to.

use std::sync::Arc;

use slab::Slab;

use super::copies::Copies;
use super::end::End;
use super::flow::{Flow, Measured, Moment};
use super::topology::{Role, Topology};

/// What the plugins of a thread share.
pub(crate) struct World {
    pub(crate) topology: Arc<Topology>,
    pub(crate) moment: Moment,
    pub(crate) ends: Slab<End>,
    pub(crate) flows: Vec<Flow>,
    /// Messages to be sent again with other stamps.
    pub(crate) copies: Copies,
    /// Channels that were opened and that the other threads have not been told of.
    pub(crate) opened: u64,
}

impl World {
    /// Nobody talks yet.
    pub(crate) fn new(topology: Arc<Topology>, moment: Moment) -> Self {
        let flow = |spec: &Arc<_>| Flow { spec: Arc::clone(spec), schedule: None, measured: Measured::default() };
        let flows = topology.flows.iter().map(flow).collect();
        Self { topology, moment, ends: Slab::new(), flows, copies: Copies::default(), opened: 0 }
    }

    /// What a plugin is there for.
    pub(crate) fn role(&self, plugin: u32) -> Role {
        self.topology.plugins[plugin as usize].role
    }
}
