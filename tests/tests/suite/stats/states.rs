//! Flows that are held up by one thing each, and by nothing else.

use std::thread::sleep;
use std::time::{Duration, Instant};

use Kind::{InStream, OutSink};
use tests::bus::{Bus, Row, Transport, private};
use tests::pair::{CREDIT, Pair};
use tests::peer::{Pace, Peer};
use tests::stats::{Flow, PAGE_CREDIT, flows};
use tests::wire::{Kind, out_sink};

use crate::DAEMON;

/// What the relay lets one direction have out, in bytes.
const CAP: u64 = 4096;
/// How far the writer that is held up by the cap is from the relay, there and back.
const DISTANCE: Duration = Duration::from_millis(20);
/// When nothing has gone for so long, nothing will. TCP tries again after some 200 ms.
const STALLED_AFTER: Duration = Duration::from_millis(500);
/// How long the flows are looked at.
const SPAN: Duration = Duration::from_millis(1200);

const ROWS: [Row; 4] = [
    Row { transport: Transport::Unix, shards: 1, skewed: false, pace: Pace::Whole },
    Row { transport: Transport::Unix, shards: 2, skewed: false, pace: Pace::Whole },
    Row { transport: Transport::Tcp, shards: 2, skewed: true, pace: Pace::Whole },
    Row { transport: Transport::Mixed, shards: 2, skewed: false, pace: Pace::Whole },
];

/// The flow from `a` to `b`, and when it was asked for.
struct Sample {
    flow: Flow,
    before: Instant,
    after: Instant,
}

fn sample(asker: &mut Peer, pairs: &[(&str, Pair)]) -> Vec<Sample> {
    let before = Instant::now();
    let all = flows(asker, PAGE_CREDIT);
    let after = Instant::now();
    let of = |pair: &Pair| {
        let is_it = |flow: &&Flow| flow.writer_name == pair.a.name() && flow.reader_name == pair.b.name();
        let mut found = all.iter().filter(is_it);
        let flow = found.next().unwrap_or_else(|| panic!("the flow of {:?} is not told", pair.a.name())).clone();
        assert!(found.next().is_none() && flow.opener, "each once, and `a` has opened it");
        Sample { flow, before, after }
    };
    pairs.iter().map(|(_, pair)| of(pair)).collect()
}

/// Between the two samples the flow was in that state, all of the time is accounted for, and it is wall time.
fn judge(state: &str, [first, second]: [&Sample; 2]) {
    let age = second.flow.age - first.flow.age;
    let wall = [second.before.duration_since(first.after), second.after.duration_since(first.before)];
    assert!(wall[0] <= age && age <= wall[1], "aged by {age:?} in {wall:?}");
    let spent = |name: &str| second.flow.time(name) - first.flow.time(name);
    let sum: Duration = tests::stats::STATES.iter().map(|name| spent(name)).sum();
    assert!(sum * 100 >= age * 99 && sum * 100 <= age * 101, "the states sum up to {sum:?} of {age:?}");
    assert!(spent(state) * 100 >= age * 95, "not {state}: {:?}, then {:?}", first.flow, second.flow);
    assert_eq!(second.flow.state, state);
}

/// The reader gives all the credit in the world and takes nothing from its socket.
fn stall(pair: &mut Pair) {
    pair.b.give(InStream, pair.at_b, 1 << 40);
    let mut last = Instant::now();
    while last.elapsed() < STALLED_AFTER {
        pair.a.fence();
        match pair.a.credit(OutSink, pair.at_a) {
            0 => sleep(Duration::from_millis(1)),
            credit => {
                pair.a.send(&out_sink(pair.at_a).payload(vec![0; credit as usize]));
                last = Instant::now();
            }
        }
    }
}

/// The writer uses its window up as soon as it has it, from far away, and the reader takes all at once.
fn hasten(pair: &mut Pair, sent: &mut [u64; 2]) {
    pair.a.wait_credit(OutSink, pair.at_a, 1);
    sleep(DISTANCE);
    let credit = pair.a.credit(OutSink, pair.at_a);
    pair.a.send(&out_sink(pair.at_a).payload(vec![0; credit as usize]));
    *sent = [sent[0] + credit, sent[1] + 1];
    pair.b.wait_bytes(OutSink, pair.at_b, sent[0]);
    pair.b.message(OutSink, pair.at_b);
}

fn the_right_one_is_blamed(bus: &Bus) {
    let open = |state| (state, Pair::open(bus));
    let mut pairs = [open("idle"), open("reader"), open("egress"), open("cap")];
    let [(_, idle), (_, reader), (_, egress), (_, cap)] = &mut pairs;
    idle.forth().carry(b"once", 64);
    reader.a.wait_credit(OutSink, reader.at_a, CREDIT);
    reader.a.send(&out_sink(reader.at_a).payload([0; CREDIT as usize]));
    stall(egress);
    cap.b.give(InStream, cap.at_b, 1 << 40);
    let mut sent = [0, 0];
    (0..10).for_each(|_| hasten(cap, &mut sent));

    let mut asker = bus.client();
    let first = sample(&mut asker, &pairs);
    let begun = Instant::now();
    while begun.elapsed() < SPAN {
        hasten(&mut pairs[3].1, &mut sent);
    }
    let second = sample(&mut asker, &pairs);
    for ((state, _), samples) in pairs.iter().zip(first.iter().zip(&second)) {
        judge(state, samples.into());
    }
    let cap = &second[3].flow;
    let [bytes, messages, _, credit, banked, held, most] = cap.numbers;
    assert_eq!(([bytes, messages], most), (sent, CAP));
    assert_eq!(u128::from(bytes + credit + banked), (1 << 40) + u128::from(CREDIT));
    assert!(credit + held <= CAP);
    let egress = &second[2].flow.numbers;
    assert!(egress[5] > 0, "bytes are held: {egress:?}");
}

#[test]
fn the_right_one_is_blamed_for_nearly_all_of_the_time() {
    // Small socket buffers are full soon.
    let config = format!(
        "{}[credit]\ncap_min_bytes = {CAP}\ncap_initial_bytes = {CAP}\ncap_max_bytes = {CAP}\n\
         [socket]\nunix_send_buffer_bytes = 32768\ntcp_send_buffer_bytes = 32768\n",
        super::open_to_anyone()
    );
    private(DAEMON, &config, &ROWS, the_right_one_is_blamed);
}
