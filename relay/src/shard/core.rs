//! What a shard has besides its connections: the time, the budget, the messages, and what all shards share.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use crate::config::{Config, Credit, Initiator};
use bus::address::{ConnId, LegAddr};
use bus::cap::{Budget, Caps, Pace, Rules};
use bus::directory::SharedDirectory;
use bus::effects::Effects;
use bus::msg::Effect;
use bus::session::{Context, RateLimits, Settings};
use engine::pipes::Pipes;
use limits::INBOX_MSGS_MAX;

use super::admission::Admission;
use super::inbox::{Inbox, ShardMsg, ShardSender};
use super::kernel_memory::KernelMemory;
use super::pool::Pool;
use super::splicer::Splicer;

/// What all shards share. None of it is touched for payload but the inboxes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) inboxes: Box<[Inbox]>,
    pub(super) directory: SharedDirectory,
    /// Pipes for payload that is not copied.
    pub(super) pipes: Arc<Pipes>,
    pub(super) admission: Admission,
    pub(super) kernel_memory: Arc<KernelMemory>,
    /// Whether the relay is to stop.
    pub(super) stopping: AtomicBool,
    /// Shards that have nothing left to deliver, while the relay stops.
    pub(super) drained: AtomicUsize,
    /// Whether none of them had anything left at some time: what comes after that was not accepted before the stop.
    pub(super) all_drained: AtomicBool,
}

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        let shards = config.shards.count;
        Self {
            pipes: Pipes::new(config.engine.pipes_max, config.engine.pipe_bytes),
            kernel_memory: Arc::new(KernelMemory::of(&config)),
            config,
            inboxes: (0..shards).map(|_| Inbox::new(shards, INBOX_MSGS_MAX)).collect(),
            directory: SharedDirectory::default(),
            admission: Admission::default(),
            stopping: AtomicBool::new(false),
            drained: AtomicUsize::new(0),
            all_drained: AtomicBool::new(false),
        }
    }
}

/// One shard's own.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) index: u16,
    pub(super) shared: Arc<Shared>,
    pub(super) config: Config,
    pub(super) settings: Settings,
    pub(super) now: Instant,
    /// When the shard has begun.
    pub(super) began: Instant,
    /// Ticks so far.
    pub(super) ticks: u64,
    pub(super) budget: Budget,
    /// What all connections cost besides payload, in bytes.
    pub(super) overhead_bytes: usize,
    pub(super) pool: Pool,
    pub(super) splicer: Splicer,
    pub(super) sender: ShardSender,
    /// Messages within this shard, in order.
    pub(super) local: VecDeque<ShardMsg>,
    /// Connections that watch who is there.
    pub(super) watchers: BTreeSet<ConnId>,
    /// How many legs the connections have, all together.
    pub(super) legs: u64,
    /// What the session at hand has caused; empty between two of them.
    pub(super) effects: Effects,
}

impl Core {
    pub(super) fn new(index: u16, shared: Arc<Shared>, now: Instant) -> Self {
        let config = shared.config.clone();
        Self {
            index,
            settings: settings(&config),
            now,
            began: now,
            ticks: 0,
            budget: Budget::new(config.credit.memory_bytes),
            overhead_bytes: 0,
            pool: Pool::default(),
            splicer: Splicer::new(&config.engine),
            sender: ShardSender::new(index.into(), config.shards.count),
            local: VecDeque::new(),
            watchers: BTreeSet::new(),
            legs: 0,
            effects: Effects::default(),
            config,
            shared,
        }
    }

    /// What a session needs around it.
    pub(super) fn context(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            settings: &self.settings,
            directory: &self.shared.directory,
            budget: &mut self.budget,
            effects: &mut self.effects,
        }
    }

    /// A connection has begun to watch who is there, or has stopped.
    pub(super) fn note_watching(&mut self, conn: ConnId, watching: bool) {
        if watching {
            self.watchers.insert(conn)
        } else {
            self.watchers.remove(&conn)
        };
    }

    /// Sends a message to the shard that it concerns.
    #[inline]
    pub(super) fn send(&mut self, msg: ShardMsg) {
        let to = match &msg {
            ShardMsg::Effect(effect) => effect.shard(),
            ShardMsg::Payload(forward, ..) => forward.to.0.shard,
            ShardMsg::Piped(parts, ..) => parts.to.0.shard,
            ShardMsg::Pause(leg, _) => leg.conn.shard,
            ShardMsg::NewConn(_) | ShardMsg::LookUp => self.index,
        };
        self.send_to(to, msg);
    }

    /// Sends a message to a shard.
    #[inline]
    pub(super) fn send_to(&mut self, to: u16, msg: ShardMsg) {
        if to == self.index {
            self.local.push_back(msg);
        } else {
            self.sender.send(to.into(), msg, &self.shared.inboxes);
        }
    }

    /// Payload has left the relay, or is dropped: the promise made for it is kept.
    pub(super) fn release(&mut self, from: LegAddr, payload_bytes: u64) {
        if payload_bytes > 0 {
            self.send(ShardMsg::Effect(Effect::Released(from, payload_bytes)));
        }
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        anonymous: config.bus.initiator == Initiator::Anonymous,
        registration_timeout: config.bus.registration_timeout,
        heartbeat_interval: config.bus.heartbeat_interval,
        heartbeat_timeout: config.bus.heartbeat_timeout,
        end_credit_timeout: config.bus.end_credit_timeout,
        offer_timeout: config.limits.offer_timeout,
        offers_max: config.limits.offers_per_plugin_max,
        rate_limits: RateLimits {
            units_per_s: config.limits.work_units_per_s,
            burst_units: config.limits.work_burst_units,
            patience: config.limits.flood_timeout,
        },
        caps: caps(&config.credit),
        pace_unix: pace(&config.credit, config.credit.standing_unix),
        pace_tcp: pace(&config.credit, config.credit.standing_tcp),
        top_level_credit_bytes: config.limits.top_level_credit_bytes,
        shards: config.shards.count as u16,
        limits: bpmux::Limits {
            // A duplex has two halves.
            halves_max: u32::try_from(2 * config.limits.channels_per_plugin_max).unwrap_or(u32::MAX),
            openings_partial_max: u32::try_from(config.limits.openings_partial_max).unwrap_or(u32::MAX),
        },
    }
}

fn caps(credit: &Credit) -> Rules {
    let &Credit { cap_min_bytes: min_bytes, cap_initial_bytes: initial_bytes, cap_max_bytes: max_bytes, .. } = credit;
    Rules { general: Caps { min_bytes, initial_bytes, max_bytes }, rules: credit.rules.clone() }
}

fn pace(credit: &Credit, standing: Duration) -> Pace {
    Pace { standing, interval: credit.standing_interval, idle: credit.idle }
}
