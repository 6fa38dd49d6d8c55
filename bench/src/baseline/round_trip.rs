//! One message there and one back, over and over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use super::batch::Batch;
use super::cpu;
use super::line::Line;
use super::sample::{RoundTrip, Sample, Setting};
use super::server::Server;

/// The longest round trip that is told from longer ones, in nanoseconds, and how many digits are kept.
pub(crate) const HISTOGRAM: (u64, u8) = (10_000_000_000, 3);

/// Sends messages of `size` bytes there and back.
pub(crate) fn measure(server: &mut Server, setting: &Setting, size: usize) -> Result<Sample> {
    // They leave when both threads have ended, so that neither sees the other go.
    let mut lines = Line::pair(server, 0)?;
    between(&mut lines, server.pid(), setting, size)
}

/// The same between two who are connected, and stay so.
pub(crate) fn between(lines: &mut [Line; 2], server_pid: u32, setting: &Setting, size: usize) -> Result<Sample> {
    let [asker, echo] = lines;
    let (question, answer) = (asker.batch(size, Some(1)), echo.batch(size, Some(1)));
    let state = State::default();
    let sample = thread::scope(|scope| -> Result<Sample> {
        let asking = scope.spawn(|| ask(asker, &question, setting, &state));
        let echoing = scope.spawn(|| answer_all(echo, &answer, setting, &state));
        let is_going = || !asking.is_finished() && !echoing.is_finished();
        let sample = setting.sample(server_pid, || state.trips.load(Ordering::Relaxed), is_going);
        state.stop.store(true, Ordering::Relaxed);
        // The echo first: when it fails, the asker fails for that reason.
        echoing.join().expect("the echo does not panic")?;
        let times = asking.join().expect("the asker does not panic")?;
        Ok(Sample { round_trip: Some(RoundTrip::of(&times)), ..sample? })
    })?;
    Ok(sample.of_messages(2 * size, 1))
}

/// What the two threads and the one that measures tell each other.
#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Whether the question that comes is the last.
    last: AtomicBool,
    trips: AtomicU64,
}

/// Asks until it is time to stop. What comes before the window is not timed.
fn ask(line: &mut Line, question: &Batch, setting: &Setting, state: &State) -> Result<Histogram<u64>> {
    cpu::pin(&setting.plugin_cpus)?;
    let mut times = Histogram::new_with_bounds(1, HISTOGRAM.0, HISTOGRAM.1)?;
    let start = Instant::now();
    loop {
        let last = state.stop.load(Ordering::Relaxed);
        state.last.store(last, Ordering::Release);
        let begun = Instant::now();
        line.write(question)?;
        read_one(line, question)?;
        let now = Instant::now();
        if now - start > setting.warm_up {
            times.saturating_record((now - begun).as_nanos() as u64);
        }
        state.trips.fetch_add(1, Ordering::Relaxed);
        if last {
            return Ok(times);
        }
    }
}

/// Answers each question.
fn answer_all(line: &mut Line, answer: &Batch, setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    loop {
        read_one(line, answer)?;
        let last = state.last.load(Ordering::Acquire);
        line.write(answer)?;
        if last {
            return Ok(());
        }
    }
}

/// Reads a message and nothing else: its writer waits for us.
fn read_one(line: &mut Line, like: &Batch) -> Result<()> {
    let unit = line.unit(like);
    let mut came = 0;
    while came < unit {
        came += line.read()?;
    }
    ensure!(came == unit, "{came} bytes have come, and {unit} were sent");
    Ok(())
}
