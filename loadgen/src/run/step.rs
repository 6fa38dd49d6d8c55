//! One step: starts the threads, waits until all channels are open, lets it begin, looks at the relay's use of the CPU at
//! both ends of the window, and waits for the last message.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use testkit::cpus;
use testkit::proc::{self, Cpu, Memory};

use super::progress::Progress;
use super::shared::Shared;
use super::worker::{Source, Worker};
use super::{Context, build, limits};
use crate::address::enlarge_send_buffer;
use crate::error::Error;
use crate::scenario::{Phase, Step};
use crate::traffic::Time;
use crate::traffic::flow::{FlowSpec, Measured};
use crate::traffic::recorder::Window;
use crate::traffic::topology::Topology;
use crate::traffic::verifier::Verdict;

/// How often it is looked how things stand.
const TICK: Duration = Duration::from_millis(50);

/// Time without any progress, while something must come, after which a step is given up: a busy machine may stop everything for
/// seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same after something has gone wrong: only what is on its way is worth waiting for.
const PATIENCE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// Between the word to begin and the beginning, so that all threads have heard of it.
const LEAD: Duration = Duration::from_millis(20);

/// Intervals of a window, at the most, and the shortest.
const INTERVALS: u32 = 100;
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// The longest time after the end during which messages are sent that should have been sent before.
const GRACE_MAX: Duration = Duration::from_secs(10);

/// What a step found out.
#[derive(Debug)]
pub(crate) struct StepOutcome {
    pub(crate) step: Step,
    pub(crate) plugins: u64,
    pub(crate) channels: u64,
    pub(crate) interval: Duration,
    /// How long was measured; less than asked for when it was cut short.
    pub(crate) elapsed: Duration,
    pub(crate) flows: Vec<(Arc<FlowSpec>, Measured)>,
    /// What the relay had of the CPUs within the window.
    pub(crate) relay_cpu: Option<Cpu>,
    /// The share of one CPU that it used, in the course of the window.
    pub(crate) relay_cpu_shares: Vec<(Duration, f64)>,
    pub(crate) relay_rss_peak_bytes: Option<u64>,
    pub(crate) generator_cpu: Cpu,
    pub(crate) errors: Vec<Error>,
}

impl StepOutcome {
    /// What all flows together have found about messages.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut sum = Verdict::default();
        self.flows.iter().for_each(|(_, measured)| sum += measured.verdict);
        sum
    }

    /// Whether all went well.
    pub(crate) fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.verdict().is_clean()
    }

    /// How much the first flow carried.
    pub(crate) fn messages_per_s(&self) -> f64 {
        let Some((_, measured)) = self.flows.first() else { return 0.0 };
        let messages: u64 = measured.recorder.intervals().iter().map(|interval| interval.messages).sum();
        if self.elapsed.is_zero() { 0.0 } else { messages as f64 / self.elapsed.as_secs_f64() }
    }
}

/// What was used up to an instant.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Time,
    relay: Option<Cpu>,
    generator: Cpu,
}

/// Runs a step of a phase.
pub(crate) fn run(context: &Context<'_>, phase: &Phase, step: &Step) -> StepOutcome {
    let topology = build::topology(phase, step, context.tag(), context.cpus.len());
    let address = context.bus.address(phase.transport).clone();
    let sources = context.cpus.iter().map(|_| Source::Bus(address.clone())).collect();
    Run::new(context, phase, step, topology).run(sources)
}

/// Runs a step with one writer and one reader, each on a thread of its own, whose sockets are the two ends of a pair.
pub(crate) fn direct(context: &Context<'_>, phase: &Phase, step: &Step) -> Result<StepOutcome, Error> {
    let mut topology = build::topology(phase, step, context.tag(), context.cpus.len());
    let (one, other) = UnixStream::pair().map_err(Error::Direct)?;
    let last = context.cpus.len() - 1;
    topology.plugins[1].worker = last;
    let mut sources = Vec::from_iter(context.cpus.iter().map(|_| VecDeque::new()));
    for (number, thread, socket) in [(0, 0, one), (1, last, other)] {
        enlarge_send_buffer(&socket).map_err(Error::Direct)?;
        sources[thread].push_back((number, OwnedFd::from(socket)));
    }
    Ok(Run::new(context, phase, step, topology).run(sources.into_iter().map(Source::Direct).collect()))
}

struct Run<'a> {
    context: &'a Context<'a>,
    phase: &'a Phase,
    step: &'a Step,
    topology: Arc<Topology>,
    shared: Arc<Shared>,
    progress: Progress,
}

impl<'a> Run<'a> {
    fn new(context: &'a Context<'a>, phase: &'a Phase, step: &'a Step, topology: Topology) -> Self {
        let title = if step.label.is_empty() { phase.name.clone() } else { format!("{}, {}", phase.name, step.label) };
        let (plugins, channels) = (topology.steady_plugins(), topology.steady_channels());
        let shared = Shared::new(plugins, channels, topology.cycling_plugins());
        Self {
            context,
            phase,
            step,
            topology: Arc::new(topology),
            shared: Arc::new(shared),
            progress: Progress::new(title, phase.warm_up + phase.duration),
        }
    }

    fn run(mut self, sources: Vec<Source>) -> StepOutcome {
        if let Err(error) = limits::make_room(self.topology.plugins.len() as u64, self.context.cpus.len() as u64) {
            self.shared.fail(error);
            return self.outcome(Vec::new(), &[], None);
        }
        if let Some(pid) = self.context.relay_pid {
            proc::reset_memory_peak(pid);
        }
        let context = self.context;
        let (measured, samples, window) = thread::scope(|scope| {
            let threads: Vec<_> = sources
                .into_iter()
                .zip(&context.cpus)
                .enumerate()
                .map(|(index, (source, &cpu))| {
                    let (shared, topology) = (self.shared.clone(), self.topology.clone());
                    let spins = self.phase.spins(context.has_cpus());
                    scope.spawn(move || work(index, cpu, shared, topology, source, spins))
                })
                .collect();
            let window = self.set_up();
            let samples = window.map_or_else(Vec::new, |window| self.watch(window));
            self.drain(&threads);
            let measured = threads.into_iter().map(|thread| thread.join().expect("a thread does not panic"));
            (measured.collect::<Vec<_>>(), samples, window)
        });
        self.outcome(measured, &samples, window)
    }

    /// Waits until all channels are open, and lets it begin.
    fn set_up(&mut self) -> Option<Window> {
        let mut patience = Patience::new(&self.shared);
        while !self.shared.is_ready() {
            if self.is_over() {
                return None;
            }
            if patience.is_over(PATIENCE) {
                self.shared.fail(Error::Silent { what: "channels were being opened", seconds: PATIENCE.as_secs() });
                return None;
            }
            self.progress.connecting(self.shared.opened.load(Ordering::Relaxed), self.shared.channels);
            thread::sleep(TICK / 10);
        }
        let nanoseconds = |time: Duration| time.as_nanos() as Time;
        let Phase { warm_up, duration, .. } = *self.phase;
        let begin = self.shared.now() + nanoseconds(LEAD);
        let start = begin + nanoseconds(warm_up);
        let end = start + nanoseconds(duration);
        let window = Window { start, end, interval_ns: nanoseconds(self.interval()) };
        self.shared.begin(begin, window, end + nanoseconds(duration.min(GRACE_MAX)));
        Some(window)
    }

    fn interval(&self) -> Duration {
        (self.phase.duration / INTERVALS).max(INTERVAL_MIN)
    }

    /// Whether it is to end before its time.
    fn is_over(&self) -> bool {
        if self.context.interrupted.load(Ordering::Relaxed) {
            self.shared.stop();
        }
        self.shared.stops()
    }

    /// Looks at what is used, from the beginning of the window to its end.
    fn watch(&mut self, window: Window) -> Vec<Sample> {
        let begun = window.start.saturating_sub(self.phase.warm_up.as_nanos() as Time);
        let mut samples = Vec::new();
        let mut next = window.start;
        while !self.is_over() {
            let now = self.shared.now();
            if now >= next {
                self.sample(&mut samples);
                next = now.max(next) + window.interval_ns.max(TICK.as_nanos() as Time);
            }
            let elapsed = Duration::from_nanos(now.saturating_sub(begun));
            self.progress.running(elapsed, self.shared.arrived.load(Ordering::Relaxed));
            let until = next.min(window.end).saturating_sub(self.shared.now());
            thread::sleep(TICK.min(Duration::from_nanos(until)));
        }
        self.sample(&mut samples);
        samples
    }

    fn sample(&self, samples: &mut Vec<Sample>) {
        let cpu = |pid| proc::cpu(pid).map_err(Error::Proc);
        let (relay, generator) = (self.context.relay_pid.map(cpu).transpose(), cpu(std::process::id()));
        match relay.and_then(|relay| generator.map(|generator| (relay, generator))) {
            Ok((relay, generator)) => samples.push(Sample { at: self.shared.now(), relay, generator }),
            Err(error) => self.shared.fail(error),
        }
    }

    /// Waits for the threads, which wait for the last messages.
    fn drain(&mut self, threads: &[ScopedJoinHandle<'_, Vec<Measured>>]) {
        let mut patience = Patience::new(&self.shared);
        while !threads.iter().all(ScopedJoinHandle::is_finished) {
            self.progress.draining();
            let failed = self.shared.has_failed();
            if patience.is_over(if failed { PATIENCE_AFTER_ERROR } else { PATIENCE }) {
                if !failed {
                    let what = "the last messages were awaited";
                    self.shared.fail(Error::Silent { what, seconds: PATIENCE.as_secs() });
                }
                self.shared.abort();
                return;
            }
            thread::sleep(TICK / 4);
        }
    }

    fn outcome(self, measured: Vec<Vec<Measured>>, samples: &[Sample], window: Option<Window>) -> StepOutcome {
        let mut flows: Vec<(Arc<FlowSpec>, Measured)> =
            self.topology.flows.iter().map(|spec| (spec.clone(), Measured::default())).collect();
        for of_thread in measured {
            for ((_, sum), one) in flows.iter_mut().zip(of_thread) {
                sum.add(one);
            }
        }
        let elapsed = match (window, samples.last()) {
            (Some(window), Some(last)) => last.at.min(window.end).saturating_sub(window.start),
            _ => 0,
        };
        let rss = self.context.relay_pid.and_then(|pid| proc::memory_bytes(pid, Memory::Peak).ok());
        StepOutcome {
            step: self.step.clone(),
            plugins: self.topology.plugins.len() as u64,
            channels: self.topology.steady_channels(),
            interval: self.interval(),
            elapsed: Duration::from_nanos(elapsed),
            flows,
            relay_cpu: within(elapsed, samples, |sample| sample.relay),
            relay_cpu_shares: shares(samples),
            relay_rss_peak_bytes: rss,
            generator_cpu: within(elapsed, samples, |sample| Some(sample.generator)).unwrap_or_default(),
            errors: self.shared.take_errors(),
        }
    }
}

/// Binds the calling thread to a CPU, if there is one for it.
pub(crate) fn bind(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        // Where it may not, it runs somewhere else, and the numbers vary more.
        let _ = cpus::pin(&[cpu]);
    }
}

/// One thread.
fn work(
    index: usize,
    cpu: Option<usize>,
    shared: Arc<Shared>,
    topology: Arc<Topology>,
    source: Source,
    spins: bool,
) -> Vec<Measured> {
    bind(cpu);
    match Worker::new(index, shared.clone(), topology, source, spins) {
        Ok(worker) => worker.run(),
        Err(error) => {
            shared.fail(error);
            Vec::new()
        }
    }
}

/// What was used within `elapsed`, from the rate between the first and the last sample, which are not taken exactly at
/// the ends of the window.
fn within(elapsed: Time, samples: &[Sample], of: impl Fn(&Sample) -> Option<Cpu>) -> Option<Cpu> {
    let (first, last) = (samples.first()?, samples.last()?);
    let time = last.at.saturating_sub(first.at);
    let (before, after) = (of(first)?, of(last)?);
    // The time of threads that are gone is not counted any more: it may even fall when something ends too soon.
    let scaled = |before: u64, after: u64| (after.saturating_sub(before) as f64 * elapsed as f64 / time as f64) as u64;
    (time > 0).then(|| Cpu {
        used_ns: scaled(before.used_ns, after.used_ns),
        waited_ns: scaled(before.waited_ns, after.waited_ns),
    })
}

/// The share of a CPU that the relay used between each two samples, and when that was.
fn shares(samples: &[Sample]) -> Vec<(Duration, f64)> {
    let Some(first) = samples.first() else { return Vec::new() };
    let share = |pair: &[Sample]| {
        let [one, other] = pair else { return None };
        let used = other.relay?.used_ns.saturating_sub(one.relay?.used_ns);
        let time = other.at.saturating_sub(one.at);
        (time > 0).then(|| (Duration::from_nanos(one.at - first.at), used as f64 / time as f64))
    };
    samples.windows(2).filter_map(share).collect()
}

/// Notices when nothing happens any more.
struct Patience<'a> {
    shared: &'a Shared,
    seen: (Instant, u64),
}

impl<'a> Patience<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, seen: (Instant::now(), shared.progress()) }
    }

    fn is_over(&mut self, limit: Duration) -> bool {
        let progress = self.shared.progress();
        if progress != self.seen.1 {
            self.seen = (Instant::now(), progress);
        }
        self.seen.0.elapsed() > limit
    }
}
