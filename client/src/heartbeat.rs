//! Is the relay still there? When it was silent for a while it is asked, and when it stays silent it is given up.
//!
//! The other way round nothing is needed: the session answers pings by itself.

use std::time::Duration;

use tokio::time::Instant;

/// When to ask, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeartbeatConfig {
    /// Silence after which the relay is pinged.
    pub(crate) interval: Duration,
    /// Silence after which the connection is given up.
    pub(crate) timeout: Duration,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    GiveUp,
}

/// The silence so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    config: HeartbeatConfig,
    heard: Instant,
    asked: bool,
}

impl Heartbeat {
    pub(crate) fn new(config: HeartbeatConfig, now: Instant) -> Self {
        Self { config, heard: now, asked: false }
    }

    /// The silence after which the connection is given up.
    pub(crate) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    pub(crate) fn handle_heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = false;
    }

    /// What is due by now.
    pub(crate) fn poll(&mut self, now: Instant) -> Due {
        let silence = now.saturating_duration_since(self.heard);
        if silence >= self.config.timeout {
            Due::GiveUp
        } else if silence >= self.config.interval && !self.asked {
            self.asked = true;
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// When something may be due next.
    pub(crate) fn deadline(&self) -> Instant {
        let silence = if self.asked { self.config.timeout } else { self.config.interval.min(self.config.timeout) };
        // Far beyond any uptime, where a sum does not overflow.
        self.heard + silence.min(Duration::from_secs(1 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_then_gives_up() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let config = HeartbeatConfig { interval: Duration::from_secs(10), timeout: Duration::from_secs(30) };
        let mut heartbeat = Heartbeat::new(config, start);
        assert_eq!(heartbeat.deadline(), at(10));
        assert_eq!(heartbeat.poll(at(9)), Due::Nothing);
        assert_eq!(heartbeat.poll(at(10)), Due::Ping);
        assert_eq!(heartbeat.poll(at(11)), Due::Nothing);
        assert_eq!(heartbeat.deadline(), at(30));
        heartbeat.handle_heard(at(12));
        assert_eq!(heartbeat.deadline(), at(22));
        assert_eq!(heartbeat.poll(at(41)), Due::Ping);
        assert_eq!(heartbeat.poll(at(42)), Due::GiveUp);
    }

    #[test]
    fn a_timeout_of_ages_does_not_overflow() {
        let config = HeartbeatConfig { interval: Duration::MAX, timeout: Duration::MAX };
        let now = Instant::now();
        assert!(Heartbeat::new(config, now).deadline() > now);
    }
}
