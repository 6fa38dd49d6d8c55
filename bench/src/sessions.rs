//! Two plugins of one shard and the channel between them, as the relay has it, without the shard: what becomes of a
//! receive buffer full of messages until it is in a send, and when that has landed.

use std::time::{Duration, Instant};

use bpmux::chunk::{put_control, put_payload_head};
use bpmux::{Flags, Kind, Limits, varint};
use bus::address::ConnId;
use bus::cap::{Budget, Caps, Pace, Rules};
use bus::directory::SharedDirectory;
use bus::effects::Effects;
use bus::msg::Effect;
use bus::session::{Context, Payload, RateLimits, Session, Settings};
use bus::share::UserId;
use limits::{CREDIT_CAP_MIN_BYTES, CREDIT_MEMORY_BYTES, TOP_LEVEL_CREDIT_BYTES, WORK_BURST_UNITS, WORK_UNITS_PER_S};

use crate::messages::ID;

/// Control chunks that go out at once, in bytes: all of them.
const CONTROL_BYTES_MAX: usize = 64 << 10;

/// What the half has from the start: more than a buffer, so that it is not the credit that is measured.
const CAP_BYTES: u64 = 1 << 20;

/// Two plugins: the first writes, the second reads.
#[derive(Debug)]
pub struct Sessions {
    settings: Settings,
    directory: SharedDirectory,
    budget: Budget,
    now: Instant,
    sessions: [Session; 2],
    effects: Effects,
    /// Control chunks to the plugin that writes.
    control: Vec<u8>,
}

impl Default for Sessions {
    /// Connected plugins, and credit without end.
    ///
    /// # Panics
    /// When the relay gives the reader's end another id than [`ID`]: then the same messages could not be read again.
    fn default() -> Self {
        let mut pair = Self::registered();
        pair.hear(0, &chunk(Kind::Duplex, ID, b"\x00\x01b"));
        let mut asked = Vec::new();
        pair.with(1, |session, cx| session.write_control(&mut asked, CONTROL_BYTES_MAX, cx));
        let id = id_of_duplex(&asked).expect("the second is asked for a connection");
        assert_eq!(id, ID, "the relay takes the id that the writer took");
        pair.hear(1, &chunk(Kind::InSink, id, b""));
        let mut credit = Vec::new();
        put_control(Kind::InStream, false, 1 << 62, id, &mut credit);
        pair.hear(1, &credit);
        pair.flush(0);
        pair
    }
}

impl Sessions {
    /// Two plugins that have registered as `a` and `b`.
    fn registered() -> Self {
        let pace = Pace {
            standing: Duration::from_millis(1),
            interval: Duration::from_millis(100),
            idle: Duration::from_secs(1),
        };
        let settings = Settings {
            anonymous: false,
            registration_timeout: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(15),
            heartbeat_timeout: Duration::from_secs(45),
            end_credit_timeout: Duration::from_secs(5),
            offer_timeout: Duration::from_secs(10),
            offers_max: 1,
            caps: Rules::same(Caps { min_bytes: CREDIT_CAP_MIN_BYTES, initial_bytes: CAP_BYTES, max_bytes: CAP_BYTES }),
            pace_unix: pace,
            pace_tcp: pace,
            rate_limits: RateLimits {
                units_per_s: WORK_UNITS_PER_S,
                burst_units: WORK_BURST_UNITS,
                patience: Duration::from_secs(600),
            },
            top_level_credit_bytes: TOP_LEVEL_CREDIT_BYTES,
            shards: 1,
            limits: Limits { halves_max: 2, openings_partial_max: 1 },
        };
        let now = Instant::now();
        let mut pair = Self {
            directory: SharedDirectory::default(),
            budget: Budget::new(CREDIT_MEMORY_BYTES),
            now,
            sessions: [0, 1]
                .map(|token| Session::new(ConnId { shard: 0, token }, UserId::NOBODY, false, now, &settings)),
            effects: Effects::default(),
            control: Vec::new(),
            settings,
        };
        for (index, entry) in [b"\x01a\x00\x01", b"\x01b\x00\x01"].into_iter().enumerate() {
            let mut input = chunk(Kind::InSink, 0, entry);
            put_control(Kind::InStream, false, 1 << 16, 0, &mut input);
            pair.hear(index, &input);
        }
        pair
    }

    /// Forwards a buffer of whole messages in place: from the plugin that writes to the one that reads, and on until it
    /// has been sent, and what that means for credit. Returns the bytes of payload.
    ///
    /// # Panics
    /// When the input is not whole messages with [`ID`], or more than a window of them.
    #[inline]
    pub fn forward(&mut self, input: &mut [u8]) -> u64 {
        let (len, forward) = self.sessions[0].next_run(input).expect("a message begins here");
        assert_eq!(len, input.len(), "the input is whole messages, and there is credit for them");
        let outgoing = self.sessions[1].outgoing(forward.to.1).expect("the channel is open");
        let payload_bytes = forward.payload.payload_bytes();
        let Payload::Run { run, .. } = &forward.payload else { unreachable!("runs are forwarded as runs") };
        self.sessions[1].put_run(outgoing.half, run);
        self.with(0, |session, cx| session.settle_turn(cx.now, cx.settings));
        self.with(0, |session, cx| session.handle_released(forward.from.leg, payload_bytes, cx));
        self.flush(0);
        payload_bytes
    }

    /// Has a session say what it owes.
    fn flush(&mut self, index: usize) {
        let mut control = std::mem::take(&mut self.control);
        control.clear();
        self.with(index, |session, cx| session.write_control(&mut control, CONTROL_BYTES_MAX, cx));
        self.control = control;
    }

    /// A plugin has sent this, and nothing of it is for another plugin.
    fn hear(&mut self, index: usize, bytes: &[u8]) {
        let next = self.with(index, |session, cx| session.next(bytes, cx)).expect("it is valid");
        assert_eq!((next.used, next.forward), (bytes.len(), None));
    }

    /// Does something with a session, and delivers what follows.
    fn with<R>(&mut self, index: usize, act: impl FnOnce(&mut Session, &mut Context<'_>) -> R) -> R {
        let Self { settings, directory, budget, now, sessions, effects, .. } = self;
        let mut cx = Context { now: *now, settings, directory, budget, effects };
        let result = act(&mut sessions[index], &mut cx);
        while let Some(effect) = cx.effects.sent.pop() {
            deliver(effect, sessions, &mut cx);
        }
        result
    }
}

fn deliver(effect: Effect, sessions: &mut [Session; 2], cx: &mut Context<'_>) {
    match effect {
        Effect::Offer(to, offer) => sessions[to.token as usize].handle_offer(offer, cx),
        Effect::Leg(to, leg, msg) => sessions[to.token as usize].handle_channel_msg(leg, msg, cx),
        Effect::Released(leg, bytes) => sessions[leg.conn.token as usize].handle_released(leg.leg, bytes, cx),
        Effect::Changed(_)
        | Effect::StatsRequest(..)
        | Effect::StatsReply(..)
        | Effect::Contest { .. }
        | Effect::Contested(..) => {}
    }
}

fn chunk(kind: Kind, id: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_payload_head(kind, Flags::NONE, id, payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

/// The id in the first opening of a duplex; before it there is credit for the top level.
fn id_of_duplex(bytes: &[u8]) -> Option<u64> {
    let at = bytes.iter().position(|tag| Kind::of_tag(*tag) == Kind::Duplex)?;
    match varint::parse(&bytes[at + 1..]) {
        Ok(varint::Parsed::Value(id, _)) => Some(id),
        _ => None,
    }
}
