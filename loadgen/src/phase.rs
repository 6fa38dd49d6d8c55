//! A phase: two plugins are busy for a while, of which a window is measured.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::address::Address;
use crate::embedded::Embedded;
use crate::error::Error;
use crate::usage;
use crate::verifier::Verdict;

/// How often the progress is shown, and a signal is noticed.
const TICK: Duration = Duration::from_millis(50);

/// What all phases of a run have in common.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) address: &'a Address,
    /// The relay, if it is ours, so that its use of the CPU can be read.
    pub(crate) embedded: Option<&'a Embedded>,
    /// What a signal sets.
    pub(crate) interrupted: &'a AtomicBool,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// Between those who are busy and the one who measures them.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Messages (or round trips) so far.
    pub(crate) messages: AtomicU64,
    measuring: AtomicBool,
    stopping: AtomicBool,
}

impl Meter {
    /// Whether the window is open.
    pub(crate) fn measures(&self) -> bool {
        self.measuring.load(Ordering::Relaxed)
    }

    /// Whether it is time to end.
    pub(crate) fn stops(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// What was measured between two instants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) elapsed: Duration,
    /// Messages (or round trips) that were complete.
    pub(crate) messages: u64,
    /// What an embedded relay used, in nanoseconds of CPU.
    pub(crate) relay_cpu_ns: Option<u64>,
    /// What this process used, in nanoseconds of CPU.
    pub(crate) generator_cpu_ns: u64,
}

/// What a phase found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) window: Window,
    /// About all of the phase, warm-up included.
    pub(crate) verdict: Verdict,
}

/// The state at an instant.
struct Sample {
    at: Instant,
    messages: u64,
    relay_cpu_ns: Option<u64>,
    generator_cpu_ns: u64,
}

impl Setting<'_> {
    /// Lets the phase run for its time, or until it ends by itself or is interrupted, and asks it to stop.
    pub(crate) fn measure(&self, title: &str, meter: &Meter, is_running: impl Fn() -> bool) -> Result<Window, Error> {
        let bar = progress(self.warm_up + self.duration, title);
        let begun = Instant::now();
        let wait_until = |end: Instant| {
            while Instant::now() < end && is_running() && !self.interrupted.load(Ordering::Relaxed) {
                thread::sleep(TICK.min(end.saturating_duration_since(Instant::now())));
                bar.set_position(begun.elapsed().as_millis() as u64);
                bar.set_message(HumanCount(meter.messages.load(Ordering::Relaxed)).to_string());
            }
        };
        wait_until(begun + self.warm_up);
        let first = self.sample(meter);
        meter.measuring.store(true, Ordering::Relaxed);
        if let Ok(first) = &first {
            wait_until(first.at + self.duration);
        }
        let last = self.sample(meter);
        meter.stopping.store(true, Ordering::Relaxed);
        bar.finish_and_clear();
        let (first, last) = (first?, last?);
        // The time of threads that are gone is not counted any more: it may even fall when something ends too soon.
        Ok(Window {
            elapsed: last.at - first.at,
            messages: last.messages - first.messages,
            relay_cpu_ns: last.relay_cpu_ns.zip(first.relay_cpu_ns).map(|(last, first)| last.saturating_sub(first)),
            generator_cpu_ns: last.generator_cpu_ns.saturating_sub(first.generator_cpu_ns),
        })
    }

    fn sample(&self, meter: &Meter) -> Result<Sample, Error> {
        Ok(Sample {
            at: Instant::now(),
            messages: meter.messages.load(Ordering::Relaxed),
            relay_cpu_ns: self.embedded.map(|relay| usage::cpu_ns(relay.pid())).transpose()?,
            generator_cpu_ns: usage::cpu_ns(std::process::id())?,
        })
    }
}

/// A bar on stderr, if that is a terminal.
fn progress(total: Duration, title: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:16} [{bar:32}] {msg} messages").expect("a valid template");
    ProgressBar::new(total.as_millis() as u64).with_style(style).with_prefix(title.to_owned())
}
