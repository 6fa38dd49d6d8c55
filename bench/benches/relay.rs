//! The relay without the kernel: messages from session to session, promises of credit, and messages between shards.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::{Lengths, Messages, Sessions};
use bus::address::{ConnId, LegAddr, LegId};
use bus::cap::{Budget, Caps, CreditSample, Pace};
use bus::msg::Effect;
use bus::share::UserId;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use limits::{
    CREDIT_CAP_INITIAL_BYTES, CREDIT_CAP_MAX_BYTES, CREDIT_CAP_MIN_BYTES, CREDIT_IDLE_MS, CREDIT_MEMORY_BYTES,
    CREDIT_STANDING_INTERVAL_MS, CREDIT_STANDING_UNIX_MS, RECEIVE_BUFFER_BYTES,
};
use relay::shard::inbox::{Inbox, ShardMsg};

/// Messages that wait in an inbox at once.
const MSGS: usize = 64;

/// A receive buffer of messages, in place: decoded, accounted for, given the reader's id, and released.
fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    for payload_len in [64, 1024] {
        for (name, lengths) in [("alike", Lengths::Alike(payload_len)), ("mixed", Lengths::Mixed(payload_len))] {
            let Messages { mut bytes, count } = Messages::fill(lengths, RECEIVE_BUFFER_BYTES as usize);
            let mut sessions = Sessions::default();
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("{payload_len}/{name}"), |bencher| {
                bencher.iter(|| sessions.forward(black_box(&mut bytes)));
            });
        }
    }
}

/// Credit for one half and for each of many in turn: a grant, and that all of it was spent and has left the relay.
fn cap(criterion: &mut Criterion) {
    let caps = Caps {
        min_bytes: CREDIT_CAP_MIN_BYTES,
        initial_bytes: CREDIT_CAP_INITIAL_BYTES,
        max_bytes: CREDIT_CAP_MAX_BYTES,
    };
    let pace = Pace {
        standing: Duration::from_millis(CREDIT_STANDING_UNIX_MS),
        interval: Duration::from_millis(CREDIT_STANDING_INTERVAL_MS),
        idle: Duration::from_millis(CREDIT_IDLE_MS),
    };
    let mut look = CreditSample { now: Instant::now(), unspent_bytes: 0, banked_bytes: u64::MAX };
    let mut group = criterion.benchmark_group("cap");
    for halves in [1, 1000] {
        let mut budget = Budget::new(CREDIT_MEMORY_BYTES);
        let open = |_| budget.open(caps, UserId::NOBODY).expect("there is room for the floors");
        let mut accounts: Vec<_> = (0..halves).map(open).collect();
        group.throughput(Throughput::Elements(halves));
        group.bench_function(format!("grant/{halves}"), |bencher| {
            bencher.iter(|| {
                // A tick later.
                look.now += Duration::from_micros(20);
                for account in &mut accounts {
                    let granted = budget.grant(account, black_box(&look), &pace);
                    budget.released(account, granted);
                }
            });
        });
    }
}

/// Messages through an inbox, by one thread and from one to another.
fn inbox(criterion: &mut Criterion) {
    let inbox = Inbox::new(2, MSGS);
    let leg = LegAddr { conn: ConnId { shard: 0, token: 1 }, leg: LegId { slot: 1, generation: 1 } };
    let msg = || ShardMsg::Effect(Effect::Released(leg, 64));
    let mut group = criterion.benchmark_group("inbox");
    group.throughput(Throughput::Elements(MSGS as u64));
    group.bench_function("same thread", |bencher| {
        bencher.iter(|| {
            for _ in 0..MSGS {
                assert!(inbox.push(msg()).is_ok(), "there is room");
            }
            while let Some(msg) = inbox.pop() {
                black_box(msg);
            }
        });
    });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match inbox.pop() {
                    Some(msg) => drop(black_box(msg)),
                    None => std::hint::spin_loop(),
                }
            }
        });
        group.bench_function("other thread", |bencher| {
            bencher.iter(|| {
                for _ in 0..MSGS {
                    while inbox.push(msg()).is_err() {
                        std::hint::spin_loop();
                    }
                }
            });
        });
        over.store(true, Ordering::Relaxed);
    });
}

criterion_group!(benches, forward, cap, inbox);
criterion_main!(benches);
