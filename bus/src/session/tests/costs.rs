//! What it costs the relay to serve one plugin, in units and in entries that are gone through, and who pays for it.

use super::super::super::directory;
use super::super::super::msg::StatsReply;
use super::*;
use crate::name::Name;
use ::wire::stats::PageWriter;
use limits::{STATS_VISITS_MAX, WORK_BYTES_PER_UNIT, WORK_TURN_UNITS_MAX};

impl Bus {
    /// What the plugin could still be charged.
    fn units(&self, index: usize) -> i64 {
        self.sessions[index].plugin.limiter.bucket_units()
    }

    /// What something costs the plugin.
    fn cost(&mut self, index: usize, act: impl FnOnce(&mut Self)) -> i64 {
        let before = self.units(index);
        act(self);
        before - self.units(index)
    }

    /// All that the relay has to say to the plugin now, in as many sends as it takes.
    fn hear_all(&mut self, index: usize) -> Vec<u8> {
        std::iter::from_fn(|| Some(self.hear(index)).filter(|heard| !heard.is_empty())).flatten().collect()
    }

    /// Other plugins with names of 250 bytes; returns how long their entries are together.
    fn crowd(&mut self, count: usize) -> usize {
        let mut directory = directory::lock(&self.directory);
        for number in 0..count {
            let conn = ConnId { shard: 0, token: 1_000 + number as u64 };
            directory.register(&Name::new(format!("{number:0>250}").as_bytes()), 1, conn).expect("it is free");
        }
        count * 253
    }
}

fn query(id: u64, credit_bytes: u64) -> Vec<u8> {
    [chunk(Kind::OutRequest, id, b""), credit(Kind::OutRequest, id, credit_bytes)].concat()
}

#[test]
fn an_answer_costs_what_is_told() {
    let mut bus = Bus::new(&["a", "b"]);
    let ask = |bus: &mut Bus, credit_bytes| {
        bus.cost(0, |bus| {
            bus.say(0, &query(1, credit_bytes));
            bus.hear(0);
            bus.say(0, &end(Kind::OutRequest, 1, b""));
            bus.hear(0);
        })
    };
    let ask_for_all = |bus: &mut Bus| {
        bus.cost(0, |bus| {
            bus.say(0, &query(1, 1 << 20));
            bus.hear_all(0);
            bus.say(0, &ack(Kind::OutRequest, 1));
        })
    };
    let few = ask_for_all(&mut bus);
    assert!(few < 50, "{few}");
    let bytes = bus.crowd(1_000) as i64;
    let many = ask_for_all(&mut bus);
    let units = bytes / WORK_BYTES_PER_UNIT as i64;
    assert!((units..units + 60).contains(&many), "{many} for {bytes} bytes");
    assert!(ask(&mut bus, 1) < 60, "what is not told is not charged");
}

#[test]
fn the_first_message_of_a_watch_costs_what_is_told() {
    let mut bus = Bus::new(&["a"]);
    let units = bus.crowd(1_000) as i64 / WORK_BYTES_PER_UNIT as i64;
    let cost = bus.cost(0, |bus| {
        bus.say(0, &[chunk(Kind::OutStream, 1, b""), credit(Kind::OutStream, 1, 1 << 30)].concat());
        bus.hear_all(0);
    });
    assert!((units..units + 60).contains(&cost), "{cost}");
    // What others do costs the watcher nothing.
    let cost = bus.cost(0, |bus| {
        let directory = bus.directory.clone();
        directory::lock(&directory)
            .leave(&Name::new(format!("{:0>250}", 7).as_bytes()), ConnId { shard: 0, token: 1_007 });
        let changes = directory::lock(&directory).take_changes(0);
        bus.sessions[0].handle_changes(&changes);
        assert!(bus.hear(0).len() > 250);
    });
    assert_eq!(cost, 0);
}

#[test]
fn who_has_asked_for_too_much_is_answered_later() {
    const QUERIES: u64 = 60;
    let mut bus = Bus::new(&["a", "b"]);
    let listing = bus.crowd(1_000) + 4;
    // 100,000 units are for some fifty of these, and a second brings half of one.
    let mut said = Vec::new();
    (1..=QUERIES).for_each(|id| said.extend(query(id, 1 << 20)));
    bus.say(0, &said);
    let mut heard = bus.hear_all(0).len();
    assert!((45 * listing..55 * listing).contains(&heard), "{heard}");
    assert!(bus.sessions[0].take_newly_slowed() && !bus.sessions[0].take_newly_slowed(), "it is told once");
    // Others are not concerned.
    bus.say(1, &query(1, 1 << 20));
    assert!(bus.hear_all(1).len() > 200_000);
    let settings = bus.settings.clone();
    for _ in 0..2 * QUERIES {
        let due = bus.sessions[0].deadline(&settings);
        assert!(due > bus.now, "it would be looked at again and again");
        bus.now = due;
        bus.sessions[0].handle_heard(due);
        bus.with(0, |session, cx| session.handle_timeout(Hearing::Open, cx)).unwrap();
        heard += bus.hear_all(0).len();
    }
    assert!(heard >= QUERIES as usize * listing, "{heard}: all are answered at last");
    assert_eq!(bus.sessions[0].audit().answers, 0);
}

/// A timer that has fired while nothing can be written must not be due at once again.
#[test]
fn who_waits_for_answers_is_not_looked_at_all_the_time() {
    let mut bus = Bus::new(&["a"]);
    bus.crowd(1_000);
    for id in 1..60 {
        bus.say(0, &query(id, 1 << 20));
        bus.hear_all(0);
    }
    let settings = bus.settings.clone();
    bus.now = bus.sessions[0].deadline(&settings);
    bus.with(0, |session, cx| session.handle_timeout(Hearing::Open, cx)).unwrap();
    assert!(bus.sessions[0].deadline(&settings) > bus.now);
}

#[test]
fn answers_of_no_bytes_are_bounded_at_a_time() {
    let mut bus = Bus::new(&["a", "b"]);
    bus.settings.limits.halves_max = 1 << 20;
    bus.connect();
    bus.say(2, &chunk(Kind::InSink, 0, &entry("c")));
    bus.hear(2);
    for id in 1..2_000 {
        bus.say(2, &query(id, 100));
    }
    let cost = bus.cost(2, |bus| _ = bus.hear(2));
    assert!(cost <= 2 * WORK_TURN_UNITS_MAX as i64, "{cost}");
}

/// For which the relay gives credit again and again, and which nobody wants.
#[test]
fn payload_for_the_relay_itself_does_not_pay() {
    const COUNT: i64 = 100;
    for bytes in [64_usize, 500] {
        let each = bytes as i64 / WORK_BYTES_PER_UNIT as i64;
        let mut bus = Bus::new(&["a"]);
        let ignored = bus.cost(0, |bus| bus.say(0, &chunk(Kind::InSink, 0, &vec![1; bytes]).repeat(COUNT as usize)));
        assert!(ignored >= COUNT * (2 + each), "{ignored}");
        for kind in [Kind::OutSink, Kind::OutStream, Kind::OutRequest, Kind::Duplex] {
            let mut bus = Bus::new(&["a"]);
            let opened = bus.cost(0, |bus| {
                for id in 0..20 {
                    bus.say(0, &chunk(kind, id, &vec![9; bytes]));
                }
            });
            assert!(opened >= 20 * (10 + each), "{kind:?} {opened}");
        }
    }
}

#[test]
fn what_everybody_does_costs_next_to_nothing() {
    let mut bus = Bus::new(&[]);
    bus.connect();
    let longest = "x".repeat(255);
    let registered = bus.cost(0, |bus| bus.say(0, &chunk(Kind::InSink, 0, &entry(&longest))));
    assert!(registered <= 5, "{registered}");
    // A large opening payload in parts, as they come from a socket.
    let opened = bus.cost(0, |bus| {
        bus.say(0, &part(60_000, &chunk(Kind::OutSink, 1, &[7; 20_000])));
        (0..2).for_each(|_| bus.say(0, &chunk(Kind::OutSink, 1, &[7; 20_000])));
    });
    assert!(opened <= 20 + 60_000 / WORK_BYTES_PER_UNIT as i64, "{opened}");
    // The payload of an end, and messages of 64 bytes, which pay for themselves.
    let mut bus = with_credit(50_000);
    bus.say(0, &credit(Kind::OutSink, 1, 1_000));
    let said = bus.cost(0, |bus| {
        bus.say(0, &chunk(Kind::OutSink, 1, &[7; 64]).repeat(100));
        bus.say(0, &end(Kind::OutSink, 1, &[7; 3_000]));
    });
    assert_eq!(said, 0);
    let cancelled = bus.cost(1, |bus| bus.say(1, &end(Kind::InStream, 1, &[7; 999])));
    assert_eq!(cancelled, 0);
}

/// What was on its way when the reader had enough of it.
#[test]
fn messages_that_cross_a_cancel_are_paid_for() {
    let mut bus = with_credit(50_000);
    // a gives credit for the code, so that the cancel goes out at once.
    bus.say(0, &credit(Kind::OutSink, 1, 10));
    bus.say(1, &end(Kind::InStream, 1, b""));
    bus.hear(0);
    assert!(bus.sessions[0].channels.is_inlet_over(bus.sessions[0].channels.first_leg()));
    let cost = bus.cost(0, |bus| bus.say(0, &chunk(Kind::OutSink, 1, &[7; 64]).repeat(100)));
    assert_eq!(cost, 0);
}

#[test]
fn a_connect_costs_what_the_rules_for_caps_do() {
    let mut bus = Bus::new(&["a", "b"]);
    let caps = bus.settings.caps.general;
    let connect = chunk(Kind::Duplex, 1, b"\x00\x01b");
    let without = bus.cost(0, |bus| bus.say(0, &connect));
    let mut bus = Bus::new(&["a", "b"]);
    let rule = || crate::cap::Rule { writer: Some("x*".to_owned()), reader: None, caps };
    bus.settings.caps.rules = (0..1_000).map(|_| rule()).collect();
    let with = bus.cost(0, |bus| bus.say(0, &connect));
    assert!(with >= without + 200, "{with} {without}");
}

#[test]
fn a_page_costs_what_was_looked_at() {
    let bus = Bus::connected();
    let looked = |visits: usize| {
        let (mut page, mut left) = (PageWriter::new(0, 1, 0, 16 << 10), visits);
        let next = bus.sessions[0].put_flows(0, bus.now, &mut page, &mut left);
        (next, visits - left)
    };
    assert_eq!((looked(0).1, looked(1), looked(STATS_VISITS_MAX)), (0, (None, 1), (None, 1)));
    let mut bus = Bus::new(&["a"]);
    let told = StatsReply { half: bpmux::HalfKey::TOP_READER, page: vec![0; 1_280], visits: 500 };
    let cost = bus.cost(0, |bus| bus.with(0, |session, _| session.handle_stats_reply(told)));
    assert_eq!(cost, 500 + 10);
}

#[test]
fn offers_that_are_withdrawn_are_not_looked_for_one_by_one() {
    const COUNT: usize = 400;
    let mut bus = Bus::new(&[]);
    bus.settings.offers_max = COUNT;
    bus.settings.limits.halves_max = 4;
    // One that gives no credit to be asked, and many who ask.
    for index in 0..=COUNT {
        bus.connect();
        bus.say(index, &chunk(Kind::InSink, 0, &entry(&format!("{index}"))));
    }
    for index in 1..=COUNT {
        bus.say(index, &chunk(Kind::Duplex, 1, b"\x00\x010"));
    }
    let len = |bus: &Bus| bus.sessions[0].audit().offers;
    assert_eq!(len(&bus), COUNT);
    let (mut gone_through, mut queued) = (0, COUNT);
    for index in (1..=COUNT).rev() {
        bus.say(index, &[end(Kind::OutSink, 1, b""), end(Kind::OutStream, 1, b"")].concat());
        let now = bus.sessions[0].channels.queued_offers();
        assert!(len(&bus) == index - 1 && now <= 2 * len(&bus) + 1, "{now} of {index}");
        gone_through += if now < queued { queued } else { 0 };
        queued = now;
    }
    assert!(gone_through <= 3 * COUNT, "{gone_through} were gone through");
    assert_eq!((bus.sessions[0].audit().legs, bus.budget.used_bytes()), (0, 0));
    // There is room for as many again.
    bus.say(1, &chunk(Kind::Duplex, 2, b"\x00\x010"));
    assert_eq!(len(&bus), 1);
}

/// Closes that wait for payload are not gone through at each send.
#[test]
fn a_close_is_looked_at_when_nothing_goes_out_before_it_any_more() {
    let mut bus = Bus::connected();
    let leg = bus.sessions[1].channels.first_leg();
    bus.sessions[1].set_backlogged(leg, true);
    bus.say(0, &end(Kind::OutSink, 1, b""));
    assert!(bus.hear(1).is_empty());
    assert_eq!(bus.sessions[1].audit().listed, 0, "nothing is to be done for it");
    bus.say(1, &credit(Kind::InStream, 1, 10));
    bus.sessions[1].set_backlogged(leg, false);
    assert_eq!(bus.hear(1), end(Kind::OutSink, 1, b"\0"));
}

#[test]
fn who_watches_is_known_without_asking_all() {
    let mut bus = Bus::new(&["a", "b", "c"]);
    assert!(bus.watchers.is_empty());
    bus.say(0, &chunk(Kind::OutStream, 1, b""));
    bus.say(1, &chunk(Kind::OutStream, 1, b""));
    bus.say(1, &chunk(Kind::OutStream, 2, b""));
    assert_eq!(bus.watchers.iter().copied().collect::<Vec<_>>(), [0, 1]);
    bus.say(0, &end(Kind::OutStream, 1, b""));
    bus.with(1, |session, cx| session.leave(&Leaving::Eof, cx));
    assert!(bus.watchers.is_empty());
}
