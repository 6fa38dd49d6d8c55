//! The report of a run. Its JSON form is what `minbus-load compare` reads again: fields are added, not changed.

use serde::{Deserialize, Serialize};

use crate::scenario::Kind;
use crate::traffic::verifier::Verdict;

/// A whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Of the generator.
    pub(crate) version: String,
    /// Seconds since 1970.
    pub(crate) begun_s: u64,
    pub(crate) machine: Machine,
    pub(crate) relay: Relay,
    pub(crate) generator: Generator,
    pub(crate) phases: Vec<Phase>,
    /// What is to be known about the numbers beside them.
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
    /// What ended it before its time.
    pub(crate) errors: Vec<String>,
    /// Whether a signal cut it short.
    pub(crate) interrupted: bool,
    /// Whether something was sent, and each message of each phase arrived once, in order and as it was sent.
    pub(crate) verified: bool,
}

/// Where it ran.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// How fast it was just before: messages of 64 bytes that one thread of the generator produced and checked in a second,
    /// through memory alone. What shares a host with it may take a third of that, and more.
    pub(crate) checked_per_s: f64,
}

/// The relay.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Relay {
    /// Whether it was a process of the generator's.
    pub(crate) embedded: bool,
    pub(crate) address: String,
    pub(crate) pid: Option<u32>,
    /// Of an embedded one.
    pub(crate) shards: Option<u32>,
    /// The CPUs that an embedded one was bound to.
    pub(crate) cpus: Vec<usize>,
}

/// The generator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Generator {
    pub(crate) threads: usize,
    /// The CPUs that its threads were bound to.
    pub(crate) cpus: Vec<usize>,
}

/// A phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) scenario: Kind,
    /// Name and value, for people.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
}

/// A part of a phase, with plugins of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) label: String,
    /// Messages a second that were to be sent, in an open loop.
    pub(crate) offered_per_s: Option<f64>,
    /// Which share of the capacity that is.
    pub(crate) load_percent: Option<u32>,
    /// Whether it found out the capacity.
    pub(crate) probes: bool,
    pub(crate) plugins: u64,
    pub(crate) channels: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) interval_s: f64,
    /// By message (or round trip, or visit) and by gigabyte of payload.
    pub(crate) relay_cpu_ns_per_message: Option<f64>,
    pub(crate) relay_cpu_s_per_gb: Option<f64>,
    /// Of all shards, where 1 is one CPU.
    pub(crate) relay_cpu_share: Option<f64>,
    /// The share of the time in which it could have run, but something else had its CPU.
    pub(crate) relay_waited_share: Option<f64>,
    pub(crate) relay_cpu_series: Vec<(f64, f64)>,
    pub(crate) relay_rss_peak_bytes: Option<u64>,
    pub(crate) generator_cpu_ns_per_message: Option<f64>,
    pub(crate) generator_cpu_share: f64,
    pub(crate) generator_waited_share: f64,
    pub(crate) flows: Vec<Flow>,
    /// About the warm-up too.
    pub(crate) verdict: Verdict,
}

/// Channels that did the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) label: String,
    /// What is counted.
    pub(crate) unit: String,
    /// Whether each is a message and its answer.
    pub(crate) round_trip: bool,
    pub(crate) messages: u64,
    pub(crate) messages_per_s: f64,
    /// Payload alone; of a round trip, that of one way.
    pub(crate) payload_bytes_per_s: f64,
    pub(crate) latency: Option<Latency>,
    /// How often a channel with something to send had no credit, and the share of the time that its channels had to wait.
    pub(crate) credit_stalls: u64,
    pub(crate) credit_stalled_share: f64,
    /// Messages that were due and never sent. Their latency counts as what they had waited.
    pub(crate) unsent: u64,
    /// Visits that a watcher was not told of.
    pub(crate) elided: u64,
    pub(crate) series: Vec<Point>,
}

/// How long things took, from when they should have begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) mean_ns: f64,
    pub(crate) p50_ns: u64,
    pub(crate) p90_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p99_9_ns: u64,
    pub(crate) p99_99_ns: u64,
    pub(crate) p99_999_ns: u64,
    pub(crate) max_ns: u64,
    /// Quantiles and their values, for drawing.
    pub(crate) curve: Vec<(f64, u64)>,
}

/// An interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// When it began.
    pub(crate) at_s: f64,
    pub(crate) messages_per_s: f64,
    pub(crate) p50_ns: Option<u64>,
    pub(crate) p99_ns: Option<u64>,
    pub(crate) max_ns: Option<u64>,
}

impl Report {
    /// Whether nothing has gone wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.steps().all(|(_, step)| step.verdict.is_clean())
    }

    /// All steps with their phases.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Phase, &Step)> {
        self.phases.iter().flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)))
    }
}

impl Latency {
    /// The times that tables have columns for.
    pub(crate) fn columns(&self) -> [u64; 7] {
        [self.p50_ns, self.p90_ns, self.p99_ns, self.p99_9_ns, self.p99_99_ns, self.p99_999_ns, self.max_ns]
    }
}

impl Phase {
    /// What a step of it is called.
    pub(crate) fn title(&self, step: &Step) -> String {
        if step.label.is_empty() { self.name.clone() } else { format!("{}, {}", self.name, step.label) }
    }

    /// Whether its steps are shares of a capacity.
    pub(crate) fn is_sweep(&self) -> bool {
        self.steps.iter().any(|step| step.load_percent.is_some())
    }
}
