//! What the threads of a step tell each other: how far they are, when it begins and ends, and what went wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::error::Error;
use crate::traffic::Time;
use crate::traffic::flow::Moment;
use crate::traffic::recorder::Window;

/// Errors that are kept; what comes after them follows from them.
const ERRORS_MAX: usize = 8;

/// Not yet.
const NEVER: Time = Time::MAX;

/// The state of a step.
#[derive(Debug)]
pub(crate) struct Shared {
    epoch: Instant,
    /// Plugins that are registered, and how many there are to be.
    pub(crate) registered: AtomicU64,
    pub(crate) plugins: u64,
    /// Channels that are open, and how many there are to be before it begins.
    pub(crate) opened: AtomicU64,
    pub(crate) channels: u64,
    /// Plugins that come and go and are not gone for good.
    pub(crate) cycling: AtomicU64,
    /// Messages that have arrived.
    pub(crate) arrived: AtomicU64,
    start: AtomicU64,
    stop: AtomicU64,
    give_up: AtomicU64,
    aborted: AtomicBool,
    /// What is measured, once it is known.
    window: Mutex<Option<Window>>,
    errors: Mutex<Vec<Error>>,
}

impl Shared {
    pub(crate) fn new(plugins: u64, channels: u64, cycling: u64) -> Self {
        Self {
            epoch: Instant::now(),
            registered: AtomicU64::new(0),
            plugins,
            opened: AtomicU64::new(0),
            channels,
            cycling: AtomicU64::new(cycling),
            arrived: AtomicU64::new(0),
            start: AtomicU64::new(NEVER),
            stop: AtomicU64::new(NEVER),
            give_up: AtomicU64::new(NEVER),
            aborted: AtomicBool::new(false),
            window: Mutex::new(None),
            errors: Mutex::new(Vec::new()),
        }
    }

    /// Nanoseconds since it was made.
    #[inline]
    pub(crate) fn now(&self) -> Time {
        self.epoch.elapsed().as_nanos() as Time
    }

    /// Where things stand.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        let now = self.now();
        Moment {
            now,
            opens: self.registered.load(Ordering::Relaxed) >= self.plugins,
            begun: now >= self.start.load(Ordering::Acquire),
            stop: self.stop.load(Ordering::Relaxed),
            give_up: self.give_up.load(Ordering::Relaxed),
        }
    }

    /// Whether all channels are open.
    pub(crate) fn is_ready(&self) -> bool {
        let reached = |count: &AtomicU64, goal| count.load(Ordering::Relaxed) >= goal;
        reached(&self.registered, self.plugins) && reached(&self.opened, self.channels)
    }

    /// Lets it begin at `start`, measure within the window, end with it, and give up what is still due at `give_up`.
    pub(crate) fn begin(&self, start: Time, window: Window, give_up: Time) {
        *self.window.lock().expect("nobody panics with it") = Some(window);
        self.stop.fetch_min(window.end, Ordering::Relaxed);
        self.give_up.fetch_min(give_up, Ordering::Relaxed);
        self.start.store(start, Ordering::Release);
    }

    /// When it begins and what is measured, once it has been told to begin.
    pub(crate) fn beginning(&self) -> Option<(Time, Window)> {
        let start = self.start.load(Ordering::Acquire);
        let window = *self.window.lock().expect("nobody panics with it");
        window.filter(|_| start != NEVER).map(|window| (start, window))
    }

    /// Ends it now, or as soon as it has begun.
    pub(crate) fn stop(&self) {
        // Never 0, so that there is an instant before it.
        let now = self.now().max(1);
        self.stop.fetch_min(now, Ordering::Relaxed);
        self.give_up.fetch_min(now, Ordering::Relaxed);
    }

    /// Whether the time to end has come.
    pub(crate) fn stops(&self) -> bool {
        self.now() >= self.stop.load(Ordering::Relaxed)
    }

    /// Lets all threads end at once, whatever is still on its way.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Something went wrong, which ends the step.
    pub(crate) fn fail(&self, error: Error) {
        let mut errors = self.errors.lock().expect("nobody panics with it");
        if errors.len() < ERRORS_MAX {
            errors.push(error);
        }
        drop(errors);
        self.stop();
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.errors.lock().expect("nobody panics with it").is_empty()
    }

    /// What went wrong, the first thing first.
    pub(crate) fn take_errors(&self) -> Vec<Error> {
        std::mem::take(&mut self.errors.lock().expect("nobody panics with it"))
    }

    /// Grows when anything happens.
    pub(crate) fn progress(&self) -> u64 {
        [&self.registered, &self.opened, &self.arrived].iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}
