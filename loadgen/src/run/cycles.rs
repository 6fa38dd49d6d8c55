//! Plugins that come and go: when each begins its next visit.

use std::collections::HashMap;

use crate::traffic::Time;
use crate::traffic::schedule::Schedule;
use crate::traffic::topology::Role;

/// A visit that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The plugin.
    pub(crate) number: u32,
    /// How many times it has come, this one included.
    pub(crate) visit: u64,
    /// When it was meant to come.
    pub(crate) begun: Time,
}

/// The plugins of one thread that come and go.
#[derive(Debug)]
pub(crate) struct Cycles {
    /// The number of the first plugin that comes and goes, whichever thread has it: they take turns.
    first: u32,
    /// Plugins that are not there at present.
    absent: Vec<u32>,
    /// How often each has come.
    visits: HashMap<u32, u64>,
    present: usize,
    stopped: bool,
    /// Those that will not come again and have not been told of.
    ended: u64,
}

impl Cycles {
    /// The flow of whole visits, of churners that of openings, and of comers that of what watchers see.
    const VISITS: usize = 0;
    pub(crate) const OPENINGS: usize = 1;
    const VISITS_OF_COMERS: usize = 1;

    pub(crate) fn new(numbers: Vec<u32>, first: u32) -> Self {
        let visits = numbers.iter().map(|&number| (number, 0)).collect();
        Self { first, absent: numbers, visits, present: 0, stopped: false, ended: 0 }
    }

    /// The flow in which the visits of a plugin are counted.
    pub(crate) fn flow(role: Role) -> usize {
        if role == Role::Comer { Self::VISITS_OF_COMERS } else { Self::VISITS }
    }

    /// How often a plugin has come.
    pub(crate) fn visit(&self, number: u32) -> u64 {
        self.visits.get(&number).copied().unwrap_or(0)
    }

    /// The next visit that is to begin now: without a schedule at once.
    pub(crate) fn next(&mut self, now: Time, schedule: Option<Schedule>) -> Option<Visit> {
        let due = |number: &u32| {
            let visit = self.visits[number];
            schedule.is_none_or(|schedule| schedule.intended(number - self.first, visit) <= now)
        };
        let index = self.absent.iter().position(due)?;
        let number = self.absent.swap_remove(index);
        let place = number - self.first;
        let visit = self.visits.get_mut(&number).expect("it is one of them");
        let begun = schedule.map_or(now, |schedule| schedule.intended(place, *visit));
        *visit += 1;
        self.present += 1;
        Some(Visit { number, visit: *visit, begun })
    }

    /// A plugin has left.
    pub(crate) fn gone(&mut self, number: u32) {
        self.present -= 1;
        if self.stopped {
            self.ended += 1;
        } else {
            self.absent.push(number);
        }
    }

    /// Nobody comes any more.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.ended += self.absent.drain(..).count() as u64;
    }

    /// How many have come for the last time since this was asked last.
    pub(crate) fn take_ended(&mut self) -> u64 {
        std::mem::take(&mut self.ended)
    }

    /// Whether nobody comes any more and nobody is there.
    pub(crate) fn is_over(&self) -> bool {
        self.stopped && self.present == 0
    }
}
