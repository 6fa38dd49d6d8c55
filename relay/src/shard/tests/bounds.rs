//! What is bounded: the turns of the halves of a connection, the messages for a shard that is behind, what a connection may
//! cost.

use std::sync::Arc;
use std::time::Instant;

use bus::address::{ConnId, LegAddr, LegId};
use bus::session::Session;
use bus::share::UserId;
use engine::buffers::Lease;
use engine::driver::Token;
use limits::{OUTGOING_MSGS_MAX, QUANTUM_BYTES, READ_BYTES_MIN};

use crate::config::Config;

use super::super::admission::Place;
use super::super::conn::Conn;
use super::super::core::{Core, Shared};
use super::super::inbox::{Inbox, ShardMsg, ShardSender};
use super::super::leftover::Leftover;
use super::super::outbox::{Outbox, Shortage};

fn core() -> Core {
    Core::new(0, Arc::new(Shared::new(Config::of_test(""))), Instant::now())
}

const ME: ConnId = ConnId { shard: 0, token: 0 };

fn conn(core: &Core) -> Conn {
    let session = Session::new(ME, UserId::NOBODY, false, core.now, &core.settings);
    Conn::new(Token(0), "".into(), Place::Registered(UserId::NOBODY), session)
}

/// Halves share by bytes, not by blocks: one with large blocks has no more than one with small ones.
#[test]
fn halves_that_wait_for_the_same_plugin_share_by_bytes() {
    const LARGE: usize = 60_000;
    const SMALL: usize = 1_000;
    /// What the chunks of each consist of.
    const MARKS: [u8; 3] = [201, 202, 203];
    let mut core = core();
    core.config.engine.outbox_bytes = 1 << 20;
    let mut conn = conn(&core);
    for (slot, (bytes, count)) in [(LARGE, 40), (SMALL, 2_400), (LARGE, 40)].into_iter().enumerate() {
        let id = LegId { slot: slot as u32, generation: 0 };
        let from = LegAddr { conn: ME, leg: id };
        (0..count).for_each(|_| conn.wait_with(id, from, &vec![MARKS[slot]; bytes], &mut core));
    }
    conn.fill(&mut core);
    let mut out = Vec::new();
    conn.outbox.take_off(0, &mut core.pool).expect("there is much to be sent").copy_to(&mut out);
    let sent = MARKS.map(|mark| out.iter().filter(|byte| **byte == mark).count());
    let (least, most) = (sent.iter().min().expect("three"), sent.iter().max().expect("three"));
    assert!(*least > 300_000 && most - least <= LARGE + QUANTUM_BYTES, "{sent:?}");
}

/// A shard that does not take its messages stops those that write to it, in the middle of what they have to say.
#[test]
fn messages_for_a_shard_that_is_behind_is_bounded() {
    const MSGS: usize = 4;
    let inboxes = [Inbox::new(2, MSGS), Inbox::new(2, MSGS)];
    let mut sender = ShardSender::new(0, 2);
    let mut sent = 0;
    while !sender.is_full() {
        sender.send(1, ShardMsg::LookUp, &inboxes);
        sent += 1;
    }
    assert_eq!(sent, MSGS + OUTGOING_MSGS_MAX);
    sender.flush(&inboxes, |_| ());
    assert!(sender.is_full() && sender.is_congested(), "nothing has been taken");
    (0..MSGS).for_each(|_| drop(inboxes[1].pop()));
    sender.flush(&inboxes, |_| ());
    assert!(!sender.is_full() && sender.is_congested());
}

/// The fewer receive buffers there are, the fewer may wait in them.
#[test]
fn those_who_are_slow_give_buffers_back_first() {
    const ALL: usize = 64;
    let mut pool = core().pool;
    let mut outbox = Outbox::default();
    let copied = |outbox: &Outbox, tick| [32, 16, 8].map(|free| outbox.is_to_copy(Shortage::of(free, ALL), tick));
    let mut send = |outbox: &mut Outbox, begun: u64, ended: u64| {
        outbox.batch(&mut pool).put(&vec![0; READ_BYTES_MIN as usize / 2]);
        drop(outbox.take_off(begun, &mut pool).expect("there is something"));
        assert_eq!(copied(outbox, begun + 5), [false, true, true], "it should have landed");
        drop(outbox.landed(ended));
        copied(outbox, ended)
    };
    assert_eq!(copied(&outbox, 0), [false, true, true], "nobody knows it yet");
    for (begun, ended, slow) in [(1, 2, true), (2, 3, false), (3, 9, true), (10, 11, true), (11, 12, false)] {
        assert_eq!(send(&mut outbox, begun, ended), [false, slow, true], "{begun}");
    }
}

#[test]
fn what_is_left_unread_counts_once() {
    const LEFT: usize = 50_000;
    let core = core();
    let mut conn = conn(&core);
    let before = conn.overhead_bytes();
    conn.leftover = Some(Leftover { lease: Lease::from_vec(vec![0; LEFT]), rx_pipe: None });
    assert_eq!(conn.overhead_bytes(), before + LEFT);
}

/// A plugin that leaves takes thousands of halves with it: none of them is looked for among the others.
#[test]
fn backlogs_that_go_leave_few_turns_behind() {
    const COUNT: u32 = 10_000;
    let mut core = core();
    let mut conn = conn(&core);
    let id = |slot| LegId { slot, generation: 0 };
    (0..COUNT).for_each(|slot| conn.wait_with(id(slot), LegAddr { conn: ME, leg: id(slot) }, &[1], &mut core));
    let (mut gone_through, mut turns_before) = (0, COUNT as usize);
    for slot in 0..COUNT {
        conn.drop_backlog(id(slot), &mut core);
        let (backlogs, turns) = conn.waiting_counts();
        assert!(backlogs == (COUNT - 1 - slot) as usize && turns <= 2 * backlogs + 16);
        gone_through += if turns < turns_before { turns_before } else { 0 };
        turns_before = turns;
    }
    assert!(gone_through <= 3 * COUNT as usize, "{gone_through} turns were gone through");
    assert_eq!(conn.waiting_overhead_bytes(), 0, "tables of that size are not kept");
}
