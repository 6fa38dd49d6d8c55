//! A plugin as all parts of its session see it: who it is, the multiplexed link to it, and the rate limiter of what it
//! makes the relay do.

mod ends;

use std::time::Instant;

use bpmux::{HalfKey, Link};

use super::address::{ConnId, LegId};
use super::cap::Budget;
use super::context::{Context, Settings};
use super::directory::SharedDirectory;
use super::effects::Effects;
use super::name::Name;
use super::rate_limiter::RateLimiter;
use super::share::UserId;
use ends::Ends;

/// What a half of the plugin's is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Of no use any more.
    #[default]
    None,
    /// Its opening payload is on its way, on this half: the same, or the other one of a duplex.
    Opening(HalfKey),
    /// A query for whose answer there is no credit yet.
    Query,
    /// A query that is being answered, or waits for its turn.
    Answering,
    /// A question about the relay.
    StatsQuery,
    /// The watch.
    Watch,
    /// The inlet of a leg.
    Inlet(LegId),
    /// The outlet of a leg.
    Outlet(LegId),
    /// Of a duplex by which the plugin is being asked: parts of the opening payload are still to be sent.
    Offered(LegId),
    /// An end of ours waits for credit.
    Ending,
}

/// One plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) link: Link<Role>,
    pub(crate) me: ConnId,
    /// None before its registration; empty for a client.
    pub(crate) name: Option<Name>,
    pub(crate) version: u16,
    /// Who pays for what it makes the relay keep.
    pub(crate) user: UserId,
    /// Whether it is connected by TCP.
    pub(crate) tcp: bool,
    /// Whether it may ask about the relay.
    pub(crate) stats_allowed: bool,
    pub(crate) limiter: RateLimiter,
    /// Ends that wait for credit, and those on their way out: most plugins have none.
    ends: Option<Box<Ends>>,
}

impl Plugin {
    /// A plugin that has just connected: "the server grants top-level credit at once".
    pub(crate) fn new(me: ConnId, user: UserId, tcp: bool, now: Instant, settings: &Settings) -> Self {
        let mut link = Link::new(settings.limits);
        link.grant(HalfKey::TOP_READER, settings.top_level_credit_bytes);
        let limiter = RateLimiter::new(now, &settings.rate_limits);
        Self { link, me, name: None, version: 0, user, tcp, stats_allowed: false, limiter, ends: None }
    }

    /// "Keeps it topped up": by now all that was sent on the top level has been taken note of.
    pub(crate) fn top_up(&mut self, settings: &Settings) {
        let full = settings.top_level_credit_bytes;
        let left = self.link.may_receive(HalfKey::TOP_READER);
        if left <= full / 2 {
            self.link.grant(HalfKey::TOP_READER, full - left);
        }
    }

    /// The name that is left out of what the plugin is told of others.
    pub(crate) fn asker(&self) -> Name {
        self.name.clone().unwrap_or_else(|| Name::new(b""))
    }

    /// What it takes beside itself, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.link.memory_bytes() + self.ends.as_ref().map_or(0, |ends| ends.memory_bytes())
    }
}

/// A plugin, and all that its session has at hand while it handles something.
pub(crate) struct PluginContext<'a> {
    pub(crate) plugin: &'a mut Plugin,
    pub(crate) now: Instant,
    pub(crate) settings: &'a Settings,
    pub(crate) directory: &'a SharedDirectory,
    pub(crate) budget: &'a mut Budget,
    pub(crate) effects: &'a mut Effects,
}

impl<'a> PluginContext<'a> {
    /// This plugin, in this context.
    #[inline]
    pub(crate) fn new(plugin: &'a mut Plugin, cx: &'a mut Context<'_>) -> Self {
        let Context { now, settings, directory, budget, effects } = cx;
        Self { plugin, now: *now, settings, directory, budget, effects }
    }
}
