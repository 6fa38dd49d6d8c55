//! A query under way, which is taken back when it is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::{BusError, ListError};
use crate::name::Plugin;
use crate::session::QueryId;
use crate::shared::Handle;

/// Waits for the relay's answer.
#[derive(Debug)]
pub(crate) struct Asked {
    handle: Handle,
    id: QueryId,
}

impl Asked {
    pub(crate) fn new(handle: &Handle) -> Result<Self, BusError> {
        let id = handle.with(|session| session.ask())?;
        Ok(Self { handle: Arc::clone(handle), id })
    }
}

impl Future for Asked {
    type Output = Result<Vec<Plugin>, ListError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.handle.with(|session| session.poll_answer(self.id, cx))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.handle.with(|session| session.release_query(self.id));
    }
}
