//! Presence: plugins come and go, and watchers are told. A plugin that comes again says a version one higher, so that a
//! watcher knows which of its visits an event is about.

use bpmux::HalfKey;
use wire::Entry;

use super::flow::Measured;
use super::world::World;

/// What one watcher has seen.
#[derive(Debug)]
pub(crate) struct Watching {
    /// The stream of events, once it is open.
    pub(crate) half: Option<HalfKey>,
    /// The flow whose messages are the events.
    flow: u16,
    message: Vec<u8>,
    /// Whether the list has come that stands before the events.
    begun: bool,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    present: bool,
    version: u16,
}

impl Watching {
    pub(crate) fn new(flow: u16, plugins: u32) -> Self {
        Self { half: None, flow, message: Vec::new(), begun: false, seen: vec![Seen::default(); plugins as usize] }
    }

    /// Whether the list has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether nobody is there any more.
    pub(crate) fn sees_nobody(&self) -> bool {
        self.seen.iter().all(|seen| !seen.present)
    }

    /// Takes a piece of a message.
    pub(crate) fn read(&mut self, bytes: &[u8], last: bool, world: &mut World) {
        self.message.extend_from_slice(bytes);
        if !last {
            return;
        }
        let message = std::mem::take(&mut self.message);
        if std::mem::replace(&mut self.begun, true) {
            match message.split_first() {
                Some((&wire::watch::JOINED, entry)) => self.changed(entry, true, world),
                Some((&wire::watch::LEFT, entry)) => self.changed(entry, false, world),
                _ => world.flows[usize::from(self.flow)].measured.verdict.corrupted += 1,
            }
        }
        self.message = message;
        self.message.clear();
    }

    fn changed(&mut self, entry: &[u8], comes: bool, world: &mut World) {
        let arrivals = &world.topology.arrivals;
        let measured = &mut world.flows[usize::from(self.flow)].measured;
        let Some(Entry { name, version }) = Entry::parse(entry) else {
            measured.verdict.corrupted += 1;
            return;
        };
        // Others on the bus are none of ours.
        let Some(plugin) = world.topology.number(name) else { return };
        let Some(index) = plugin.checked_sub(arrivals.first).filter(|&index| (index as usize) < self.seen.len()) else {
            return;
        };
        let seen = &mut self.seen[index as usize];
        let ahead = version.wrapping_sub(seen.version);
        if comes {
            if seen.present || ahead == 0 || ahead > u16::MAX / 2 {
                measured.verdict.duplicated += 1;
                return;
            }
            measured.elided += u64::from(ahead) - 1;
            measured.arrived += 1;
            let now = world.moment.now;
            measured.recorder.count(now, 1, 0);
            measured.recorder.record(now, std::iter::once(arrivals.time(index as usize, version)));
        } else if !seen.present || ahead != 0 {
            measured.verdict.reordered += 1;
        }
        *seen = Seen { present: comes, version };
    }

    /// Adds what was seen, and what should have been, to the verdict: of each visit both events, or neither.
    pub(crate) fn give_account(&self, world: &mut World) {
        let Measured { verdict, elided, .. } = &mut world.flows[usize::from(self.flow)].measured;
        for (seen, visits) in self.seen.iter().zip(world.topology.arrivals.visits()) {
            let lost = u64::from(seen.present);
            verdict.sent += visits;
            verdict.received += visits - lost.min(visits);
            verdict.lost += lost;
            if !seen.present {
                *elided += u64::from((visits as u16).wrapping_sub(seen.version));
            }
        }
    }
}
