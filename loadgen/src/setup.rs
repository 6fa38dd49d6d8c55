//! What runs where: the relay, the CPUs, and what the relay must be configured for.

use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::thread::CpuSet;

use crate::embedded::{Embedded, RelaySettings};
use crate::error::Error;
use crate::flags::Machine;
use crate::report::gather;
use crate::report::model::{self, Report};
use crate::run::{self, Bus, Context};
use crate::scenario::{Phase, Transport};
use crate::selftest::{self, SelfTest};

/// What the relay does by default: beyond this it is told to allow more.
const CONNECTIONS_DEFAULT: u64 = 16_000;
const CHANNELS_OF_PLUGIN_DEFAULT: u64 = 65_536;
const CREDIT_MEMORY_DEFAULT_BYTES: u64 = 64 << 20;

/// What the relay reserves for each channel, both directions together, with room to spare.
const CREDIT_OF_CHANNEL_BYTES: u64 = 4 * (32 << 10);

/// What a run needs at the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) plugins: u64,
    pub(crate) channels: u64,
    pub(crate) channels_of_plugin: u64,
}

impl Needs {
    /// Those of all phases.
    pub(crate) fn of(phases: &[Phase]) -> Self {
        let mut most = Self::default();
        for phase in phases {
            for step in phase.first_steps() {
                let topology = run::topology(phase, &step, String::new(), 1);
                let of_plugin =
                    |plugin: &run::topology::PluginSpec| plugin.opens.len() as u64 + u64::from(plugin.expects);
                most.plugins = most.plugins.max(topology.plugins.len() as u64);
                most.channels = most.channels.max(topology.channels());
                let channels_of_plugin = topology.plugins.iter().map(of_plugin).max().unwrap_or(0);
                most.channels_of_plugin = most.channels_of_plugin.max(channels_of_plugin);
            }
        }
        most
    }

    /// The configuration of a relay that allows for it, empty if the default does.
    fn config(&self, shards: u32) -> String {
        let mut text = String::new();
        let memory = self.channels * CREDIT_OF_CHANNEL_BYTES / u64::from(shards);
        if memory > CREDIT_MEMORY_DEFAULT_BYTES {
            text += &format!("[credit]\nmemory_bytes = {memory}\n");
        }
        let (connections, channels) = (self.plugins + 64, self.channels_of_plugin + 64);
        if connections > CONNECTIONS_DEFAULT || channels > CHANNELS_OF_PLUGIN_DEFAULT {
            let connections = connections.max(CONNECTIONS_DEFAULT);
            let channels = channels.max(CHANNELS_OF_PLUGIN_DEFAULT);
            text += &format!("[limits]\nconnections_max = {connections}\nchannels_per_plugin_max = {channels}\n");
        }
        text
    }
}

/// Who runs on which CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Those of the embedded relay.
    pub(crate) relay: Vec<usize>,
    /// That of each thread of the generator, if it is bound.
    pub(crate) generator: Vec<Option<usize>>,
}

impl Placement {
    /// The first CPUs are the relay's, if it is ours; the generator has the others, or all if there are no others.
    pub(crate) fn new(machine: &Machine) -> Self {
        Self::on(&allowed_cpus(), machine)
    }

    fn on(allowed: &[usize], machine: &Machine) -> Self {
        let shards = if machine.bus.is_some() { 0 } else { machine.shards as usize };
        let (relay, rest) = allowed.split_at(shards.min(allowed.len()));
        let threads = machine.threads.map_or(rest.len().max(1), |threads| threads as usize);
        // With a relay that is not ours, or without a CPU of its own, the kernel knows better.
        let pins = !machine.no_pin && machine.bus.is_none() && !rest.is_empty();
        let cpu = |index: usize| pins.then(|| rest[index % rest.len()]);
        Self { relay: if pins { relay.to_vec() } else { Vec::new() }, generator: (0..threads).map(cpu).collect() }
    }
}

/// The CPUs that this process may run on.
fn allowed_cpus() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        // More CPUs than the set has room for. Then take the first ones.
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

/// The relay that a run uses, started if need be.
pub(crate) fn bus(machine: &Machine, phases: &[Phase], placement: &Placement) -> Result<Bus, Error> {
    if let Some(address) = &machine.bus {
        let unreachable = |source| Error::Unreachable { address: address.clone(), source };
        address.connect().map_err(unreachable)?;
        return Ok(Bus::Running(address.clone()));
    }
    let settings = RelaySettings {
        shards: machine.shards,
        cpus: placement.relay.clone(),
        config: machine.relay_config.clone(),
        config_text: Needs::of(phases).config(machine.shards),
    };
    Embedded::start(&settings).map(Bus::Embedded)
}

/// What all steps have in common.
pub(crate) fn context<'a>(
    machine: &Machine,
    bus: &'a Bus,
    placement: &Placement,
    interrupted: &'a AtomicBool,
) -> Context<'a> {
    Context {
        bus,
        relay_pid: machine.relay_pid.or_else(|| bus.pid()),
        interrupted,
        cpus: placement.generator.clone(),
        steps: AtomicU32::new(0),
    }
}

/// A report of nothing yet.
pub(crate) fn report(machine: &Machine, context: &Context<'_>, placement: &Placement) -> Report {
    let relay = model::Relay {
        embedded: machine.bus.is_none(),
        address: context.bus.address(Transport::Unix).to_string(),
        pid: context.relay_pid,
        shards: machine.bus.is_none().then_some(machine.shards),
        cpus: placement.relay.clone(),
    };
    let generator = model::Generator {
        threads: placement.generator.len(),
        cpus: placement.generator.iter().flatten().copied().collect(),
    };
    Report {
        version: env!("CARGO_PKG_VERSION").into(),
        begun_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        machine: gather::machine(),
        relay,
        generator,
        phases: Vec::new(),
        errors: Vec::new(),
        interrupted: false,
        verified: false,
    }
}

/// The self-test with a relay of its own.
pub(crate) fn self_test(phase: &Phase) -> Result<SelfTest, Error> {
    let machine = Machine::default();
    let placement = Placement::new(&machine);
    let bus = bus(&machine, std::slice::from_ref(phase), &placement)?;
    let interrupted = AtomicBool::new(false);
    let context = context(&machine, &bus, &placement, &interrupted);
    let allowed = allowed_cpus();
    let cpus = [allowed.first().copied(), allowed.last().copied()];
    let found = selftest::run(&context, phase, cpus)?;
    if let Bus::Embedded(relay) = bus {
        relay.stop()?;
    }
    Ok(found)
}
