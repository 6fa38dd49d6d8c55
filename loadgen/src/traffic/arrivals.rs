//! When plugins that come and go have come.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Time;

/// Visits of one plugin of which the time is remembered. A watcher is never so far behind: a plugin only comes again
/// when the relay has seen it off.
const VISITS: usize = 64;

/// When which plugin has come.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// The number of the first plugin that comes and goes; the others follow.
    pub(super) first: u32,
    plugins: Vec<Comings>,
}

#[derive(Debug)]
struct Comings {
    /// The last visit, counted from 1.
    visit: AtomicU64,
    times: [AtomicU64; VISITS],
}

impl Arrivals {
    pub(crate) fn new(first: u32, plugins: u32) -> Self {
        let comings = || Comings { visit: AtomicU64::new(0), times: [const { AtomicU64::new(0) }; VISITS] };
        Self { first, plugins: (0..plugins).map(|_| comings()).collect() }
    }

    /// How many plugins come and go.
    pub(crate) fn len(&self) -> u32 {
        self.plugins.len() as u32
    }

    /// A plugin comes for the `visit`th time.
    pub(crate) fn note(&self, plugin: u32, visit: u64, now: Time) {
        if let Some(comings) = self.plugins.get(plugin.wrapping_sub(self.first) as usize) {
            comings.times[visit as usize % VISITS].store(now, Ordering::Relaxed);
            comings.visit.store(visit, Ordering::Release);
        }
    }

    /// How often each of them has come.
    pub(super) fn visits(&self) -> impl Iterator<Item = u64> {
        self.plugins.iter().map(|comings| comings.visit.load(Ordering::Acquire))
    }

    /// When a plugin came with this version; `index` among those that come and go.
    pub(super) fn time(&self, index: usize, version: u16) -> Time {
        self.plugins[index].times[usize::from(version) % VISITS].load(Ordering::Relaxed)
    }
}
