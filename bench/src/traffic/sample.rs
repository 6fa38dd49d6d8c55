//! One measurement: a window in the middle of a flow, and what was used in it.

use std::io;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use testkit::proc;

use super::counting::Counts;
use crate::lab::round::{Figures, Round};

/// The longest round trip that is told from longer ones, in nanoseconds, and how many digits are kept.
const TRIP_MAX_NS: u64 = 10_000_000_000;
const TRIP_DIGITS: u8 = 3;

/// Names of figures.
pub(crate) const CPU: &str = "CPU ns/message";
pub(crate) const CPU_OF_TRIP: &str = "CPU us/trip";
pub(crate) const CPU_OF_BYTES: &str = "CPU s/GB";
pub(crate) const RATE: &str = "messages/s";
pub(crate) const SWITCHES: &str = "switches/1000";
pub(crate) const SERVER_BUSY: &str = "server busy";
pub(crate) const PLUGINS_BUSY: &str = "plugins busy";
pub(crate) const BYTES_EACH: &str = "bytes each";
pub(crate) const P50: &str = "p50 us";
pub(crate) const P99: &str = "p99 us";
pub(crate) const P999: &str = "p99.9 us";
pub(crate) const SYSCALLS: &str = "syscalls/1000";
pub(crate) const COMPLETIONS: &str = "completions/1000";
pub(crate) const WAKES: &str = "wakes/1000";

/// How often it is looked whether all goes well.
const TICK: Duration = Duration::from_millis(5);

/// What is the same for all measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Time before the window.
    pub(crate) warm_up: Duration,
    /// The window.
    pub(crate) window: Duration,
    /// Whether to count what servers ask of the kernel, in a window more.
    pub(crate) counts: bool,
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
    pub(crate) counts: Option<Counts>,
    /// Times of round trips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) round_trip: Option<RoundTrip>,
}

impl Sample {
    pub(crate) fn memory(bytes_each: f64) -> Self {
        Self { bytes_each: Some(bytes_each), ..Self::default() }
    }

    /// Of messages of `size` bytes.
    pub(crate) fn of_messages(self, size: usize) -> Self {
        Self { payload_bytes: self.messages * size as f64, ..self }
    }

    pub(crate) fn messages_per_s(&self) -> f64 {
        self.messages / self.seconds
    }

    pub(crate) fn bytes_per_s(&self) -> f64 {
        self.payload_bytes / self.seconds
    }

    /// What can be said of it.
    pub(crate) fn figures(&self) -> Figures {
        if let Some(bytes) = self.bytes_each {
            return vec![(BYTES_EACH, bytes)];
        }
        let cpu_ns = self.server_cpu_ns / self.messages;
        let busy = |cpu_ns: f64| cpu_ns / self.seconds / 1e9;
        let mut figures = vec![
            (CPU, cpu_ns),
            (CPU_OF_TRIP, cpu_ns / 1e3),
            (CPU_OF_BYTES, self.server_cpu_ns / self.payload_bytes),
            (RATE, self.messages_per_s()),
            (SWITCHES, self.server_switches / self.messages * 1e3),
            (SERVER_BUSY, busy(self.server_cpu_ns)),
            (PLUGINS_BUSY, busy(self.plugins_cpu_ns)),
        ];
        if let Some(RoundTrip { p50_ns, p99_ns, p999_ns }) = self.round_trip {
            figures.extend([(P50, p50_ns / 1e3), (P99, p99_ns / 1e3), (P999, p999_ns / 1e3)]);
        }
        if let Some(Counts { syscalls, completions, wakes }) = self.counts {
            figures.extend([(SYSCALLS, syscalls * 1e3), (COMPLETIONS, completions * 1e3), (WAKES, wakes * 1e3)]);
        }
        figures
    }

    /// Some of that.
    pub(crate) fn some<const N: usize>(&self, names: [&'static str; N]) -> Figures {
        let mut figures = self.figures();
        figures.retain(|(name, _)| names.contains(name));
        figures
    }
}

impl From<Sample> for Round {
    fn from(sample: Sample) -> Self {
        let whole = serde_json::to_value(&sample).expect("a sample is numbers");
        Self { figures: sample.figures(), whole }
    }
}

/// Times of round trips, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RoundTrip {
    pub(crate) p50_ns: f64,
    pub(crate) p99_ns: f64,
    pub(crate) p999_ns: f64,
}

/// Times of round trips, in nanoseconds, of which none has been taken.
pub(crate) fn no_times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, TRIP_MAX_NS, TRIP_DIGITS).expect("the bounds are in order")
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
        let (begun, server_before, plugins_before) = (Instant::now(), Used::of_family(server_pid)?, own_cpu_ns()?);
        // A machine that is busy with something else may need longer.
        wait_until(&mut || begun.elapsed() >= self.window && count() > count_before)?;
        let count_after = count();
        let (seconds, server_after) = (begun.elapsed().as_secs_f64(), Used::of_family(server_pid)?);
        let plugins_cpu_ns = (own_cpu_ns()? - plugins_before) as f64;
        let messages = (count_after - count_before) as f64;
        let counts = self.counts.then(|| Counts::take(server_pid, self.window, messages / seconds)).transpose()?;
        Ok(Sample {
            seconds,
            messages,
            server_cpu_ns: (server_after.cpu_ns - server_before.cpu_ns) as f64,
            server_switches: (server_after.switches - server_before.switches) as f64,
            plugins_cpu_ns,
            counts,
            ..Default::default()
        })
    }
}

/// What a process and those that it has started have used.
#[derive(Default)]
struct Used {
    cpu_ns: u64,
    switches: u64,
}

impl Used {
    fn of_family(pid: u32) -> io::Result<Self> {
        let mut sum = Self::default();
        for pid in proc::family(pid) {
            sum.cpu_ns += proc::cpu(pid)?.used_ns;
            sum.switches += proc::switches(pid)?;
        }
        Ok(sum)
    }
}

fn own_cpu_ns() -> io::Result<u64> {
    Ok(proc::cpu(process::id())?.used_ns)
}
