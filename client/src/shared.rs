//! What the handles of a connection and its task share: the session behind a lock, and the task's waker.
//!
//! The lock is held for the session's work alone, never across an await; wakers are woken after it is released.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop::poll_proceed;

use crate::session::{Fetched, Session, Standing};

/// The session, and how to reach the task that carries its bytes.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    session: Session,
    /// Left by the task when it waits.
    task: Option<Waker>,
    /// What the task waits for, beside the socket and the clock.
    awaits: Awaits,
}

/// What wakes the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// Output, or the end of it.
    Output,
    /// It has output enough to write; but when the connection is closed, it must know from when on.
    Closing,
}

impl Shared {
    pub(crate) fn new(session: Session) -> Self {
        Self(Mutex::new(State { session, task: None, awaits: Awaits::Output }))
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
        let due = match state.awaits {
            Awaits::Output => state.session.has_output(),
            Awaits::Closing => state.session.standing() != Standing::Open,
        };
        let task = if due { state.task.take() } else { None };
        let mut wakes = Vec::new();
        state.session.take_wakes(&mut wakes);
        drop(state);
        task.into_iter().chain(wakes).for_each(Waker::wake);
        result
    }

    /// For the task: acts on the session. `wakes` is memory to be used again.
    pub(crate) fn with_task<R>(&self, wakes: &mut Vec<Waker>, act: impl FnOnce(&mut Session) -> R) -> R {
        self.with_state(wakes, |state| act(&mut state.session))
    }

    fn with_state<R>(&self, wakes: &mut Vec<Waker>, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state);
        state.session.take_wakes(wakes);
        drop(state);
        wakes.drain(..).for_each(Waker::wake);
        result
    }

    /// For the task: fetches output into `buffer`, when what it fetched before is written and the buffer empty, or else
    /// leaves a waker.
    pub(crate) fn take_output(&self, buffer: &mut Vec<u8>, wakes: &mut Vec<Waker>, task: &Waker) -> Fetched {
        self.with_state(wakes, |state| {
            let fetched = state.session.take_output(buffer);
            if buffer.is_empty() {
                state.task = Some(task.clone());
                state.awaits = Awaits::Output;
            }
            fetched
        })
    }

    /// For the task: leaves a waker for the case that the connection is closed.
    pub(crate) fn wait_for_closing(&self, task: &Waker) -> Standing {
        let mut state = self.lock();
        state.task = Some(task.clone());
        state.awaits = Awaits::Closing;
        state.session.standing()
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

    /// Polls the session, fairly to the other tasks of the thread.
    #[inline]
    pub(crate) fn poll_with<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Session, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let coop = ready!(poll_proceed(cx));
        let result = self.with(|session| poll(session, cx));
        if result.is_ready() {
            coop.made_progress();
        }
        result
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.with(Session::close);
    }
}
