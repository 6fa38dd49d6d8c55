//! Queries: which plugins are connected, and what the relay tells of itself.

use std::task::{Context, Poll, Waker};

use bpmux::{HalfKey, Kind, Piece, What};

use super::{Role, Session, set_waker};
use crate::error::{AskError, BusError};
use crate::name::Plugin;
use crate::stats::Page;

/// Credit that a query holds, in bytes.
const WINDOW: u64 = 64 * 1024;

/// The longest answer that is believed, in bytes: a quarter of a million plugins with the longest names.
const ANSWER_LEN_MAX: u64 = 64 * 1024 * 1024;

/// Names a query of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryId(u32);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The plugins that are connected.
    Plugins,
    /// A page of what a shard tells of itself, and where it begins.
    Page { shard: u16, cursor: u64 },
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Plugins(Vec<Plugin>),
    Page(Page),
}

impl Question {
    fn opening(self) -> Vec<u8> {
        match self {
            Self::Plugins => Vec::new(),
            Self::Page { shard, cursor } => wire::stats::request(shard, cursor),
        }
    }

    fn answer(self, bytes: &[u8]) -> Result<Answer, BusError> {
        match self {
            Self::Plugins => Plugin::parse_all(bytes)
                .map(Answer::Plugins)
                .ok_or(BusError::Misbehaved("the answer to a query is no list of entries")),
            Self::Page { .. } => Page::parse(bytes)
                .map(Answer::Page)
                .ok_or(BusError::Misbehaved("the answer to a question about the bus cannot be read")),
        }
    }
}

/// A query under way.
#[derive(Debug)]
pub(super) struct Query {
    key: HalfKey,
    question: Question,
    answer: Vec<u8>,
    result: Option<Result<Answer, AskError>>,
    pub(super) waker: Option<Waker>,
}

impl Session {
    /// Asks, as soon as there is credit for the question. The query must be released in the end.
    pub(crate) fn poll_ask(&mut self, question: Question, cx: &Context<'_>) -> Poll<Result<QueryId, BusError>> {
        self.check_gone()?;
        self.flush_before_opening();
        let Ok(key) = self.link.open(Kind::OutRequest, &question.opening(), WINDOW, &mut self.out) else {
            self.wait_for_top_credit(cx);
            return Poll::Pending;
        };
        let query = Query { key, question, answer: Vec::new(), result: None, waker: None };
        let id = QueryId(self.queries.insert(query) as u32);
        self.link.set_user(key, Role::Query(id));
        Poll::Ready(Ok(id))
    }

    pub(super) fn handle_query_piece(&mut self, id: QueryId, piece: Piece, bytes: &[u8]) -> Result<(), BusError> {
        let query = &mut self.queries[id.0 as usize];
        if piece.total > ANSWER_LEN_MAX {
            return Err(BusError::Misbehaved("the answer to a query is beyond belief"));
        }
        if piece.first {
            // An end gives up an answer of which not all has come.
            query.answer.clear();
        }
        query.answer.extend_from_slice(bytes);
        let window_left = self.link.may_receive(query.key);
        if piece.what == What::Message && window_left <= WINDOW / 2 {
            self.link.grant(query.key, WINDOW - window_left);
        }
        if piece.last {
            let answer = std::mem::take(&mut query.answer);
            query.result = Some(match piece.what {
                What::End => Err(AskError::Declined(answer)),
                _ => Ok(query.question.answer(&answer)?),
            });
            self.wakes.extend(query.waker.take());
        }
        Ok(())
    }

    /// Waits for the answer.
    pub(crate) fn poll_answer(&mut self, id: QueryId, cx: &Context<'_>) -> Poll<Result<Answer, AskError>> {
        let query = &mut self.queries[id.0 as usize];
        if let Some(result) = query.result.take() {
            return Poll::Ready(result);
        }
        if let Some(error) = &self.gone {
            return Poll::Ready(Err(error.clone().into()));
        }
        set_waker(&mut query.waker, cx.waker());
        Poll::Pending
    }

    /// The query is not waited for any more: it is cancelled unless it was answered.
    pub(crate) fn release_query(&mut self, id: QueryId) {
        let query = self.queries.remove(id.0 as usize);
        self.link.end(query.key, &[]);
    }
}
