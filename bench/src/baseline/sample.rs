//! One measurement: a window in the middle of a flow, and what was used in it.

use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::counting::Counts;
use super::cpu::Usage;

/// How often it is looked whether all goes well.
const TICK: Duration = Duration::from_millis(5);

/// What is the same for all measurements.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Where the plugins run.
    pub(crate) plugin_cpus: Vec<usize>,
    /// Time before the window.
    pub(crate) warm_up: Duration,
    /// The window.
    pub(crate) window: Duration,
    /// Whether to count what servers ask of the kernel, in a window more.
    pub(crate) counts: bool,
    /// What the relay is to go by.
    pub(crate) config: Option<PathBuf>,
}

/// What was measured in a window.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// How long the window was.
    pub(crate) seconds: f64,
    /// Messages that arrived, or round trips.
    pub(crate) messages: f64,
    /// Payload in them.
    pub(crate) payload_bytes: f64,
    /// CPU time of the server.
    pub(crate) server_cpu_ns: f64,
    /// How often one of its threads was taken off its CPU.
    pub(crate) server_switches: f64,
    /// CPU time of the plugins.
    pub(crate) plugins_cpu_ns: f64,
    /// Memory of the server for each of many things that it holds; then nothing else was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_each: Option<f64>,
    /// What the server asked of the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) counts: Option<Counts>,
    /// Times of round trips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) round_trip: Option<RoundTrip>,
}

impl Sample {
    pub(crate) fn memory(bytes_each: f64) -> Self {
        Self { bytes_each: Some(bytes_each), ..Self::default() }
    }

    /// Of messages of `size` bytes, where `unit` times as much was counted as there were.
    pub(crate) fn of_messages(self, size: usize, unit: u64) -> Self {
        let unit = unit as f64;
        let messages = self.messages / unit;
        let counts = self.counts.map(|counts| counts.times(unit));
        Self { messages, payload_bytes: messages * size as f64, counts, ..self }
    }

    pub(crate) fn cpu_ns_per_message(&self) -> f64 {
        self.server_cpu_ns / self.messages
    }

    pub(crate) fn cpu_s_per_gb(&self) -> f64 {
        self.server_cpu_ns / self.payload_bytes
    }

    pub(crate) fn messages_per_s(&self) -> f64 {
        self.messages / self.seconds
    }

    pub(crate) fn switches_per_message(&self) -> f64 {
        self.server_switches / self.messages
    }

    pub(crate) fn p50_ns(&self) -> f64 {
        self.round_trip.map_or(f64::NAN, |times| times.p50_ns)
    }

    pub(crate) fn p99_ns(&self) -> f64 {
        self.round_trip.map_or(f64::NAN, |times| times.p99_ns)
    }

    pub(crate) fn p999_ns(&self) -> f64 {
        self.round_trip.map_or(f64::NAN, |times| times.p999_ns)
    }

    pub(crate) fn bytes_each(&self) -> f64 {
        self.bytes_each.unwrap_or(f64::NAN)
    }

    /// Parts of a CPU that the server and the plugins were busy.
    pub(crate) fn busy(&self) -> [f64; 2] {
        [self.server_cpu_ns, self.plugins_cpu_ns].map(|ns| ns / self.seconds / 1e9)
    }
}

/// Times of round trips, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RoundTrip {
    pub(crate) p50_ns: f64,
    pub(crate) p99_ns: f64,
    pub(crate) p999_ns: f64,
}

impl RoundTrip {
    pub(crate) fn of(times: &Histogram<u64>) -> Self {
        let [p50_ns, p99_ns, p999_ns] = [0.5, 0.99, 0.999].map(|quantile| times.value_at_quantile(quantile) as f64);
        Self { p50_ns, p99_ns, p999_ns }
    }
}

impl Setting {
    /// Waits for the window and then for its end; `count` says how far it has got, and `is_going` whether it still
    /// goes on. The sample's messages are what was counted.
    pub(crate) fn sample(
        &self,
        server_pid: u32,
        mut count: impl FnMut() -> u64,
        mut is_going: impl FnMut() -> bool,
    ) -> Result<Sample> {
        let mut wait_until = |is_time: &mut dyn FnMut() -> bool| {
            while !is_time() {
                ensure!(is_going(), "the flow has ended too soon");
                thread::sleep(TICK.min(self.window));
            }
            Ok(())
        };
        let start = Instant::now();
        wait_until(&mut || start.elapsed() >= self.warm_up)?;
        let count_before = count();
        let (server_before, plugins_before) = (Usage::of_family(server_pid)?, Usage::of(process::id())?);
        // A machine that is busy with something else may need longer.
        wait_until(&mut || server_before.at.elapsed() >= self.window && count() > count_before)?;
        let count_after = count();
        let (server_after, plugins_after) = (Usage::of_family(server_pid)?, Usage::of(process::id())?);
        let seconds = (server_after.at - server_before.at).as_secs_f64();
        let messages = (count_after - count_before) as f64;
        let counts = self.counts.then(|| Counts::take(server_pid, self.window, messages / seconds)).transpose()?;
        Ok(Sample {
            seconds,
            messages,
            server_cpu_ns: (server_after.cpu_ns - server_before.cpu_ns) as f64,
            server_switches: (server_after.switches - server_before.switches) as f64,
            plugins_cpu_ns: (plugins_after.cpu_ns - plugins_before.cpu_ns) as f64,
            counts,
            ..Default::default()
        })
    }
}
