//! A query under way, which is taken back when it is dropped.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::{AskError, BusError, ListError, StatsError};
use crate::name::Plugin;
use crate::session::{Answer, QueryId, Question};
use crate::shared::Handle;
use crate::stats::{Page, Stats};

/// Waits for the relay's answer.
#[derive(Debug)]
struct Asked {
    handle: Handle,
    id: QueryId,
}

impl Asked {
    async fn new(handle: &Handle, question: Question) -> Result<Self, BusError> {
        let id = poll_fn(|cx| handle.with(|session| session.poll_ask(question, cx))).await?;
        Ok(Self { handle: Arc::clone(handle), id })
    }
}

impl Future for Asked {
    type Output = Result<Answer, AskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.handle.with(|session| session.poll_answer(self.id, cx))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.handle.with(|session| session.release_query(self.id));
    }
}

/// Asks for the plugins that are connected.
pub(crate) async fn list(handle: &Handle) -> Result<Vec<Plugin>, ListError> {
    match Asked::new(handle, Question::Plugins).await?.await {
        Ok(Answer::Plugins(plugins)) => Ok(plugins),
        Ok(Answer::Page(_)) => unreachable!("an answer is of the kind of its question"),
        Err(AskError::Declined(_)) => Err(ListError::Declined),
        Err(AskError::Bus(error)) => Err(error.into()),
    }
}

/// Asks every shard for all that it tells of itself.
pub(crate) async fn stats(handle: &Handle) -> Result<Stats, StatsError> {
    let mut stats = Stats::default();
    let (mut shard, mut shards) = (0, 1);
    while shard < shards {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let page = page(handle, shard, from).await?;
            (shards, cursor) = (page.shards, page.next);
            stats.add(page.stats);
        }
        shard += 1;
    }
    Ok(stats)
}

async fn page(handle: &Handle, shard: u16, cursor: u64) -> Result<Page, StatsError> {
    match Asked::new(handle, Question::Page { shard, cursor }).await?.await {
        Ok(Answer::Page(page)) => Ok(page),
        Ok(Answer::Plugins(_)) => unreachable!("an answer is of the kind of its question"),
        Err(AskError::Declined(payload)) => Err(StatsError::declined(&payload)),
        Err(AskError::Bus(error)) => Err(error.into()),
    }
}
