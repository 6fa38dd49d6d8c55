//! Queries of one plugin, and the answers to them.
//!
//! A query without credit costs nothing but its half: it is put into the queue when the first credit comes. A few are
//! answered at once; the others wait for their turn. Whoever asks is charged for the bytes of the answers, and gets no more
//! of them while there is nothing left that he could be charged ([`super::RateLimiter::charge_answer`]).

use std::collections::VecDeque;

use bpmux::{HalfKey, Link};

use super::super::directory;
use super::super::listing::Listing;
use super::{Context, Name, Reply, Role, Session};
use limits::{ANSWERS_MAX, WORK_LISTING_UNITS, WORK_TURN_UNITS_MAX};

#[derive(Debug)]
struct Answer {
    half: HalfKey,
    reply: Reply,
}

/// All queries of one plugin that something can be said to.
#[derive(Debug, Default)]
pub(super) struct Answers {
    under_way: Vec<Answer>,
    /// In the order in which they have their turns. Some may be cancelled.
    waiting: VecDeque<HalfKey>,
    /// How many of those that wait are cancelled, at the least.
    cancelled: usize,
}

impl Answers {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
    }

    /// The memory that they take, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let listings: usize = self.under_way.iter().map(|answer| answer.reply.memory_bytes()).sum();
        listings + self.under_way.capacity() * size_of::<Answer>() + self.waiting.capacity() * size_of::<HalfKey>()
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
    fn cancel(&mut self, half: HalfKey, link: &Link<Role>) {
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
}

impl Session {
    /// The plugin asks who is there.
    pub(super) fn handle_query(&mut self, half: HalfKey, cx: &Context<'_>) {
        // An empty answer needs no credit.
        if self.link.may_send(half) > 0 || !directory::lock(cx.directory).has_others(&self.asker()) {
            self.query_ready(half);
        } else {
            self.link.set_user(half, Role::Query);
        }
    }

    /// There is credit for an answer.
    pub(super) fn query_ready(&mut self, half: HalfKey) {
        self.link.set_user(half, Role::Answering);
        self.pending().answers.waiting.push_back(half);
    }

    /// The plugin does not want to know any more.
    pub(super) fn handle_query_cancelled(&mut self, half: HalfKey) {
        self.pending.get_or_insert_default().answers.cancel(half, &self.link);
    }

    /// "In as many parts as the credit on the request allows." Only so many lists of names are held at once, and answers
    /// of a turn's work are written at a time.
    pub(super) fn write_answers(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut Context<'_>) {
        let asker = self.asker();
        let Self { link, limiter, pending: Some(pending), .. } = self else { return };
        let answers = &mut pending.answers;
        let mut units = 0;
        answers.under_way.retain_mut(|answer| {
            let written = answer.reply.write(link, answer.half, out, len_max);
            units += limiter.charge_answer(0, written.bytes);
            !written.done
        });
        while answers.under_way.len() < ANSWERS_MAX && units < WORK_TURN_UNITS_MAX && Reply::has_room(out, len_max) {
            let Some(half) = answers.next(link) else { return };
            let (names, _) = directory::lock(cx.directory).snapshot(answers.under_way.is_empty());
            let mut reply = Reply::listing(Listing::new(names, &asker));
            let written = reply.write(link, half, out, len_max);
            units += limiter.charge_answer(WORK_LISTING_UNITS, written.bytes);
            if !written.done {
                answers.under_way.push(Answer { half, reply });
            }
        }
    }

    /// The name that is left out of what the plugin is told.
    pub(super) fn asker(&self) -> Name {
        self.name.clone().unwrap_or_else(|| Name::new(b""))
    }
}
