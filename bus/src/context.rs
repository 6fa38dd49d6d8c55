//! What surrounds a session while it handles an input: the time, the configuration, what its shard shares, and a place for
//! the effects.

use std::time::{Duration, Instant};

use bpmux::Limits;

use super::cap::{Budget, Pace, Rules};
use super::directory::SharedDirectory;
use super::effects::Effects;
use super::rate_limiter::RateLimits;

/// What a session needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the plugin that is asked learns who asks.
    pub anonymous: bool,
    /// A plugin that has not registered by then is ended.
    pub registration_timeout: Duration,
    /// A plugin that has said nothing for this long is pinged.
    pub heartbeat_interval: Duration,
    /// A plugin that has said nothing for this long is ended.
    pub heartbeat_timeout: Duration,
    /// How long an end waits for the credit for its payload.
    pub end_credit_timeout: Duration,
    /// How long a connect waits for top-level credit of the plugin it goes to.
    pub offer_timeout: Duration,
    /// Connects that wait for one plugin's top-level credit.
    pub offers_max: usize,
    /// How much may be in flight on each half.
    pub caps: Rules,
    /// When a cap shrinks, for a reader on a unix socket.
    pub pace_unix: Pace,
    /// The same for one on TCP.
    pub pace_tcp: Pace,
    /// How much unpaid work a plugin may make.
    pub rate_limits: RateLimits,
    /// Top-level credit that a plugin holds when it has spent none.
    pub top_level_credit_bytes: u64,
    /// How many shards there are.
    pub shards: u16,
    /// What a plugin may make the relay remember.
    pub limits: Limits,
}

/// What a shard lends to the session that it has handle something.
pub struct Context<'a> {
    /// The time of this tick.
    pub now: Instant,
    /// The configuration.
    pub settings: &'a Settings,
    /// Who is there.
    pub directory: &'a SharedDirectory,
    /// What the shard may promise.
    pub budget: &'a mut Budget,
    /// What follows elsewhere. The shard applies it before the next input, after one call or several.
    pub effects: &'a mut Effects,
}
