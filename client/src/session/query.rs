//! Queries: which plugins are connected.

use std::task::{Context, Poll, Waker};

use bpmux::{HalfKey, Kind, Piece, What};

use super::{Role, Session, set_waker};
use crate::error::{BusError, ListError};
use crate::name::Plugin;
use crate::wire;

/// Credit that a query holds, in bytes.
const WINDOW: u64 = 64 * 1024;

/// The longest answer that is believed, in bytes: a quarter of a million plugins with the longest names.
const ANSWER_LEN_MAX: u64 = 64 * 1024 * 1024;

/// Names a query of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryId(u32);

/// A query under way.
#[derive(Debug)]
pub(super) struct Query {
    key: HalfKey,
    answer: Vec<u8>,
    result: Option<Result<Vec<Plugin>, ListError>>,
    pub(super) waker: Option<Waker>,
}

impl Session {
    /// Asks. The query must be released in the end.
    pub(crate) fn ask(&mut self) -> Result<QueryId, BusError> {
        self.check_gone()?;
        self.flush_before_opening();
        let key = self
            .link
            .open(Kind::OutRequest, &[], WINDOW, &mut self.out)
            .expect("an empty opening payload needs no credit");
        let query = Query { key, answer: Vec::new(), result: None, waker: None };
        let id = QueryId(self.queries.insert(query) as u32);
        self.link.set_user(key, Role::Query(id));
        Ok(id)
    }

    pub(super) fn handle_query_piece(&mut self, id: QueryId, piece: Piece, bytes: &[u8]) -> Result<(), BusError> {
        let query = &mut self.queries[id.0 as usize];
        if piece.what == What::End {
            query.result = Some(Err(ListError::Declined));
        } else {
            if piece.total > ANSWER_LEN_MAX {
                return Err(BusError::Misbehaved("the answer to a query is beyond belief"));
            }
            query.answer.extend_from_slice(bytes);
            let window_left = self.link.may_receive(query.key);
            if window_left <= WINDOW / 2 {
                self.link.grant(query.key, WINDOW - window_left);
            }
            if piece.last {
                let plugins = wire::parse_entries(&query.answer);
                let plugins = plugins.ok_or(BusError::Misbehaved("the answer to a query is no list of entries"))?;
                query.result = Some(Ok(plugins));
            }
        }
        if piece.last {
            self.wakes.extend(query.waker.take());
        }
        Ok(())
    }

    /// Waits for the answer.
    pub(crate) fn poll_answer(&mut self, id: QueryId, cx: &Context<'_>) -> Poll<Result<Vec<Plugin>, ListError>> {
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
