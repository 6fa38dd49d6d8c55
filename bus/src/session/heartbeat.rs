//! Heartbeats: a plugin that is silent is pinged, and ended when it stays so (protocol, section 2, "Heartbeats").
//!
//! Only one that has been pinged is ended, and only after it has had its time to answer since, while the relay listened.

use std::time::Instant;

use super::super::context::Settings;

/// Whether the relay listens to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It does.
    Open,
    /// Not for a while, since the plugin has said too much.
    Slowed,
    /// Not for a while, for reasons that are not the plugin's.
    HeldUp,
}

/// What was heard of a plugin last, or since when it is asked whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heartbeat {
    /// Heard of then.
    HeardAt(Instant),
    /// Pinged then, and silent since.
    PingedAt(Instant),
}

/// What a silent plugin is due for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    End,
}

impl Heartbeat {
    /// When [`Heartbeat::due`] is to be asked, at the latest.
    pub(super) fn deadline(self, settings: &Settings) -> Instant {
        match self {
            Self::HeardAt(at) => at + settings.heartbeat_interval,
            Self::PingedAt(at) => at + settings.heartbeat_timeout.saturating_sub(settings.heartbeat_interval),
        }
    }

    /// Time has passed.
    pub(super) fn due(&mut self, now: Instant, settings: &Settings) -> Due {
        if now < self.deadline(settings) {
            return Due::Nothing;
        }
        match *self {
            Self::HeardAt(_) => {
                *self = Self::PingedAt(now);
                Due::Ping
            }
            Self::PingedAt(_) => Due::End,
        }
    }

    /// Time has passed in which the plugin was not listened to: its silence means nothing. It is pinged all the same, since
    /// the system of a TCP peer that is gone resets the connection when something arrives, and says nothing before.
    pub(super) fn unheard(&mut self, now: Instant, settings: &Settings) -> Due {
        let due = now >= self.deadline(settings);
        if due || self.is_pinged() {
            *self = Self::HeardAt(now);
        }
        if due { Due::Ping } else { Due::Nothing }
    }

    /// Whether an answer is waited for.
    pub(super) fn is_pinged(self) -> bool {
        matches!(self, Self::PingedAt(_))
    }
}
