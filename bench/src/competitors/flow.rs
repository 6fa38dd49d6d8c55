//! One way, as fast as it goes: one pair, or many at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::end::End;
use super::figures::Figures;
use crate::baseline::cpu;
use crate::baseline::sample::Setting;
use crate::baseline::waiting::Waiting;

/// What may be on its way through a server that holds nobody back, in bytes as they arrive, and in messages where these
/// are large.
const WINDOW_BYTES: u64 = 1 << 20;
const WINDOW_MESSAGES_MIN: u64 = 4;

/// How long nothing may come before what is on its way counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a flow while it goes on.
#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Messages that were written, or are about to be.
    sent: AtomicU64,
    /// No more will be. It is said before the last are written, so that whoever reads cannot wait in vain.
    is_all_sent: AtomicBool,
    /// Messages that have come, and those that were passed over.
    received: AtomicU64,
    missing: AtomicU64,
}

/// Sends messages of `size` bytes from the first of each pair to the other. Writers are held to the pace of readers if they
/// are to be paced. The pairs are to be dropped after that, so that none sees another go.
pub(super) fn measure(
    pairs: &mut [[End; 2]],
    setting: &Setting,
    pid: u32,
    size: usize,
    is_paced: bool,
) -> Result<Figures> {
    let state = State::default();
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for [one, other] in pairs {
        writers.push(one);
        readers.push(other);
    }
    let window = is_paced.then(|| (WINDOW_BYTES / readers[0].stride() as u64).max(WINDOW_MESSAGES_MIN));
    let sample = thread::scope(|scope| -> Result<_> {
        let writing = scope.spawn(|| write(&mut writers, window, setting, &state));
        let reading = scope.spawn(|| read(&mut readers, setting, &state));
        let is_going = || !writing.is_finished() && !reading.is_finished();
        let sample = setting.sample(pid, || state.received.load(Ordering::Relaxed), is_going);
        state.stop.store(true, Ordering::Relaxed);
        // The reader first: when it fails, the writer fails for that reason.
        reading.join().expect("the reader does not panic")?;
        writing.join().expect("the writer does not panic")?;
        sample
    })?;
    let lost = state.sent.into_inner() - state.received.into_inner();
    Ok(Figures { lost, ..Figures::of(sample.of_messages(size, 1)) })
}

/// Each writes in turn.
fn write(writers: &mut [&mut End], window: Option<u64>, setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    write_all(writers, window, state)
}

fn write_all(writers: &mut [&mut End], window: Option<u64>, state: &State) -> Result<()> {
    let mut sent = 0;
    let mut forgiven = 0;
    for index in (0..writers.len()).cycle() {
        if let Some(window) = window {
            await_window(sent, window, &mut forgiven, state);
        }
        let is_last = state.stop.load(Ordering::Relaxed);
        sent += writers[index].next_count();
        state.sent.store(sent, Ordering::Relaxed);
        state.is_all_sent.store(is_last, Ordering::Release);
        writers[index].write()?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Waits until less is on its way than may be. What does not come is forgiven after a while.
fn await_window(sent: u64, window: u64, forgiven: &mut u64, state: &State) {
    let mut since = (Instant::now(), 0);
    loop {
        let arrived = state.received.load(Ordering::Relaxed) + state.missing.load(Ordering::Relaxed);
        if sent.saturating_sub(arrived + *forgiven) < window || state.stop.load(Ordering::Relaxed) {
            return;
        }
        if arrived != since.1 {
            since = (Instant::now(), arrived);
        } else if since.0.elapsed() > PATIENCE {
            *forgiven = sent - arrived;
        }
        rustix::thread::sched_yield();
    }
}

/// Reads until all has come that will.
fn read(readers: &mut [&mut End], setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    let result = match readers {
        [reader] => read_one(reader, state),
        _ => read_many(readers, state),
    };
    // So that nobody waits for us.
    state.stop.store(true, Ordering::Relaxed);
    result
}

fn read_one(reader: &mut End, state: &State) -> Result<()> {
    let mut received = 0;
    while !is_over(received, state)? {
        let is_last = state.is_all_sent.load(Ordering::Acquire);
        if is_last && !reader.is_readable(PATIENCE)? {
            break;
        }
        received += reader.read()?;
        state.missing.store(reader.missing(), Ordering::Relaxed);
        state.received.store(received, Ordering::Relaxed);
    }
    Ok(())
}

fn read_many(readers: &mut [&mut End], state: &State) -> Result<()> {
    let waiting = Waiting::new(readers.iter().map(|reader| &**reader))?;
    let mut received = 0;
    while !is_over(received, state)? {
        for index in waiting.wait()? {
            received += readers[index].read()?;
        }
        state.received.store(received, Ordering::Relaxed);
    }
    Ok(())
}

fn is_over(received: u64, state: &State) -> Result<bool> {
    let is_all_sent = state.is_all_sent.load(Ordering::Acquire);
    let sent = state.sent.load(Ordering::Relaxed);
    ensure!(received <= sent, "{received} messages have come, and {sent} were sent");
    Ok(is_all_sent && received == sent)
}
