//! What all plugins of a thread share, and whom they talk to.

use slab::Slab;

use super::arrivals::Arrivals;
use super::copies::Copies;
use super::end::End;
use super::flow::{Flow, Moment};

/// A channel, as its ends have to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelSpec {
    pub(crate) flow: u16,
    /// Which of the flow's channels it is.
    pub(crate) channel: u32,
    /// The plugin that opens it and the one that accepts, by number.
    pub(crate) opener: u32,
    pub(crate) acceptor: u32,
}

/// Tells plugins whom they are to talk to.
pub(crate) trait Directory {
    /// The name of a plugin.
    fn name(&self, plugin: u32) -> String;
    /// The number of the plugin of a name.
    fn number(&self, name: &[u8]) -> Option<u32>;
    /// The channel between two plugins.
    fn channel(&self, opener: u32, acceptor: u32) -> Option<ChannelSpec>;
}

/// What all plugins of a thread share.
pub(crate) struct World<'a> {
    pub(crate) moment: Moment,
    pub(crate) ends: &'a mut Slab<End>,
    pub(crate) flows: &'a mut [Flow],
    /// Messages to be sent again with other stamps.
    pub(crate) copies: &'a mut Copies,
    pub(crate) directory: &'a dyn Directory,
    /// Who has come when, of those that come and go.
    pub(crate) arrivals: &'a Arrivals,
    /// Channels that have been opened from here.
    pub(crate) opened: &'a mut u64,
}
