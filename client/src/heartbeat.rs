//! Is the relay still there? When it was silent for a while it is asked, and when it stays silent it is given up.
//!
//! It is given up after it had its time to answer, in time in which this process ran (see [`crate::patience`]): from when the
//! question was written to the socket on. A question may wait behind a full socket. Then each byte that the socket takes is a
//! sign of life, since somebody reads at its other end, and the time runs from the last of them on. The other way round nothing
//! is needed: the session answers pings by itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::patience::Patience;

/// When to ask, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeartbeatConfig {
    /// Silence after which the relay is pinged.
    pub(crate) interval: Duration,
    /// How long it may take to be heard then, before the connection is given up.
    pub(crate) timeout: Duration,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    GiveUp,
}

/// How far it is with asking.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The relay was heard at that time.
    Heard(Instant),
    /// A ping is on its way to the socket.
    Asking {
        patience: Patience,
        /// Whether the socket has taken anything since the last look at the clock.
        taken: bool,
    },
    /// The ping is written.
    Asked(Patience),
}

/// The silence so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    config: HeartbeatConfig,
    state: State,
}

impl Heartbeat {
    pub(crate) fn new(config: HeartbeatConfig, now: Instant) -> Self {
        // Far beyond any uptime, where a sum does not overflow.
        let interval = config.interval.min(Duration::from_secs(1 << 30));
        Self { config: HeartbeatConfig { interval, ..config }, state: State::Heard(now) }
    }

    /// How long the relay may take to be heard once it was pinged.
    pub(crate) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    pub(crate) fn handle_heard(&mut self, now: Instant) {
        self.state = State::Heard(now);
    }

    /// The socket has taken some of the output.
    pub(crate) fn handle_taken(&mut self) {
        if let State::Asking { taken, .. } = &mut self.state {
            *taken = true;
        }
    }

    /// The ping that was due has been written to the socket.
    pub(crate) fn handle_asked(&mut self, now: Instant) {
        // When the relay was heard meanwhile, it need not answer.
        if matches!(self.state, State::Asking { .. }) {
            self.state = State::Asked(Patience::new(self.config.timeout, now));
        }
    }

    /// What is due by now.
    pub(crate) fn poll(&mut self, now: Instant) -> Due {
        let timeout = self.config.timeout;
        match &mut self.state {
            State::Heard(heard) if now.saturating_duration_since(*heard) >= self.config.interval => {
                self.state = State::Asking { patience: Patience::new(timeout, now), taken: false };
                Due::Ping
            }
            State::Heard(_) => Due::Nothing,
            State::Asking { patience, taken: taken @ true } => {
                *taken = false;
                *patience = Patience::new(timeout, now);
                Due::Nothing
            }
            State::Asking { patience, .. } | State::Asked(patience) => {
                if patience.is_over(now) {
                    Due::GiveUp
                } else {
                    Due::Nothing
                }
            }
        }
    }

    /// When something may be due next.
    pub(crate) fn deadline(&self) -> Instant {
        match &self.state {
            State::Heard(heard) => *heard + self.config.interval,
            State::Asking { patience, .. } | State::Asked(patience) => patience.deadline(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: HeartbeatConfig =
        HeartbeatConfig { interval: Duration::from_secs(10), timeout: Duration::from_secs(40) };

    /// What becomes due next, looking whenever it may.
    fn next(heartbeat: &mut Heartbeat) -> (Due, Instant) {
        loop {
            let now = heartbeat.deadline();
            match heartbeat.poll(now) {
                Due::Nothing => {}
                due => return (due, now),
            }
        }
    }

    #[test]
    fn asks_once_then_gives_up() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut heartbeat = Heartbeat::new(CONFIG, start);
        assert_eq!(heartbeat.poll(at(9)), Due::Nothing);
        assert_eq!(next(&mut heartbeat), (Due::Ping, at(10)));
        assert_eq!(heartbeat.poll(at(11)), Due::Nothing, "asked once");
        heartbeat.handle_asked(at(12));
        heartbeat.handle_heard(at(13));
        assert_eq!(next(&mut heartbeat), (Due::Ping, at(23)));
        heartbeat.handle_asked(at(24));
        let (due, when) = next(&mut heartbeat);
        assert_eq!(due, Due::GiveUp);
        assert!(when >= at(64) && when < at(65), "a whole timeout from the question on: {:?}", when - start);
    }

    #[test]
    fn who_takes_anything_is_not_given_up() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        // A pause of the process in the silence: the relay is asked, however long it took.
        let mut heartbeat = Heartbeat::new(CONFIG, start);
        assert_eq!(heartbeat.poll(at(100_000)), Due::Ping);
        // The question waits behind a full socket, from which something goes now and then.
        let mut taken_at = at(100_000);
        for _ in 0..100 {
            while heartbeat.deadline() < taken_at + CONFIG.timeout {
                let now = heartbeat.deadline();
                assert_eq!(heartbeat.poll(now), Due::Nothing);
            }
            taken_at += CONFIG.timeout;
            heartbeat.handle_taken();
        }
        // A word of the relay before the question was written: there is none to be answered any more.
        heartbeat.handle_heard(at(200_001));
        heartbeat.handle_asked(at(200_002));
        heartbeat.handle_taken();
        assert_eq!(heartbeat.deadline(), at(200_011));
    }

    #[test]
    fn who_takes_nothing_is_given_up_though_the_question_waits() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut heartbeat = Heartbeat::new(CONFIG, start);
        assert_eq!(next(&mut heartbeat), (Due::Ping, at(10)));
        heartbeat.handle_taken();
        let (due, when) = next(&mut heartbeat);
        assert_eq!(due, Due::GiveUp);
        assert!(when >= at(50) && when < at(60), "a whole timeout from the last byte on: {:?}", when - start);
    }

    #[test]
    fn a_pause_behind_the_question_does_not_count() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CONFIG, start);
        next(&mut heartbeat);
        heartbeat.handle_asked(start);
        let late = start + Duration::from_secs(100_000);
        assert_eq!(heartbeat.poll(late), Due::Nothing);
        let (due, when) = next(&mut heartbeat);
        assert!(due == Due::GiveUp && when >= late + CONFIG.timeout);
    }

    #[test]
    fn a_timeout_of_ages_does_not_overflow() {
        let config = HeartbeatConfig { interval: Duration::MAX, timeout: Duration::MAX };
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(config, now);
        assert!(heartbeat.deadline() > now);
        heartbeat.poll(now + Duration::from_secs(1 << 30));
        assert!(heartbeat.deadline() > now);
        heartbeat.handle_asked(now);
        assert!(heartbeat.deadline() > now);
    }
}
