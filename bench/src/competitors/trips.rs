//! There and back: a request and its answer, one at a time or at a rate.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

use super::end::End;
use super::figures::Figures;
use crate::baseline::cpu;
use crate::baseline::sample::{RoundTrip, Sample, Setting};

/// The longest round trip that is told from longer ones, in nanoseconds, and how many digits are kept.
pub(super) const HISTOGRAM: (u64, u8) = (10_000_000_000, 3);

/// Requests in flight when it is found out how many a server can carry.
const IN_FLIGHT: u64 = 16;

/// Which part of that is asked for at a rate.
const LOAD: f64 = 0.5;

/// Bytes of a request and of its answer.
const SIZE: usize = 64;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    /// When fewer than that are in flight.
    Closed(u64),
    /// This long after each other, whatever comes back.
    Open(Duration),
}

/// One at a time.
pub(super) fn closed(ends: &mut [End; 2], setting: &Setting, pid: u32) -> Result<Figures> {
    prepare(ends)?;
    Ok(Figures::of(run(ends, setting, pid, Pace::Closed(1))?))
}

/// At half of what there can be.
pub(super) fn open(ends: &mut [End; 2], setting: &Setting, pid: u32) -> Result<Figures> {
    prepare(ends)?;
    let most = run(ends, setting, pid, Pace::Closed(IN_FLIGHT))?;
    let capacity = most.messages_per_s();
    let interval = Duration::from_secs_f64(1.0 / (capacity * LOAD));
    let sample = run(ends, setting, pid, Pace::Open(interval))?;
    Ok(Figures { capacity_per_s: Some(capacity), ..Figures::of(sample) })
}

/// Prepares both for single messages to each other.
pub(super) fn prepare([one, other]: &mut [End; 2]) -> Result<()> {
    one.prepare(other, SIZE, Some(1))?;
    other.prepare(one, SIZE, Some(1))
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    trips: AtomicU64,
    asked: AtomicU64,
    is_all_asked: AtomicBool,
}

fn run([asker, echo]: &mut [End; 2], setting: &Setting, pid: u32, pace: Pace) -> Result<Sample> {
    let state = State::default();
    let (sample, times) = thread::scope(|scope| -> Result<_> {
        let asking = scope.spawn(|| {
            let result = ask(asker, pace, setting, &state);
            state.is_all_asked.store(true, Ordering::Release);
            result
        });
        let echoing = scope.spawn(|| answer(echo, setting, &state));
        let is_going = || !asking.is_finished() && !echoing.is_finished();
        let sample = setting.sample(pid, || state.trips.load(Ordering::Relaxed), is_going);
        state.stop.store(true, Ordering::Relaxed);
        // The echo first: when it fails, the asker fails for that reason.
        echoing.join().expect("the echo does not panic")?;
        let times = asking.join().expect("the asker does not panic")?;
        Ok((sample?, times))
    })?;
    let mut sample = sample.of_messages(2 * SIZE, 1);
    sample.round_trip = Some(RoundTrip::of(&times));
    Ok(sample)
}

/// Asks until it is time to stop, and waits for all answers. What was due before the window is not timed. A latency counts
/// from when a request was due.
fn ask(asker: &mut End, pace: Pace, setting: &Setting, state: &State) -> Result<Histogram<u64>> {
    cpu::pin(&setting.plugin_cpus)?;
    // Wakes in time: by default the kernel may be 50 µs late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut times = Histogram::new_with_bounds(1, HISTOGRAM.0, HISTOGRAM.1)?;
    let mut due = std::collections::VecDeque::new();
    let start = Instant::now();
    let mut next = start;
    let (mut asked, mut answered) = (0, 0);
    loop {
        let is_over = state.stop.load(Ordering::Relaxed);
        let mut now = Instant::now();
        while !is_over && is_due(pace, now, next, asked - answered) {
            due.push_back(if pace == Pace::Closed(1) { Instant::now() } else { next.min(now) });
            asked += 1;
            state.asked.store(asked, Ordering::Release);
            asker.write()?;
            match pace {
                Pace::Open(interval) => next += interval,
                Pace::Closed(_) => next = now,
            }
        }
        if is_over && answered == asked {
            return Ok(times);
        }
        if let Pace::Open(_) = pace
            && !is_over
            && !asker.is_readable(next.saturating_duration_since(Instant::now()))?
        {
            continue;
        }
        let came = asker.read()?;
        now = Instant::now();
        for at in due.drain(..came as usize) {
            if at - start > setting.warm_up {
                times.saturating_record((now - at).as_nanos() as u64);
            }
        }
        answered += came;
        state.trips.store(answered, Ordering::Relaxed);
    }
}

fn is_due(pace: Pace, now: Instant, next: Instant, in_flight: u64) -> bool {
    match pace {
        Pace::Closed(most) => in_flight < most,
        Pace::Open(_) => next <= now,
    }
}

/// Answers each request, until all were.
fn answer(echo: &mut End, setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    let mut answered = 0;
    let mut idle = Instant::now();
    loop {
        if state.is_all_asked.load(Ordering::Acquire) && answered == state.asked.load(Ordering::Acquire) {
            return Ok(());
        }
        // The asker may find that it is over while there is nothing to come.
        if !echo.is_readable(Duration::from_millis(20))? {
            if idle.elapsed() > crate::baseline::socket::PATIENCE {
                bail!("no request comes any more");
            }
            continue;
        }
        for _ in 0..echo.read()? {
            echo.write()?;
            answered += 1;
        }
        idle = Instant::now();
    }
}
