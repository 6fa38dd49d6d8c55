//! Sessions of one shard without the shard: bytes go in, channel messages are delivered at once, payload is dropped.

mod answers;
mod contests;
mod costs;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bpmux::Limits;
use oracle::wire::{self, Kind};

use super::super::address::ConnId;
use super::super::cap::{Budget, Caps, Pace, Rules};
use super::super::directory::SharedDirectory;
use super::super::effects::Effects;
use super::super::msg::Effect;
use super::super::share::UserId;
use super::{Context, Hearing, Leaving, RateLimits, Session, Settings};
use limits::{CANCEL_CREDIT_BYTES_MAX, LISTINGS_MAX};

const PACE: Pace =
    Pace { standing: Duration::from_millis(1), interval: Duration::from_millis(100), idle: Duration::from_secs(1) };

struct Bus {
    settings: Settings,
    directory: SharedDirectory,
    budget: Budget,
    now: Instant,
    sessions: Vec<Session>,
    /// Plugins that watch, by their index.
    watchers: BTreeSet<usize>,
}

impl Bus {
    /// Plugins with these names; each gives the relay top-level credit.
    fn new(names: &[&str]) -> Self {
        let settings = Settings {
            anonymous: false,
            registration_timeout: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(15),
            heartbeat_timeout: Duration::from_secs(45),
            end_credit_timeout: Duration::from_secs(5),
            offer_timeout: Duration::from_secs(10),
            offers_max: 4,
            top_level_credit_bytes: 1 << 16,
            shards: 1,
            caps: Rules::same(Caps { min_bytes: 100, initial_bytes: 10_000, max_bytes: 10_000 }),
            pace_unix: PACE,
            pace_tcp: PACE,
            rate_limits: RateLimits { units_per_s: 1_000, burst_units: 100_000, patience: Duration::from_secs(10) },
            limits: Limits { halves_max: 64, openings_partial_max: 8 },
        };
        let mut bus = Self {
            directory: SharedDirectory::default(),
            budget: Budget::new(1 << 20),
            now: Instant::now(),
            sessions: Vec::new(),
            watchers: BTreeSet::new(),
            settings,
        };
        for (index, name) in names.iter().enumerate() {
            bus.connect();
            bus.say(index, &chunk(Kind::InSink, 0, &entry(name)));
            bus.say(index, &credit(Kind::InStream, 0, 1 << 20));
        }
        bus
    }

    fn connect(&mut self) {
        let me = ConnId { shard: 0, token: self.sessions.len() as u64 };
        self.sessions.push(Session::new(me, UserId::NOBODY, false, self.now, &self.settings));
    }

    /// Does something with a session, and delivers what follows.
    fn with<R>(&mut self, index: usize, act: impl FnOnce(&mut Session, &mut Context<'_>) -> R) -> R {
        let (result, effects) = self.act(index, act);
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            effects.extend(self.deliver(effect));
        }
        result
    }

    fn act<R>(&mut self, index: usize, act: impl FnOnce(&mut Session, &mut Context<'_>) -> R) -> (R, Vec<Effect>) {
        let Self { settings, directory, budget, .. } = self;
        let mut effects = Effects::default();
        let mut cx = Context { now: self.now, settings, directory, budget, effects: &mut effects };
        let result = act(&mut self.sessions[index], &mut cx);
        let Effects { mut sent, carried, dropped: _, legs: _, watching } = effects;
        match watching {
            Some(true) => _ = self.watchers.insert(index),
            Some(false) => _ = self.watchers.remove(&index),
            None => {}
        }
        // What is written has left.
        sent.extend(carried.into_iter().map(|held| Effect::Released(held.from, held.bytes)));
        (result, sent)
    }

    fn deliver(&mut self, effect: Effect) -> Vec<Effect> {
        let index = match &effect {
            Effect::Offer(to, _) | Effect::Leg(to, ..) => to.token,
            Effect::Released(leg, _) => leg.conn.token,
            Effect::StatsReply(to, ..) | Effect::Contested(to, _) => to.token,
            Effect::Changed(_) | Effect::StatsRequest(..) | Effect::Contest { .. } => return Vec::new(),
        };
        let act = |session: &mut Session, cx: &mut Context<'_>| match effect {
            Effect::Offer(_, offer) => session.handle_offer(offer, cx),
            Effect::Leg(_, leg, msg) => session.handle_channel_msg(leg, msg, cx),
            Effect::Released(leg, bytes) => session.handle_released(leg.leg, bytes, cx),
            Effect::StatsReply(_, told) => session.handle_stats_reply(told),
            Effect::Contested(_, free) => session.handle_contested(free, cx).expect("the name is free"),
            Effect::Changed(_) | Effect::StatsRequest(..) | Effect::Contest { .. } => {}
        };
        self.act(index as usize, act).1
    }

    fn try_say(&mut self, index: usize, bytes: &[u8]) -> Result<(), Leaving> {
        let mut used = 0;
        loop {
            let next = self.with(index, |session, cx| session.next(&bytes[used..], cx))?;
            used += next.used;
            self.with(index, |session, cx| session.settle_turn(cx.now, cx.settings));
            let Some(forward) = next.forward else {
                if next.done {
                    return Ok(());
                }
                continue;
            };
            let (leg, bytes) = (forward.from.leg, forward.payload.payload_bytes());
            self.with(index, |session, cx| session.handle_released(leg, bytes, cx));
        }
    }

    fn say(&mut self, index: usize, bytes: &[u8]) {
        self.try_say(index, bytes).expect("it is valid");
    }

    /// What the relay has to say to a plugin.
    fn hear(&mut self, index: usize) -> Vec<u8> {
        self.hear_up_to(index, 1 << 20)
    }

    fn hear_up_to(&mut self, index: usize, len_max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        self.with(index, |session, cx| {
            session.write_control(&mut out, len_max, cx);
            session.write_replies(&mut out, len_max, cx);
            session.write_ends(&mut out, len_max, cx);
        });
        out
    }

    /// `a` asks for `b`, who accepts; both use the id 1.
    fn connected() -> Self {
        let mut bus = Self::new(&["a", "b"]);
        bus.say(0, &chunk(Kind::Duplex, 1, b"\x00\x01b"));
        bus.hear(1);
        bus.say(1, &chunk(Kind::InSink, 1, b""));
        bus.hear(0);
        bus
    }
}

fn entry(name: &str) -> Vec<u8> {
    oracle::entry::entry(name.as_bytes(), 1)
}

fn chunk(kind: Kind, id: u64, payload: &[u8]) -> Vec<u8> {
    wire::chunk(kind, id).payload(payload).bytes()
}

fn part(total: u64, chunk: &[u8]) -> Vec<u8> {
    [&wire::partial(total), chunk].concat()
}

fn credit(kind: Kind, id: u64, amount: u64) -> Vec<u8> {
    wire::chunk(kind, id).credit(amount).bytes()
}

fn end(kind: Kind, id: u64, payload: &[u8]) -> Vec<u8> {
    wire::chunk(kind, id).end(payload).bytes()
}

fn ack(kind: Kind, id: u64) -> Vec<u8> {
    wire::chunk(kind, id).ack_end().bytes()
}

#[test]
fn a_half_may_be_closed_and_acked_before_the_opening_is_whole() {
    let mut bus = Bus::new(&["a", "b"]);
    bus.hear(0);
    bus.hear(1);
    bus.say(0, &part(3, &chunk(Kind::Duplex, 1, b"\x00")));
    bus.say(0, &end(Kind::OutSink, 1, b""));
    assert_eq!(bus.hear(0), [0xa1, 1], "the close is acked");
    bus.say(0, &chunk(Kind::OutStream, 1, b"\x01b"));
    assert_eq!(bus.hear(1)[..3], chunk(Kind::Duplex, 1, b"\x00\x01a\x00\x01")[..3], "and the other one is asked");
}

#[test]
fn cancel_payloads_are_bounded_even_when_they_come_in_parts() {
    let mut bus = Bus::connected();
    // a lets b write any amount of cancel payload, again and again; b cancels a bit at a time.
    bus.say(0, &credit(Kind::OutSink, 1, 200_000));
    let mut granted = 0;
    bus.say(1, &part(200_000, &end(Kind::InStream, 1, b"")));
    for _ in 0..100 {
        bus.say(0, &credit(Kind::OutSink, 1, 1));
        let heard = bus.hear(1);
        if heard.is_empty() {
            break;
        }
        granted += 1024;
        bus.say(1, &end(Kind::InStream, 1, &[0; 1024]));
    }
    assert_eq!(granted, 1024);
}

#[test]
fn whoever_does_not_want_to_hear_of_it_is_accepted_all_the_same() {
    let mut bus = Bus::new(&["a", "b"]);
    bus.say(0, &chunk(Kind::Duplex, 1, b"\x00\x01b"));
    bus.hear(0);
    bus.hear(1);
    // The code of the cancel waits for credit that b has not given.
    bus.say(0, &end(Kind::OutStream, 1, b""));
    bus.hear(1);
    bus.say(1, &[chunk(Kind::InSink, 1, b""), credit(Kind::InStream, 1, 50)].concat());
    let heard = bus.hear(0);
    let granted = credit(Kind::InStream, 1, 50);
    assert!(heard.windows(granted.len()).any(|bytes| bytes == granted), "{heard:02x?}");
}

/// A bus in which both have agreed and `b` has given so much credit.
fn with_credit(amount: u64) -> Bus {
    let mut bus = Bus::connected();
    bus.say(1, &credit(Kind::InStream, 1, amount));
    bus.hear(0);
    bus
}

/// Credit, credit held back, payload held and the cap of the one flow that a plugin writes, in bytes.
fn standing(bus: &Bus, index: usize) -> [u64; 4] {
    let Session { channels, plugin, .. } = &bus.sessions[index];
    let flow = channels.flows(plugin, bus.now).next().expect("it is open");
    [flow.counters.credit_bytes, flow.counters.banked_bytes, flow.counters.held_bytes, flow.counters.cap_bytes]
}

#[test]
fn what_stands_between_writer_and_reader_is_known() {
    let mut bus = with_credit(50_000);
    assert_eq!(standing(&bus, 0), [10_000, 40_000, 0, 10_000]);
    // A close payload is held until all of it is there and has been sent.
    bus.say(0, &part(5_000, &end(Kind::OutSink, 1, &[7; 3_000])));
    assert_eq!(standing(&bus, 0), [7_000, 40_000, 3_000, 10_000]);
    assert_eq!(standing(&bus, 1)[1], 0);
}

#[test]
fn an_end_payload_counts_until_it_has_been_sent() {
    let mut bus = with_credit(50_000);
    bus.say(0, &end(Kind::OutSink, 1, &[7; 5_000]));
    // No room for it: it is noted, and not written.
    bus.hear_up_to(1, 4);
    let noted = bus.budget.used_bytes();
    assert!(noted > 5_000);
    assert_eq!(bus.hear(1), end(Kind::OutSink, 1, &[&[0], &[7; 5_000][..]].concat()));
    assert_eq!(bus.budget.used_bytes(), noted - 5_000);
}

#[test]
fn a_cancel_payload_of_all_that_was_given_leaves_room_for_the_code() {
    let mut bus = with_credit(0);
    bus.say(0, &credit(Kind::OutSink, 1, 20));
    assert_eq!(bus.hear(1), credit(Kind::OutSink, 1, 19), "one byte is kept for the code");
    // Without what the half has reserved, and what its cancel payload has.
    let free = bus.budget.used_bytes() - 100 - CANCEL_CREDIT_BYTES_MAX;
    bus.say(1, &end(Kind::InStream, 1, &[7; 19]));
    assert_eq!(bus.budget.used_bytes(), free + 19, "what has come of it counts");
    assert_eq!(bus.hear(0), end(Kind::InStream, 1, &[&[0], &[7; 19][..]].concat()), "at once");
    assert_eq!(bus.budget.used_bytes(), free);
}

#[test]
fn a_cancel_before_the_answer_leaves_the_other_way_open() {
    let mut bus = Bus::new(&["a", "b"]);
    bus.say(0, &chunk(Kind::Duplex, 1, b"\x00\x01b"));
    bus.hear(0);
    bus.hear(1);
    // b has given the credit that the cancel takes, so it goes out at once, and closes the half on which b would answer.
    bus.say(1, &credit(Kind::InSink, 1, 10));
    bus.say(0, &end(Kind::OutStream, 1, b""));
    assert_eq!(bus.hear(1), end(Kind::OutStream, 1, b"\0"));
    bus.hear(0);
    bus.say(1, &credit(Kind::InStream, 1, 50));
    assert!(bus.hear(0).is_empty(), "b may not know yet that there is nothing to be answered");
    bus.say(1, &ack(Kind::InSink, 1));
    let granted = credit(Kind::InStream, 1, 50);
    let heard = bus.hear(0);
    assert!(heard.windows(granted.len()).any(|bytes| bytes == granted), "{heard:02x?}");
    // And when b does not want it, it says so with the half that it has left.
    bus.say(0, &credit(Kind::OutSink, 1, 10));
    bus.hear(1);
    bus.say(1, &end(Kind::InStream, 1, b"no"));
    assert_eq!(bus.hear(0), end(Kind::InStream, 1, b"\0no"));
}

#[test]
fn silence_means_nothing_while_the_relay_does_not_read() {
    let mut bus = Bus::new(&[]);
    bus.connect();
    bus.now += Duration::from_secs(6);
    let now = bus.now;
    bus.with(0, |session, cx| session.handle_timeout(Hearing::HeldUp, cx)).expect("it may have said who it is");
    let settings = bus.settings.clone();
    assert!(bus.sessions[0].deadline(&settings) > now, "the timer would fire at once and for ever");
    bus.now += Duration::from_secs(6);
    let timeout = bus.with(0, |session, cx| session.handle_timeout(Hearing::Open, cx));
    assert_eq!(timeout, Err(Leaving::RegistrationTimeout));
}

#[test]
fn chatter_does_not_put_the_registration_off() {
    let mut bus = Bus::new(&[]);
    bus.connect();
    bus.now += Duration::from_secs(6);
    let now = bus.now;
    // It has said something in this very tick, and is not read yet again.
    bus.sessions[0].handle_heard(now);
    let timeout = bus.with(0, |session, cx| session.handle_timeout(Hearing::Slowed, cx));
    assert_eq!(timeout, Err(Leaving::RegistrationTimeout));
}

#[test]
fn connects_that_are_over_before_anybody_is_asked_do_not_queue() {
    let mut bus = Bus::new(&["a"]);
    bus.connect();
    bus.say(1, &chunk(Kind::InSink, 0, &entry("b")));
    for id in 1..100 {
        bus.say(0, &chunk(Kind::Duplex, id, b"\x00\x01b"));
        bus.say(0, &[end(Kind::OutSink, id, b""), end(Kind::OutStream, id, b"")].concat());
        bus.hear(0);
    }
    let audit = bus.sessions[1].audit();
    assert_eq!((audit.legs, audit.offers, bus.budget.used_bytes()), (0, 0, 0));
}

#[test]
fn a_plugin_that_acks_nothing_is_not_asked_for_ever() {
    let mut bus = Bus::new(&["a", "b"]);
    let mut asked = 0;
    for id in 1..100 {
        bus.say(0, &chunk(Kind::Duplex, id, b"\x00\x01b"));
        asked += usize::from(!bus.hear(1).is_empty());
        bus.say(0, &[end(Kind::OutSink, id, b""), end(Kind::OutStream, id, b"")].concat());
        bus.hear(0);
        bus.now += Duration::from_secs(6);
        bus.with(1, |session, cx| session.handle_timeout(Hearing::HeldUp, cx)).unwrap();
        bus.hear(1);
    }
    assert_eq!(asked, 32, "as many as it could open itself");
}

#[test]
fn queries_are_answered_in_turn_and_cost_nothing_before_there_is_credit() {
    let mut bus = Bus::new(&["a", "b"]);
    for id in 1..=20 {
        bus.say(0, &chunk(Kind::OutRequest, id, b""));
    }
    bus.hear(0);
    assert_eq!(bus.sessions[0].audit().answers, 0);
    // More than are answered at once, each a bit; two of those that wait are cancelled.
    for id in 1..=20 {
        bus.say(0, &credit(Kind::OutRequest, id, 1));
    }
    let heard = bus.hear(0);
    assert_eq!(heard, (1..=16).flat_map(|id| part(4, &chunk(Kind::InRequest, id, b"\x01"))).collect::<Vec<u8>>());
    bus.say(0, &[end(Kind::OutRequest, 18, b""), end(Kind::OutRequest, 19, b"")].concat());
    assert_eq!(bus.hear(0), [0x21, 18, 0x21, 19]);
    for id in (1..=17).chain([20]) {
        bus.say(0, &credit(Kind::OutRequest, id, 3));
    }
    let rest = (1..=16).flat_map(|id| chunk(Kind::InRequest, id, b"b\x00\x01"));
    let whole = [17, 20].into_iter().flat_map(|id| chunk(Kind::InRequest, id, &entry("b")));
    assert_eq!(bus.hear(0), rest.chain(whole).collect::<Vec<u8>>());
    assert_eq!(bus.sessions[0].audit().answers, 0);
}

#[test]
fn who_reads_a_listing_slowly_keeps_nobody_from_being_told() {
    let mut bus = Bus::new(&["a"]);
    let watch = |bus: &mut Bus, credit_bytes: u64| {
        let index = bus.sessions.len();
        bus.connect();
        bus.say(index, &chunk(Kind::InSink, 0, &entry(&format!("w{index}"))));
        bus.hear(index);
        bus.say(index, &[chunk(Kind::OutStream, 1, b""), credit(Kind::OutStream, 1, credit_bytes)].concat());
        (index, bus.hear(index))
    };
    // Each finds other names than the one before.
    let slow: Vec<_> = (0..=LISTINGS_MAX).map(|_| watch(&mut bus, 1)).collect();
    slow.iter().for_each(|(_, heard)| assert_eq!(heard.last(), Some(&1), "the first byte of an entry"));
    let (_, heard) = watch(&mut bus, 1_000);
    assert!(heard.ends_with(&entry("w9")), "all names there are, and the last of them");
    // The one that came too late to share answers for what it keeps.
    let costs = [LISTINGS_MAX - 1, LISTINGS_MAX].map(|at| bus.sessions[slow[at].0].overhead_bytes());
    assert!(costs[1] >= costs[0] + 4 * LISTINGS_MAX, "{costs:?}");
}
