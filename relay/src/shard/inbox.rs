//! Work queues between shards: bounded inboxes, and who is to be woken.
//!
//! Every shard has one queue that all others write and only it reads. A shard never waits for room in another one's
//! queue: what does not fit stays with the sender, which stops reading the connections that write there until it has gone.
//!
//! Whoever sends wakes a sleeping shard, at most once a tick: `ShardSender::flush` and `Driver::wake`, which is a message from
//! ring to ring. Threads that are no shards wake one by `engine::registry::Waker`.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use bus::address::LegAddr;
use bus::msg::Effect;
use bus::session::{Forward, Parts, Refused};
use engine::buffers::Lease;
use engine::pipes::Pipe;
use limits::OUTGOING_MSGS_MAX;

use crate::sync::{ArrayQueue, AtomicBool, Ordering};

use super::admission::Place;
use super::outbox::Shortage;

/// A connection on its way to the shard that will serve it.
#[derive(Debug)]
pub struct NewConn {
    pub(super) socket: OwnedFd,
    pub(super) place: Place,
    /// Why there is no place for it, when there is none.
    pub(super) refused: Option<Refused>,
    /// Whether it came over TCP.
    pub(super) tcp: bool,
}

/// What shards, and connections within one, send each other.
#[derive(Debug)]
pub enum ShardMsg {
    /// What the bus says.
    Effect(Effect),
    /// Payload, with the bytes, and for whom they are to be copied at once because receive buffers are short.
    Payload(Forward, Lease, Shortage),
    /// Payload in a pipe, and whether it is not to wait there because pipes are short.
    Piped(Parts, Pipe, bool),
    /// A new connection to serve.
    NewConn(NewConn),
    /// The far half of this leg has no room for more heads: its connection is not read. Until the second one with `false`.
    Pause(LegAddr, bool),
    /// Nothing but a reason to look whether the relay can stop.
    LookUp,
}

/// A shard's queue, as all others see it.
#[derive(Debug)]
pub struct Inbox {
    queue: ArrayQueue<ShardMsg>,
    /// Whether the shard is about to sleep, so that whoever writes must wake it.
    sleeping: AtomicBool,
    /// The shards that found the queue full and want to hear when there is room.
    waiting: Box<[AtomicBool]>,
}

impl Inbox {
    /// An inbox for this many messages.
    #[must_use]
    pub fn new(shards: usize, msgs_max: usize) -> Self {
        Self {
            queue: ArrayQueue::new(msgs_max),
            sleeping: AtomicBool::new(false),
            waiting: (0..shards).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// Puts a message in, or gives it back when there is no room.
    ///
    /// # Errors
    /// The message, when there is no room.
    #[expect(clippy::result_large_err, reason = "what does not fit is handed back, not described")]
    pub fn push(&self, msg: ShardMsg) -> Result<(), ShardMsg> {
        self.queue.push(msg)
    }

    /// The owner takes the next.
    pub fn pop(&self) -> Option<ShardMsg> {
        self.queue.pop()
    }

    /// What is there now.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there is nothing for the owner.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The owner says that it is going to sleep; returns false when it must not, because there are messages.
    fn go_to_sleep(&self) -> bool {
        // Either a sender sees the flag after it has pushed, or we see what it pushed: both sides write, then read.
        self.sleeping.store(true, Ordering::SeqCst);
        if self.queue.is_empty() {
            return true;
        }
        self.sleeping.store(false, Ordering::SeqCst);
        false
    }

    /// The owner is awake.
    pub(super) fn note_awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    /// Whether the owner must be woken for the message that was just pushed. True for one asker only.
    fn needs_waking(&self) -> bool {
        self.sleeping.load(Ordering::SeqCst) && self.sleeping.swap(false, Ordering::SeqCst)
    }
}

/// Where one shard writes its messages to the others.
#[derive(Debug)]
pub(super) struct ShardSender {
    me: usize,
    /// For each other shard, what did not fit into its queue yet, in order.
    outgoing: Vec<VecDeque<ShardMsg>>,
    /// Shards that got messages in this tick.
    written: Vec<bool>,
    /// Whether [`OUTGOING_MSGS_MAX`] are waiting for some shard.
    full: bool,
}

impl ShardSender {
    pub(super) fn new(me: usize, shards: usize) -> Self {
        Self { me, outgoing: (0..shards).map(|_| VecDeque::new()).collect(), written: vec![false; shards], full: false }
    }

    /// Whether messages to some shard are waiting for room.
    pub(super) fn is_congested(&self) -> bool {
        self.outgoing.iter().any(|queue| !queue.is_empty())
    }

    /// Whether so much is waiting for some shard that connections which write there must stop at once.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether neither messages nor room keep the shard from sleeping. From now on whoever brings either wakes it.
    pub(super) fn may_sleep(&self, inboxes: &[Inbox]) -> bool {
        inboxes[self.me].go_to_sleep() && !self.has_room(inboxes)
    }

    /// Whether a shard for which messages are waiting has said since that there is room. Asked by a shard that is about to
    /// sleep, after it has said so: either it sees that word, or whoever gives it sees that it must wake this shard.
    fn has_room(&self, inboxes: &[Inbox]) -> bool {
        let told = |inbox: &Inbox| !inbox.waiting[self.me].load(Ordering::SeqCst);
        self.outgoing.iter().zip(inboxes).any(|(queue, inbox)| !queue.is_empty() && told(inbox))
    }

    /// Sends a message to another shard.
    pub(super) fn send(&mut self, to: usize, msg: ShardMsg, inboxes: &[Inbox]) {
        self.written[to] = true;
        let waiting = &mut self.outgoing[to];
        if !waiting.is_empty() {
            waiting.push_back(msg);
            self.full |= waiting.len() >= OUTGOING_MSGS_MAX;
        } else if let Err(msg) = inboxes[to].push(msg) {
            waiting.push_back(msg);
        }
    }

    /// Tries again what did not fit, and wakes the shards that got messages and sleep. Once a tick.
    pub(super) fn flush(&mut self, inboxes: &[Inbox], mut wake: impl FnMut(usize)) {
        self.full = false;
        for (to, inbox) in inboxes.iter().enumerate() {
            let waiting = &mut self.outgoing[to];
            if !waiting.is_empty() {
                // Before the attempt, so that room made after it is not missed.
                inbox.waiting[self.me].store(true, Ordering::SeqCst);
                while let Some(msg) = waiting.pop_front() {
                    self.written[to] = true;
                    if let Err(msg) = inbox.push(msg) {
                        waiting.push_front(msg);
                        break;
                    }
                }
                self.full |= waiting.len() >= OUTGOING_MSGS_MAX;
            }
            if std::mem::take(&mut self.written[to]) && inbox.needs_waking() {
                wake(to);
            }
        }
    }

    /// The owner has emptied its queue: whoever waited for room is woken.
    pub(super) fn tell_room(&self, mine: &Inbox, inboxes: &[Inbox], mut wake: impl FnMut(usize)) {
        for (shard, waiting) in mine.waiting.iter().enumerate() {
            if waiting.load(Ordering::SeqCst) && waiting.swap(false, Ordering::SeqCst) && inboxes[shard].needs_waking()
            {
                wake(shard);
            }
        }
    }
}
