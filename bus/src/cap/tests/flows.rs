//! Caps in time: writers and readers at some distance, of some speed, share a budget.

use std::collections::VecDeque;

use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const DEFAULT: Caps = Caps { min_bytes: 16 * KIB, initial_bytes: 64 * KIB, max_bytes: 16 * MIB };
/// How often the relay looks.
const TICK: Duration = Duration::from_micros(10);
/// What one receive brings at the most.
const RECEIVE_BYTES: u64 = 64 * KIB;

/// How fast a writer or a reader is, in bytes for each tick.
const fn mb_per_s(rate: u64) -> u64 {
    rate * 10
}

/// What a writer has to send.
#[derive(Clone, Copy)]
enum Demand {
    /// As much as it may.
    Flood,
    /// So many bytes, every so many ticks.
    Bursts { bytes: u64, ticks: u64 },
}

/// A writer, its half in the relay, and its reader.
struct Flow {
    account: Account,
    demand: Demand,
    /// Bytes for each tick.
    writer_rate: u64,
    reader_rate: u64,
    /// Ticks from the writer to the relay, and back.
    delay: u64,
    /// What the reader lets be on its way, if it returns what it has read; else it gives all it can at once.
    reader_window: Option<u64>,
    credit: u64,
    wanted: u64,
    /// To the relay and to the writer, with the tick in which they arrive.
    bytes_on_way: VecDeque<(u64, u64)>,
    credit_on_way: VecDeque<(u64, u64)>,
    banked: u64,
    unspent: u64,
    held: u64,
    read: u64,
    /// What the cap has been, whenever it changed.
    caps: Vec<(u64, u64)>,
}

struct World {
    budget: Budget,
    flows: Vec<Flow>,
    begun: Instant,
    tick: u64,
}

impl World {
    fn new() -> Self {
        Self { budget: Budget::new(64 * MIB), flows: Vec::new(), begun: Instant::now(), tick: 0 }
    }

    /// Adds a flow; returns its index.
    fn flow(&mut self, demand: Demand, writer_rate: u64, reader_rate: u64, delay: Duration) -> usize {
        let account = self.budget.open(DEFAULT, UserId::NOBODY).expect("there is room");
        self.flows.push(Flow {
            caps: vec![(self.tick, account.cap_bytes())],
            account,
            demand,
            writer_rate,
            reader_rate,
            delay: (delay.as_nanos() / TICK.as_nanos()) as u64,
            reader_window: None,
            credit: 0,
            wanted: 0,
            bytes_on_way: VecDeque::new(),
            credit_on_way: VecDeque::new(),
            banked: 1 << 40,
            unspent: 0,
            held: 0,
            read: 0,
        });
        self.flows.len() - 1
    }

    fn run(&mut self, time: Duration) {
        for _ in 0..time.as_nanos() / TICK.as_nanos() {
            self.tick += 1;
            let now = self.begun + TICK * u32::try_from(self.tick).expect("a short time");
            for flow in &mut self.flows {
                flow.tick(self.tick, now, &mut self.budget);
            }
            assert!(self.budget.used_bytes() <= 64 * MIB);
        }
    }

    /// Bytes that a flow carries in a time, each second.
    fn rate(&mut self, flow: usize, time: Duration) -> f64 {
        let before = self.flows[flow].read;
        self.run(time);
        (self.flows[flow].read - before) as f64 / time.as_secs_f64()
    }

    fn cap(&self, flow: usize) -> u64 {
        self.flows[flow].account.cap_bytes()
    }
}

/// What has arrived by now.
fn arrived(way: &mut VecDeque<(u64, u64)>, tick: u64, most: u64) -> u64 {
    let mut sum = 0;
    while let Some((at, amount)) = way.front_mut().filter(|(at, _)| *at <= tick && sum < most) {
        let taken = (*amount).min(most - sum);
        sum += taken;
        *amount -= taken;
        if *amount == 0 {
            way.pop_front();
        } else {
            debug_assert!(*at <= tick);
        }
    }
    sum
}

impl Flow {
    fn tick(&mut self, tick: u64, now: Instant, budget: &mut Budget) {
        self.credit += arrived(&mut self.credit_on_way, tick, u64::MAX);
        match self.demand {
            Demand::Flood => self.wanted = u64::MAX,
            Demand::Bursts { bytes, ticks } if tick.is_multiple_of(ticks) => self.wanted += bytes,
            Demand::Bursts { .. } => {}
        }
        let sent = self.wanted.min(self.credit).min(self.writer_rate);
        if sent > 0 {
            self.credit -= sent;
            self.wanted -= sent;
            self.bytes_on_way.push_back((tick + self.delay, sent));
        }
        // What came in the tick before leaves in this one.
        let left = self.held.min(self.reader_rate);
        let received = arrived(&mut self.bytes_on_way, tick, RECEIVE_BYTES);
        self.unspent -= received;
        self.held = self.held + received - left;
        self.read += left;
        if left > 0 {
            budget.released(&mut self.account, left);
        }
        if self.reader_window.is_some() {
            self.banked += left;
        }
        if received == 0 && left == 0 && self.unspent > 0 {
            return;
        }
        let sample = CreditSample { now, unspent_bytes: self.unspent, banked_bytes: self.banked };
        let amount = budget.grant(&mut self.account, &sample, &PACE);
        self.banked -= amount;
        self.unspent += amount;
        if amount > 0 {
            self.credit_on_way.push_back((tick + self.delay, amount));
        }
        let cap = self.account.cap_bytes();
        if self.caps.last().is_none_or(|(_, last)| *last != cap) {
            self.caps.push((tick, cap));
        }
    }
}

/// A pair on one machine that could do 2 GB/s, and needs about 40 us for a turn.
#[test]
fn a_lone_fast_pair_gets_all_it_can_use_within_a_tenth_of_a_second() {
    let mut world = World::new();
    let flow = world.flow(Demand::Flood, mb_per_s(2000), mb_per_s(4000), TICK);
    world.run(Duration::from_millis(50));
    let rate = world.rate(flow, Duration::from_millis(50));
    assert!(rate >= 0.95 * 2e9, "{rate} with a cap of {} from {:?}", world.cap(flow), world.flows[flow].caps);
}

/// 10 ms each way and 100 MB/s: 2 MB are on their way.
#[test]
fn a_distant_pair_fills_the_line_within_a_second() {
    let mut world = World::new();
    let flow = world.flow(Demand::Flood, mb_per_s(100), mb_per_s(4000), Duration::from_millis(10));
    world.run(Duration::from_millis(800));
    let rate = world.rate(flow, Duration::from_millis(200));
    assert!(rate >= 0.9 * 1e8, "{rate} with a cap of {} from {:?}", world.cap(flow), world.flows[flow].caps);
}

/// Bursts of 300 KiB at 10 MB/s, half a millisecond away: with the first cap a burst takes five turns.
#[test]
fn bursts_make_the_cap_grow_and_it_rests_there() {
    let mut world = World::new();
    let burst = 300 * KIB;
    let flow = world.flow(
        Demand::Bursts { bytes: burst, ticks: burst / mb_per_s(10) },
        mb_per_s(2000),
        mb_per_s(4000),
        Duration::from_micros(500),
    );
    world.run(Duration::from_secs(2));
    let grown = world.cap(flow);
    assert!((burst..=4 * burst).contains(&grown), "{grown}");
    let changes = world.flows[flow].caps.len();
    world.run(Duration::from_secs(2));
    assert_eq!(world.flows[flow].caps.len(), changes, "it oscillates: {:?}", world.flows[flow].caps);
}

/// An autotuner that asks how often a window passes in a round trip stops at twice its start when the reader is just as
/// fast as the window lets it be.
#[test]
fn a_reader_as_fast_as_the_window_is_no_trap() {
    let mut world = World::new();
    // 64 KiB each turn of 2 ms.
    let turn = Duration::from_millis(1);
    let rate = 64 * KIB / 200;
    let flow = world.flow(Demand::Flood, mb_per_s(1000), rate, turn);
    world.run(Duration::from_millis(900));
    let faster = 8 * rate;
    world.flows[flow].reader_rate = faster;
    world.run(Duration::from_millis(900));
    let grown = world.cap(flow);
    assert!(grown > 2 * DEFAULT.initial_bytes, "{grown} from {:?}", world.flows[flow].caps);
    let rate = world.rate(flow, Duration::from_millis(200)) * TICK.as_secs_f64();
    assert!(rate >= 0.9 * faster as f64, "{rate} of {faster}");
    let changes = world.flows[flow].caps.len();
    world.run(Duration::from_secs(2));
    assert!(world.flows[flow].caps.len() <= changes + 2, "it oscillates: {:?}", world.flows[flow].caps);
}

#[test]
fn a_writer_at_leisure_keeps_what_it_has() {
    for (bytes, ticks) in [(100, 10), (1000, 100), (1000, 10_000), (40 * KIB, 50_000)] {
        let mut world = World::new();
        let flow = world.flow(Demand::Bursts { bytes, ticks }, mb_per_s(2000), mb_per_s(4000), TICK);
        world.run(Duration::from_secs(5));
        assert!(world.cap(flow) <= 2 * DEFAULT.initial_bytes, "{bytes} {ticks}: {:?}", world.flows[flow].caps);
    }
}

#[test]
fn a_standing_backlog_makes_the_cap_shrink_to_what_the_reader_takes() {
    let mut world = World::new();
    let flow = world.flow(Demand::Flood, mb_per_s(2000), mb_per_s(4000), TICK);
    world.run(Duration::from_millis(100));
    let grown = world.cap(flow);
    assert!(grown > DEFAULT.initial_bytes);
    world.flows[flow].reader_rate = mb_per_s(50);
    world.run(Duration::from_secs(3));
    let rate = world.rate(flow, Duration::from_millis(100));
    // 1 ms of 50 MB/s is 50 KB.
    assert!(world.cap(flow) <= 80 * KIB, "{:?}", world.flows[flow].caps);
    assert!(rate >= 0.95 * 5e7, "{rate}");
    let changes = world.flows[flow].caps.len();
    world.run(Duration::from_secs(1));
    assert!(world.flows[flow].caps.len() <= changes + 2, "it oscillates: {:?}", world.flows[flow].caps);
}

#[test]
fn silence_gives_back() {
    let mut world = World::new();
    let flow = world.flow(Demand::Flood, mb_per_s(2000), mb_per_s(4000), TICK);
    world.run(Duration::from_millis(100));
    let grown = world.cap(flow);
    world.flows[flow].demand = Demand::Bursts { bytes: 100, ticks: 300_000 };
    world.flows[flow].wanted = 0;
    world.run(Duration::from_secs(10));
    assert!(world.cap(flow) <= grown >> 2, "{:?}", world.flows[flow].caps);
    world.run(Duration::from_secs(60));
    assert_eq!(world.cap(flow), DEFAULT.min_bytes);
    // And it grows again.
    world.flows[flow].demand = Demand::Flood;
    world.run(Duration::from_millis(100));
    assert!(world.cap(flow) >= grown / 2);
}

#[test]
fn busy_halves_share_and_whoever_comes_has_a_part_at_once() {
    let mut world = World::new();
    for _ in 0..7 {
        world.flow(Demand::Flood, mb_per_s(100), mb_per_s(4000), Duration::from_millis(200));
    }
    world.run(Duration::from_secs(20));
    let last = world.flow(Demand::Flood, mb_per_s(100), mb_per_s(4000), Duration::from_millis(200));
    // All that is shared, in equal parts, and one more part that is free.
    let part = 32 * MIB / 8;
    for flow in &world.flows[..last] {
        let out = flow.account.outstanding_bytes();
        assert!((part / 2..=2 * part).contains(&out), "{out} of {part}");
    }
    world.run(Duration::from_secs(20));
    let out = world.flows[last].account.outstanding_bytes();
    assert!(out >= part / 3, "{out} of {part}");
}
