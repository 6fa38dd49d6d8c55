//! Who is there in a step of a run: plugins, the channels between them, and which thread has them.

use std::collections::HashMap;
use std::sync::Arc;

use super::arrivals::Arrivals;
use super::flow::FlowSpec;

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

/// What a plugin is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Opens or accepts its channels before it begins, and stays.
    Steady,
    /// The same, but does not read while it lasts.
    Deaf,
    /// Comes, does what there is to be done on its channel, and leaves, over and over.
    Churner,
    /// Comes and leaves, over and over.
    Comer,
    /// Stays, and is told who comes and goes.
    Watcher,
}

impl Role {
    /// Whether it comes and goes while it lasts.
    pub(crate) fn cycles(self) -> bool {
        matches!(self, Self::Churner | Self::Comer)
    }
}

/// A plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PluginSpec {
    pub(crate) role: Role,
    /// The thread that has it.
    pub(crate) worker: usize,
    /// Channels that it opens.
    pub(crate) opens: Vec<ChannelSpec>,
    /// Channels that are opened to it, and stay.
    pub(crate) expects: u32,
}

/// All plugins of a step.
#[derive(Debug)]
pub(crate) struct Topology {
    /// Begins the names of plugins, so that no other run has the same.
    tag: String,
    workers: usize,
    pub(crate) plugins: Vec<PluginSpec>,
    pub(crate) flows: Vec<Arc<FlowSpec>>,
    channels: HashMap<(u32, u32), ChannelSpec>,
    pub(crate) arrivals: Arrivals,
}

impl Topology {
    /// Nobody yet, on so many threads.
    pub(crate) fn new(tag: String, workers: usize) -> Self {
        Self {
            tag: format!("load-{tag}-"),
            workers,
            plugins: Vec::new(),
            flows: Vec::new(),
            channels: HashMap::new(),
            arrivals: Arrivals::new(0, 0),
        }
    }

    /// Adds `count` plugins, dealt out to the threads in turn; returns the number of the first.
    pub(crate) fn add(&mut self, role: Role, count: u32) -> u32 {
        let first = self.plugins.len() as u32;
        let workers = self.workers;
        let plugin = |index| PluginSpec { role, worker: index as usize % workers, opens: Vec::new(), expects: 0 };
        self.plugins.extend((0..count).map(plugin));
        if role == Role::Comer {
            self.arrivals = Arrivals::new(first, count);
        }
        first
    }

    /// Adds a flow with channels between these plugins, openers first.
    pub(crate) fn connect(&mut self, mut spec: FlowSpec, pairs: &[(u32, u32)]) {
        spec.channels = pairs.len().max(spec.channels as usize) as u32;
        let flow = self.flows.len() as u16;
        for (channel, &(opener, acceptor)) in (0..).zip(pairs) {
            let channel = ChannelSpec { flow, channel, opener, acceptor };
            self.channels.insert((opener, acceptor), channel);
            self.plugins[opener as usize].opens.push(channel);
            // Those of plugins that come and go come and go with them.
            self.plugins[acceptor as usize].expects += u32::from(!self.plugins[opener as usize].role.cycles());
        }
        self.flows.push(Arc::new(spec));
    }

    /// Plugins that are there from the beginning to the end.
    pub(crate) fn steady_plugins(&self) -> u64 {
        self.plugins.iter().filter(|plugin| !plugin.role.cycles()).count() as u64
    }

    /// Channels between them, and watches.
    pub(crate) fn steady_channels(&self) -> u64 {
        self.plugins.iter().map(|plugin| u64::from(plugin.expects) + u64::from(plugin.role == Role::Watcher)).sum()
    }

    /// All channels that may be open at once.
    pub(crate) fn channels(&self) -> u64 {
        self.channels.len() as u64
    }

    /// The number of the first plugin that comes and goes.
    pub(crate) fn first_cycling(&self) -> u32 {
        self.plugins.iter().position(|plugin| plugin.role.cycles()).unwrap_or(0) as u32
    }

    /// Plugins that come and go.
    pub(crate) fn cycling_plugins(&self) -> u64 {
        self.plugins.len() as u64 - self.steady_plugins()
    }

    /// The name of a plugin.
    pub(crate) fn name(&self, plugin: u32) -> String {
        format!("{}{plugin}", self.tag)
    }

    /// The number of the plugin of a name.
    pub(crate) fn number(&self, name: &[u8]) -> Option<u32> {
        let digits = name.strip_prefix(self.tag.as_bytes())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The channel between two plugins.
    pub(crate) fn channel(&self, opener: u32, acceptor: u32) -> Option<ChannelSpec> {
        self.channels.get(&(opener, acceptor)).copied()
    }
}
