//! Flows that are held up by one thing at a time, and any life of a flow.

use proptest::prelude::*;

use super::clock::ANSWER_NS;
use super::*;

const MS: Nanos = 1_000_000;

/// A flow and what is told of it.
struct Flow {
    waits: WaitStates,
    began: Nanos,
    sample: FlowSample,
}

impl Flow {
    fn new() -> Self {
        let now = 77;
        let sample = FlowSample { now, credit_before: 0, credit: 0, banked: 0, held: 0, unread: 0, more_waits: false };
        Self { waits: WaitStates::new(now), began: now, sample }
    }

    /// Time passes without an event.
    fn pass(&mut self, time: Nanos) -> &mut Self {
        self.sample.now += time;
        self
    }

    /// The reader gives credit, of which the relay passes on so much.
    fn grant(&mut self, given: u64, granted: u64) -> &mut Self {
        self.sample.banked = self.sample.banked + given - granted;
        self.sample.credit += granted;
        self.observe()
    }

    /// The writer sends.
    fn send(&mut self, bytes: u64) -> &mut Self {
        self.waits.count(1, bytes);
        self.sample.credit -= bytes;
        self.sample.credit_before = self.sample.credit;
        self.sample.held += bytes;
        self.observe()
    }

    /// The reader's socket takes bytes.
    fn leave(&mut self, bytes: u64, waited: bool) -> &mut Self {
        if waited {
            self.waits.waited();
        }
        self.waits.left();
        self.sample.held -= bytes;
        self
    }

    fn observe(&mut self) -> &mut Self {
        self.waits.observe(&self.sample);
        self.sample.credit_before = self.sample.credit;
        self
    }

    fn report(&self) -> Report {
        self.waits.report(self.sample.now, self.sample.unread)
    }

    /// Most of the time was spent so, all of it is accounted for, and so it stands now.
    #[track_caller]
    fn assert(&self, state: FlowState) {
        let report = self.report();
        assert_eq!(report.times.iter().sum::<Nanos>(), report.age, "{report:?}");
        assert_eq!(report.age, self.sample.now - self.began);
        assert!(report.times[state as usize] * 100 >= report.age * 95, "not {state:?}: {report:?}");
        assert_eq!(report.state, state);
    }
}

#[test]
fn a_reader_without_a_word_is_to_blame_from_the_start() {
    let mut flow = Flow::new();
    flow.pass(MS * 500).assert(FlowState::Reader);
    flow.grant(100, 100).send(100).leave(100, false).pass(MS * 500).observe().assert(FlowState::Reader);
}

#[test]
fn a_writer_that_has_credit_is_idle() {
    let mut flow = Flow::new();
    flow.grant(1000, 1000).pass(MS * 500).assert(FlowState::Idle);
    for _ in 0..10 {
        flow.send(10).pass(MS / 10).leave(10, false).observe().pass(MS * 100);
    }
    flow.assert(FlowState::Idle);
    let report = flow.report();
    assert_eq!((report.bytes, report.messages, report.stalls), (100, 10, 0));
}

/// A window that is used up as soon as it is there, at this distance.
fn windows(flow: &mut Flow, distance: Nanos, given: u64, turns: usize) {
    for _ in 0..turns {
        flow.grant(given, 100).pass(distance).send(100).pass(MS / 20).leave(100, false);
    }
}

#[test]
fn a_window_that_is_always_used_up_is_to_blame() {
    for distance in [MS / 20, MS * 20, MS * 150] {
        let mut flow = Flow::new();
        flow.grant(1 << 40, 0);
        windows(&mut flow, distance, 0, 300);
        flow.assert(FlowState::Cap);
        assert_eq!(flow.report().stalls, u64::from(distance > ANSWER_NS), "the first answer is not known");

        let mut flow = Flow::new();
        windows(&mut flow, distance, 100, 300);
        flow.assert(FlowState::Reader);
    }
}

#[test]
fn a_writer_that_has_answered_quickly_and_then_pauses_is_idle() {
    let mut flow = Flow::new();
    flow.grant(1 << 40, 0);
    windows(&mut flow, MS / 20, 0, 20);
    let busy = flow.report();
    flow.grant(0, 100).pass(MS * 1000);
    let report = flow.report();
    let idle = report.times[FlowState::Idle as usize] - busy.times[FlowState::Idle as usize];
    assert!(idle > MS * 995 && report.state == FlowState::Idle, "{report:?}");
}

#[test]
fn leftovers_that_take_no_message_count_as_no_credit() {
    let mut flow = Flow::new();
    flow.grant(1050, 1050);
    for _ in 0..10 {
        flow.send(100).leave(100, false);
    }
    flow.pass(MS * 500).observe().pass(MS * 500).assert(FlowState::Reader);
}

#[test]
fn a_socket_that_takes_nothing_is_to_blame_whatever_else_happens() {
    let mut flow = Flow::new();
    flow.grant(1000, 1000).send(100);
    flow.pass(MS * 100).assert(FlowState::Egress);
    // The writer goes on, and uses its credit up.
    flow.send(400).pass(MS * 100).send(500).pass(MS * 100).grant(500, 0).pass(MS * 100).assert(FlowState::Egress);
    assert_eq!(flow.report().stalls, 1);
    flow.leave(1000, true).grant(1000, 1500).assert_not_stuck();
}

impl Flow {
    fn assert_not_stuck(&self) {
        assert_ne!(self.report().state, FlowState::Egress);
    }
}

#[test]
fn a_socket_that_is_slow_all_the_time_is_to_blame_though_bytes_keep_leaving() {
    let mut flow = Flow::new();
    flow.grant(1 << 40, 1000).send(1000);
    for _ in 0..300 {
        flow.pass(MS / 5).leave(500, true).grant(0, 500).pass(MS / 5).send(500);
    }
    flow.assert(FlowState::Egress);
}

#[test]
fn bytes_that_are_on_their_way_are_nobodys_fault() {
    let mut flow = Flow::new();
    flow.grant(1 << 40, 1 << 20);
    for _ in 0..300 {
        flow.send(100).pass(MS / 5).leave(100, false).observe().pass(MS / 5);
    }
    flow.assert(FlowState::Idle);
}

#[test]
fn what_is_not_read_waits_for_the_relay() {
    let mut flow = Flow::new();
    flow.grant(1000, 1000).pass(MS * 10).sample.unread = 0;
    for _ in 0..10 {
        flow.pass(MS * 100).sample.unread += MS * 98;
        flow.observe();
    }
    let relay = flow.report().times[FlowState::Relay as usize];
    assert_eq!(relay, MS * 980);
    // A flood: each receive leaves something behind.
    let mut flow = Flow::new();
    flow.grant(1 << 40, 1 << 30).sample.more_waits = true;
    for _ in 0..300 {
        flow.send(1000).pass(MS / 5).leave(1000, false);
    }
    flow.observe().assert(FlowState::Relay);
    // Without credit it would not matter whether it is read.
    let mut flow = Flow::new();
    flow.pass(MS * 100).sample.unread = MS * 100;
    flow.assert(FlowState::Reader);
}

proptest! {
    /// Each instant belongs to exactly one state, whatever happens and in whatever order.
    #[test]
    fn the_states_partition_time(acts in proptest::collection::vec((0..8u8, 0..3000u64, any::<bool>()), 0..300)) {
        let mut flow = Flow::new();
        let mut age = 0;
        for (act, amount, flag) in acts {
            match act {
                0 => { flow.grant(amount, 0); }
                1 => { let amount = amount.min(flow.sample.banked); flow.grant(0, amount); }
                2 => { let amount = amount.min(flow.sample.credit); flow.send(amount); }
                3 => { let amount = amount.min(flow.sample.held); flow.leave(amount, flag); }
                4 => flow.sample.more_waits = flag,
                5 => flow.sample.unread += amount * 1_000,
                6 => { flow.observe(); }
                _ => {
                    let time = amount * amount * 1_000;
                    age += time;
                    flow.pass(time);
                }
            }
            let report = flow.report();
            prop_assert_eq!(report.age, age);
            prop_assert_eq!(report.times.iter().sum::<Nanos>(), age);
        }
    }
}
