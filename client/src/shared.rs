//! What the handles of a connection and its task share: the session behind a lock, and the task's waker.
//!
//! The lock is held for the session's work alone, never across an await; wakers are woken after it is released.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::session::Session;

/// The session, and how to reach the task that carries its bytes.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    session: Session,
    /// Left by the task when it has nothing to write.
    task: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(session: Session) -> Self {
        Self(Mutex::new(State { session, task: None }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic within the session is a bug; the other handles can go on as well as they can.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For handles: acts on the session, and wakes the task when that gave it something to write.
    #[inline]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Session) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state.session);
        let task = if state.session.has_output() { state.task.take() } else { None };
        let mut wakes = Vec::new();
        state.session.take_wakes(&mut wakes);
        drop(state);
        task.into_iter().chain(wakes).for_each(Waker::wake);
        result
    }

    /// For the task: acts on the session. `wakes` is memory to be used again.
    pub(crate) fn with_task<R>(&self, wakes: &mut Vec<Waker>, act: impl FnOnce(&mut Session) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state.session);
        state.session.take_wakes(wakes);
        drop(state);
        wakes.drain(..).for_each(Waker::wake);
        result
    }

    /// For the task: fetches output into `buffer`, which must be empty, or else leaves a waker. Returns whether the
    /// connection is being closed, and whether this was the last output.
    pub(crate) fn take_output(&self, buffer: &mut Vec<u8>, wakes: &mut Vec<Waker>, task: &Waker) -> (bool, bool) {
        let mut state = self.lock();
        state.session.take_output(buffer);
        if buffer.is_empty() {
            state.task = Some(task.clone());
        }
        let closing = (state.session.is_closing(), state.session.is_ended());
        state.session.take_wakes(wakes);
        drop(state);
        wakes.drain(..).for_each(Waker::wake);
        closing
    }
}

/// All handles of a connection together: when the last one is dropped, the connection is closed.
#[derive(Debug)]
pub(crate) struct Owner(Arc<Shared>);

/// One handle's share of the connection.
pub(crate) type Handle = Arc<Owner>;

impl Owner {
    pub(crate) fn new(shared: Arc<Shared>) -> Handle {
        Arc::new(Self(shared))
    }

    /// Acts on the session.
    #[inline]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Session) -> R) -> R {
        self.0.with(act)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.with(Session::close);
    }
}
