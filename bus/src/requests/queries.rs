//! Queries of one plugin, and the answers to them.
//!
//! A query without credit costs nothing but its half: it is put into the queue when the first credit comes. A few are
//! answered at once; the others wait for their turn. Whoever asks is charged for the bytes of the answers, and gets no more
//! of them while there is nothing left that he could be charged (`RateLimiter::charge_answer`).

use std::collections::VecDeque;

use bpmux::{HalfKey, Link};

use super::super::directory;
use super::super::listing::Listing;
use super::super::plugin::{Plugin, PluginContext, Role};
use super::reply::Reply;
use limits::{ANSWERS_MAX, WORK_LISTING_UNITS, WORK_TURN_UNITS_MAX};

#[derive(Debug)]
struct Answer {
    half: HalfKey,
    reply: Reply,
}

/// All queries of one plugin that something can be said to.
#[derive(Debug, Default)]
pub(super) struct Queries {
    under_way: Vec<Answer>,
    /// In the order in which they have their turns. Some may be cancelled.
    waiting: VecDeque<HalfKey>,
    /// How many of those that wait are cancelled, at the least.
    cancelled: usize,
}

impl Queries {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
    }

    /// The memory that they take, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { under_way, waiting, cancelled: _ } = self;
        let listings: usize = under_way.iter().map(|answer| answer.reply.memory_bytes()).sum();
        listings + under_way.capacity() * size_of::<Answer>() + waiting.capacity() * size_of::<HalfKey>()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn len(&self) -> usize {
        self.under_way.len() + self.waiting.len()
    }

    /// The next query that still waits for its turn.
    fn next(&mut self, link: &Link<Role>) -> Option<HalfKey> {
        loop {
            let half = self.waiting.pop_front()?;
            if link.is_open(half) {
                return Some(half);
            }
            self.cancelled = self.cancelled.saturating_sub(1);
        }
    }

    /// Takes out what nobody wants to know any more. What waits is gone through only when half of it is of no use.
    pub(super) fn cancel(&mut self, half: HalfKey, link: &Link<Role>) {
        let before = self.under_way.len();
        self.under_way.retain(|answer| answer.half != half);
        if self.under_way.len() < before {
            return;
        }
        self.cancelled += 1;
        if self.cancelled > self.waiting.len() / 2 {
            self.waiting.retain(|half| link.is_open(*half));
            self.cancelled = 0;
        }
    }

    /// The plugin asks who is there.
    pub(super) fn open(&mut self, half: HalfKey, cx: &mut PluginContext<'_>) {
        // An empty answer needs no credit.
        if cx.plugin.link.may_send(half) > 0 || !directory::lock(cx.directory).has_others(&cx.plugin.asker()) {
            self.make_ready(half, cx.plugin);
        } else {
            cx.plugin.link.set_user(half, Role::Query);
        }
    }

    /// There is credit for an answer.
    pub(super) fn make_ready(&mut self, half: HalfKey, plugin: &mut Plugin) {
        plugin.link.set_user(half, Role::Answering);
        self.waiting.push_back(half);
    }

    /// "In as many parts as the credit on the request allows." Only so many lists of names are held at once, and answers
    /// of a turn's work are written at a time.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) {
        let asker = cx.plugin.asker();
        let Plugin { link, limiter, .. } = &mut *cx.plugin;
        let mut units = 0;
        self.under_way.retain_mut(|answer| {
            let written = answer.reply.write(link, answer.half, out, len_max);
            units += limiter.charge_answer(0, written.bytes);
            !written.done
        });
        while self.under_way.len() < ANSWERS_MAX && units < WORK_TURN_UNITS_MAX && Reply::has_room(out, len_max) {
            let Some(half) = self.next(link) else { return };
            let (names, _) = directory::lock(cx.directory).snapshot(self.under_way.is_empty());
            let mut reply = Reply::listing(Listing::new(names, &asker));
            let written = reply.write(link, half, out, len_max);
            units += limiter.charge_answer(WORK_LISTING_UNITS, written.bytes);
            if !written.done {
                self.under_way.push(Answer { half, reply });
            }
        }
    }
}
