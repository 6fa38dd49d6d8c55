//! Model tests of inboxes: every order in which a shard can go to sleep while others write to it, or make the room that
//! it waits for.
//!
//! A wake-up that gets lost leaves a thread waiting for its bell for ever, which loom reports as a deadlock.
//!
//! Shards that wake by themselves, as the kernel makes them, are not modelled. Loom takes a write for unordered
//! with another thread's exchange that did not read it, although it can only follow, and would report wake-ups that are
//! not lost.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::super::inbox::{Inbox, ShardMsg, ShardSender};

/// Ends the sleep of a shard, or else its next one.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.heard.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !std::mem::take(&mut *rung) {
            rung = self.heard.wait(rung).unwrap();
        }
    }
}

/// What two shards share: their inboxes and bells.
struct Pair {
    inboxes: [Inbox; 2],
    bells: [Bell; 2],
}

impl Pair {
    fn new(msgs_max: usize) -> Arc<Pair> {
        let inboxes = [Inbox::new(2, msgs_max), Inbox::new(2, msgs_max)];
        Arc::new(Pair { inboxes, bells: Default::default() })
    }

    fn wake(&self, shard: usize) {
        self.bells[shard].ring();
    }
}

/// The ticks of a shard that sends this many messages to the other and gets as many as these, until it has done both.
fn live(pair: &Pair, me: usize, sends: usize, mut gets: usize) {
    let (mine, inboxes) = (&pair.inboxes[me], &pair.inboxes);
    let mut sender = ShardSender::new(me, 2);
    (0..sends).for_each(|_| sender.send(1 - me, ShardMsg::LookUp, inboxes));
    loop {
        for _ in 0..mine.len() {
            let Some(_) = mine.pop() else { break };
            gets -= 1;
        }
        sender.tell_room(mine, inboxes, |shard| pair.wake(shard));
        sender.flush(inboxes, |shard| pair.wake(shard));
        if gets == 0 && !sender.is_congested() {
            return;
        }
        if sender.may_sleep(inboxes) {
            pair.bells[me].wait();
        }
        mine.note_awake();
    }
}

/// Runs two shards that send the other this many messages each, through inboxes for so many.
fn check(sends: [usize; 2], msgs_max: usize) {
    loom::model(move || {
        let pair = Pair::new(msgs_max);
        let other = {
            let pair = pair.clone();
            thread::spawn(move || live(&pair, 1, sends[1], sends[0]))
        };
        live(&pair, 0, sends[0], sends[1]);
        other.join().expect("the shard ends well");
    });
}

#[test]
fn a_message_wakes_a_shard_that_goes_to_sleep() {
    check([1, 0], 4);
}

#[test]
fn room_wakes_a_shard_that_goes_to_sleep() {
    check([2, 0], 1);
}

#[test]
fn shards_that_fill_each_others_inboxes_never_both_sleep() {
    check([2, 2], 1);
}
