//! Plugins that are merely there, as many as can be.

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit};

use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::server::Server;

/// Descriptors that the relay and this process need for other things.
const OTHER_DESCRIPTORS: usize = 500;
/// So many are enough to see whether it works.
const FEW: usize = 40;

/// How many there can be of `wanted`: each takes a descriptor here and one in the relay, which may have as many as we.
pub(super) fn size(scene: &Scene, wanted: usize) -> usize {
    let allowed = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    wanted.min(allowed.saturating_sub(OTHER_DESCRIPTORS)).min(if scene.quick { FEW } else { usize::MAX })
}

/// So many registered plugins.
pub(super) fn gather(server: &mut Server, count: usize) -> Result<Vec<Plugin>> {
    let register = |number| Plugin::register(server.connect()?, &format!("crowd-{number}"));
    (0..count).map(register).collect::<Result<_>>().context("a plugin of the crowd")
}
