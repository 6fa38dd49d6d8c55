//! Runs phases: builds the plugins of each step, lets the threads work, and gathers what they have measured.
//!
//! - [`build`] who is there; [`worker`], [`mod@ring`], [`cycles`] a thread and its plugins; [`shared`] between threads
//! - [`step`] one step from the first connection to the last; [`limits`] file descriptors, [`progress`] the live line
//! - [`memory`] plugins that talk without sockets

mod build;
mod cycles;
mod limits;
pub(crate) mod memory;
mod progress;
mod ring;
mod shared;
mod step;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use testkit::address::listener_pid;

use crate::address::Address;
use crate::embedded::Embedded;
use crate::scenario::{Phase, Step, Transport};

pub(crate) use self::build::topology;
pub(crate) use self::step::{StepOutcome, bind, direct, run as run_step};

/// The relay that plugins connect to.
#[derive(Debug)]
pub(crate) enum Bus {
    /// A process of our own.
    Embedded(Embedded),
    /// One that runs already.
    Running(Address),
}

impl Bus {
    /// Where plugins connect.
    pub(crate) fn address(&self, transport: Transport) -> &Address {
        match self {
            Self::Embedded(relay) => relay.address(transport == Transport::Tcp),
            Self::Running(address) => address,
        }
    }

    /// Its process, if it can be known.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Embedded(relay) => Some(relay.pid()),
            Self::Running(address) => listener_pid(address),
        }
    }
}

/// What all steps of a run have in common.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) bus: &'a Bus,
    /// The relay's process, so that its use of the CPU can be read.
    pub(crate) relay_pid: Option<u32>,
    /// What a signal sets.
    pub(crate) interrupted: &'a AtomicBool,
    /// The CPU of each thread of the generator, if it is bound to one.
    pub(crate) cpus: Vec<Option<usize>>,
    /// Numbers the steps, for names that nobody else has.
    pub(crate) steps: AtomicU32,
}

impl Context<'_> {
    /// Whether each thread of the generator has a CPU to itself.
    pub(crate) fn has_cpus(&self) -> bool {
        let mut cpus: Vec<usize> = self.cpus.iter().flatten().copied().collect();
        cpus.sort_unstable();
        cpus.dedup();
        cpus.len() == self.cpus.len()
    }

    /// Begins the names of the plugins of the next step.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{}", std::process::id(), self.steps.fetch_add(1, Ordering::Relaxed))
    }
}

/// Runs all steps of a phase, as long as they go well. Each is given to `done` when it is over.
pub(crate) fn run_phase(context: &Context<'_>, phase: &Phase, mut done: impl FnMut(StepOutcome)) {
    let mut steps: Vec<Step> = phase.first_steps();
    let mut index = 0;
    while let Some(step) = steps.get(index).cloned() {
        if context.interrupted.load(Ordering::Relaxed) {
            return;
        }
        let outcome = run_step(context, phase, &step);
        if step.probes {
            steps.extend(phase.steps_at(outcome.messages_per_s()));
        }
        let failed = !outcome.is_clean();
        done(outcome);
        if failed {
            return;
        }
        index += 1;
    }
}
