//! What runs where: the relay, the CPUs, and what the relay must be configured for.

use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testkit::cpus;

use crate::address;
use crate::embedded::Embedded;
use crate::error::Error;
use crate::flags::Machine;
use crate::report::machine;
use crate::report::model::{self, Report};
use crate::run::memory::Loop;
use crate::run::{self, Bus, Context};
use crate::scenario::settings::Settings;
use crate::scenario::{Kind, Phase, Transport};
use crate::selftest::{self, SelfTest};
use crate::traffic::topology::PluginSpec;

/// What the relay promises and keeps for a channel, with room to spare. It reserves the least credit at both ends, and
/// half of its budget is for that.
const CREDIT_OF_CHANNEL_BYTES: u64 = 8 * limits::CREDIT_CAP_MIN_BYTES;
const OVERHEAD_OF_CHANNEL_BYTES: u64 = 4 << 10;
const OVERHEAD_OF_CONNECTION_BYTES: u64 = 8 << 10;

/// What a relay must be allowed at the least that the kernel holds for a connection, with room to spare.
const KERNEL_MEMORY_OF_CONNECTION_BYTES: u64 = 8 * limits::SEND_BUFFER_BYTES_MIN;

/// How long it is looked how fast the machine is.
const SPEED_TIME: Duration = Duration::from_millis(50);

/// Connections and channels beside those of the plan.
const OTHERS: u64 = 64;

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
                let of_plugin = |plugin: &PluginSpec| plugin.opens.len() as u64 + u64::from(plugin.expects);
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
        let shards = u64::from(shards);
        let credit = self.channels * CREDIT_OF_CHANNEL_BYTES / shards;
        let overhead = self.channels * OVERHEAD_OF_CHANNEL_BYTES + self.plugins * OVERHEAD_OF_CONNECTION_BYTES;
        let mut text = String::new();
        let mut allow = |section: &str, name: &str, needed: u64, default: u64| {
            if needed > default {
                text += &format!("{section}.{name} = {needed}\n");
            }
        };
        allow("credit", "memory_bytes", credit, limits::CREDIT_MEMORY_BYTES);
        allow("limits", "overhead_memory_bytes", overhead / shards, limits::OVERHEAD_MEMORY_BYTES);
        let connections = self.plugins + OTHERS;
        allow("limits", "connections_max", connections, limits::CONNECTIONS_MAX);
        allow("limits", "connections_per_uid_max", connections, limits::CONNECTIONS_PER_UID_MAX);
        let kernel = connections * KERNEL_MEMORY_OF_CONNECTION_BYTES;
        allow("socket", "kernel_memory_bytes", kernel, limits::KERNEL_MEMORY_BYTES);
        let of_plugin = self.channels_of_plugin + OTHERS;
        allow("limits", "channels_per_plugin_max", of_plugin, limits::CHANNELS_PER_PLUGIN_MAX);
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
    // Where there are more than the kernel says at once, take the first ones.
    cpus::allowed().unwrap_or_else(|_| (0..thread::available_parallelism().map_or(1, usize::from)).collect())
}

/// The relay that a run uses, started if need be.
pub(crate) fn bus(machine: &Machine, phases: &[Phase], placement: &Placement) -> Result<Bus, Error> {
    if let Some(address) = &machine.bus {
        let unreachable = |source| Error::Unreachable { address: address.clone(), source };
        address::connect(address).map_err(unreachable)?;
        return Ok(Bus::Running(address.clone()));
    }
    Embedded::start(machine, &placement.relay, &Needs::of(phases).config(machine.shards)).map(Bus::Embedded)
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
        machine: machine::this(speed(placement)),
        relay,
        generator,
        ..Report::default()
    }
}

/// How fast the machine is: messages of 64 bytes that a thread of the generator produces and checks in a second.
fn speed(placement: &Placement) -> f64 {
    let phase =
        Settings { scenario: Some(Kind::Flood), ..Settings::default() }.check().expect("the defaults are valid");
    let cpu = placement.generator.first().copied().flatten();
    let measuring = thread::spawn(move || {
        run::bind(cpu);
        Loop::new(&phase).run(SPEED_TIME)
    });
    measuring.join().expect("it does not panic")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_plans_raise_the_limits_of_the_relay() {
        let mesh = |connections| {
            let settings =
                Settings { scenario: Some(Kind::Mesh), connections: Some(connections), ..Settings::default() };
            Needs::of(&[settings.check().expect("valid")])
        };
        assert_eq!(mesh(10), Needs { plugins: 10, channels: 90, channels_of_plugin: 18 });
        assert_eq!(mesh(10).config(1), "");
        let config = mesh(400).config(2);
        assert!(config.contains(&format!("credit.memory_bytes = {}\n", 400 * 399 * CREDIT_OF_CHANNEL_BYTES / 2)));
        assert!(config.contains("limits.overhead_memory_bytes = ") && !config.contains("connections_max"), "{config}");
    }

    #[test]
    fn relay_and_generator_share_the_cpus() {
        let place = |allowed: &[usize], shards, threads| {
            let machine = Machine { shards, threads, ..Machine::default() };
            Placement::on(allowed, &machine)
        };
        let placed = |relay: &[usize], generator: &[Option<usize>]| Placement {
            relay: relay.to_vec(),
            generator: generator.to_vec(),
        };
        assert_eq!(place(&[0, 1], 1, None), placed(&[0], &[Some(1)]));
        assert_eq!(place(&[2, 3, 5, 7], 2, None), placed(&[2, 3], &[Some(5), Some(7)]));
        assert_eq!(place(&[0, 1], 1, Some(2)), placed(&[0], &[Some(1), Some(1)]));
        assert_eq!(place(&[0], 1, None), placed(&[], &[None]), "with one CPU nobody has his own");
        assert_eq!(place(&[0, 1], 2, Some(2)), placed(&[], &[None, None]));
        let machine = Machine { bus: "tcp:localhost:1".parse().ok(), embedded: false, ..Machine::default() };
        assert_eq!(Placement::on(&[0, 1], &machine), placed(&[], &[None, None]));
    }
}
