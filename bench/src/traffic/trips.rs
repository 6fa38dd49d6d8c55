//! There and back: a request and its answer, one at a time or at a rate.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use rustix::thread::set_current_timer_slack;

use super::end::End;
use super::sample::{RoundTrip, Sample, Setting, no_times};

/// Bytes of a request and of its answer.
const SIZE: usize = 64;

/// Requests in flight when it is found out how many a server can carry.
const IN_FLIGHT: u64 = 16;

/// Which part of that is asked for at a rate.
const LOAD: f64 = 0.5;

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// When fewer than that are in flight.
    Closed(u64),
    /// This long after each other, whatever comes back.
    Open(Duration),
}

/// Prepares both for single messages to each other.
pub(crate) fn prepare([one, other]: &mut [End; 2]) -> Result<()> {
    one.prepare(other, SIZE, Some(1))?;
    other.prepare(one, SIZE, Some(1))
}

/// What the two threads and the one that measures tell each other.
struct State {
    stop: AtomicBool,
    trips: AtomicU64,
    /// Requests in all; unknown until the last is about to be written, so that whoever answers cannot wait in vain.
    all: AtomicU64,
}

/// One at a time, between two who are connected, and stay so.
pub(crate) fn closed(ends: &mut [End; 2], setting: &Setting, pid: u32) -> Result<Sample> {
    prepare(ends)?;
    measure(ends, setting, pid, Pace::Closed(1))
}

/// At half of what there can be in a second, which it returns, too.
pub(crate) fn open(ends: &mut [End; 2], setting: &Setting, pid: u32) -> Result<(f64, Sample)> {
    prepare(ends)?;
    let capacity = measure(ends, setting, pid, Pace::Closed(IN_FLIGHT))?.messages_per_s();
    let interval = Duration::from_secs_f64(1.0 / (capacity * LOAD));
    Ok((capacity, measure(ends, setting, pid, Pace::Open(interval))?))
}

fn measure(ends: &mut [End; 2], setting: &Setting, pid: u32, pace: Pace) -> Result<Sample> {
    let [asker, echo] = ends;
    let state = State { stop: false.into(), trips: 0.into(), all: u64::MAX.into() };
    let sample = thread::scope(|scope| -> Result<_> {
        let asking = scope.spawn(|| ask(asker, pace, setting.warm_up, &state));
        let echoing = scope.spawn(|| answer(echo, &state));
        let is_going = || !asking.is_finished() && !echoing.is_finished();
        let sample = setting.sample(pid, || state.trips.load(Ordering::Relaxed), is_going);
        state.stop.store(true, Ordering::Relaxed);
        // The echo first: when it fails, the asker fails for that reason.
        echoing.join().expect("the echo does not panic")?;
        let times = asking.join().expect("the asker does not panic")?;
        Ok(Sample { round_trip: Some(RoundTrip::of(&times)), ..sample? })
    })?;
    Ok(sample.of_messages(2 * SIZE))
}

/// Asks until it is time to stop, once more, and waits for all answers. What was due before the window is not timed. A latency
/// counts from when a request was due.
fn ask(asker: &mut End, pace: Pace, warm_up: Duration, state: &State) -> Result<Histogram<u64>> {
    // Wakes in time: by default the kernel may be 50 µs late.
    set_current_timer_slack(NonZeroU64::new(1))?;
    let mut times = no_times();
    let mut due = VecDeque::new();
    let start = Instant::now();
    let mut next = start;
    let (mut asked, mut answered, mut is_over) = (0, 0, false);
    loop {
        let stops = state.stop.load(Ordering::Relaxed);
        let now = Instant::now();
        while !is_over && (stops || is_due(pace, now, next, asked - answered)) {
            is_over = stops;
            asked += 1;
            if is_over {
                state.all.store(asked, Ordering::Release);
            }
            due.push_back(match pace {
                Pace::Open(_) => next.min(now),
                Pace::Closed(_) => now,
            });
            if let Pace::Open(interval) = pace {
                next += interval;
            }
            asker.write()?;
        }
        if let Pace::Open(_) = pace
            && !is_over
            && !asker.is_readable(next.saturating_duration_since(Instant::now()))?
        {
            continue;
        }
        let came = asker.read()?;
        ensure!(came <= asked - answered, "more has come than was sent");
        let now = Instant::now();
        for at in due.drain(..came as usize) {
            if at - start > warm_up {
                times.saturating_record((now - at).as_nanos() as u64);
            }
        }
        answered += came;
        state.trips.store(answered, Ordering::Relaxed);
        if is_over && answered == asked {
            return Ok(times);
        }
    }
}

fn is_due(pace: Pace, now: Instant, next: Instant, in_flight: u64) -> bool {
    match pace {
        Pace::Closed(most) => in_flight < most,
        Pace::Open(_) => next <= now,
    }
}

/// Answers each request, until all were.
fn answer(echo: &mut End, state: &State) -> Result<()> {
    let mut answered = 0;
    loop {
        let came = echo.read()?;
        let all = state.all.load(Ordering::Acquire);
        for _ in 0..came {
            echo.write()?;
        }
        answered += came;
        if answered == all {
            return Ok(());
        }
    }
}
