//! One way: one pair, or many at once, as fast as it goes or at a tempo.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::end::End;
use super::sample::{Sample, Setting};
use crate::plugin::waiting::Waiting;

/// What may be on its way through a server that holds nobody back, in bytes as they arrive, and in messages where these
/// are large.
const WINDOW_BYTES: u64 = 1 << 20;
const WINDOW_MESSAGES_MIN: u64 = 4;

/// How long nothing may come before what is on its way counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a reader that is faster than it is to be may catch up with.
const SLACK: Duration = Duration::from_millis(20);

/// How it is written and read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner<'a> {
    /// Whether writers are held to the pace of readers by us, because the server does not.
    pub(crate) is_paced: bool,
    /// Whether messages may be lost; otherwise that is an error.
    pub(crate) may_lose: bool,
    /// Whether many writers go on with those that have credit, rather than in turn.
    pub(crate) skips: bool,
    pub(crate) tempo: Option<&'a Tempo>,
}

/// How fast those are that are not as fast as they can be.
pub(crate) struct Tempo {
    /// Between two writes.
    pub(crate) pause: Duration,
    /// What the reader takes in a second, in messages.
    pub(crate) messages_per_s: AtomicU64,
}

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

/// A flow that goes on.
pub(crate) struct Going<'a> {
    state: &'a State,
    is_going: &'a dyn Fn() -> bool,
}

impl Going<'_> {
    /// Messages that have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.state.received.load(Ordering::Relaxed)
    }

    /// Whether it still does.
    pub(crate) fn is(&self) -> bool {
        (self.is_going)()
    }

    /// A window of it, of messages of this size.
    pub(crate) fn sample(&self, setting: &Setting, pid: u32, size: usize) -> Result<Sample> {
        Ok(setting.sample(pid, || self.received(), || self.is())?.of_messages(size))
    }
}

/// Sends messages of `size` bytes from the first to the second as fast as it goes, for as long as `watch` takes. They are to
/// be dropped after that: both threads have ended then, so that neither sees the other go.
pub(crate) fn pair<R>(
    [writer, reader]: &mut [End; 2],
    size: usize,
    watch: impl FnOnce(&Going) -> Result<R>,
) -> Result<R> {
    writer.prepare(reader, size, None)?;
    during(&mut [writer], &mut [reader], Manner::default(), watch).map(|(result, _)| result)
}

/// Sends the messages that are prepared for as long as `watch` takes. Returns also how many were lost.
pub(crate) fn during<R>(
    writers: &mut [&mut End],
    readers: &mut [&mut End],
    manner: Manner,
    watch: impl FnOnce(&Going) -> Result<R>,
) -> Result<(R, u64)> {
    let state = State::default();
    let window = (WINDOW_BYTES / readers[0].stride() as u64).max(WINDOW_MESSAGES_MIN);
    let window = manner.is_paced.then_some(window);
    let result = thread::scope(|scope| -> Result<R> {
        let writing = scope.spawn(|| write(writers, window, manner, &state));
        let reading = scope.spawn(|| read(readers, manner, &state));
        let is_going = || !writing.is_finished() && !reading.is_finished();
        let result = watch(&Going { state: &state, is_going: &is_going });
        state.stop.store(true, Ordering::Relaxed);
        // The reader first: when it fails, the writer fails for that reason.
        reading.join().expect("the reader does not panic")?;
        writing.join().expect("the writer does not panic")?;
        result
    })?;
    let lost = state.sent.into_inner() - state.received.into_inner();
    ensure!(lost == 0 || manner.may_lose, "{lost} messages have not come");
    Ok((result, lost))
}

/// Each writes in turn, or all who may.
fn write(writers: &mut [&mut End], window: Option<u64>, manner: Manner, state: &State) -> Result<()> {
    let waiting = Waiting::new(writers.iter().map(|writer| &**writer))?;
    let mut ready: VecDeque<usize> = (0..writers.len()).collect();
    let (mut sent, mut forgiven) = (0, 0);
    let mut next = Instant::now();
    loop {
        if let Some(window) = window {
            await_window(sent, window, &mut forgiven, state);
        }
        let is_last = state.stop.load(Ordering::Relaxed);
        let index = match ready.pop_front() {
            // It waits for credit, and the last for that of its own.
            Some(index) if !is_last && manner.skips && !writers[index].may_write() => continue,
            Some(index) => index,
            None if is_last => 0,
            None => {
                for index in waiting.wait()? {
                    writers[index].hear()?;
                    ready.extend(writers[index].may_write().then_some(index));
                }
                continue;
            }
        };
        sent += writers[index].next_count();
        state.sent.store(sent, Ordering::Relaxed);
        state.is_all_sent.store(is_last, Ordering::Release);
        writers[index].write()?;
        if is_last {
            return Ok(());
        }
        ready.push_back(index);
        if let Some(tempo) = manner.tempo {
            next = (next + tempo.pause).max(Instant::now());
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
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
fn read(readers: &mut [&mut End], manner: Manner, state: &State) -> Result<()> {
    let result = match readers {
        [reader] if !manner.skips => read_one(reader, manner, state),
        _ => read_many(readers, state),
    };
    // So that nobody waits for us.
    state.stop.store(true, Ordering::Relaxed);
    result
}

fn read_one(reader: &mut End, manner: Manner, state: &State) -> Result<()> {
    let mut received = 0;
    let mut next = Instant::now();
    while !is_over(received, state)? {
        let is_last = state.is_all_sent.load(Ordering::Acquire);
        if is_last && manner.may_lose && !reader.is_readable(PATIENCE)? {
            break;
        }
        let count = reader.read()?;
        received += count;
        state.missing.store(reader.missing(), Ordering::Relaxed);
        state.received.store(received, Ordering::Relaxed);
        if let Some(tempo) = manner.tempo {
            let now = Instant::now();
            let pause = count as f64 / tempo.messages_per_s.load(Ordering::Relaxed) as f64;
            next = next.max(now.checked_sub(SLACK).unwrap_or(next)) + Duration::from_secs_f64(pause);
            thread::sleep(next.saturating_duration_since(now));
        }
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
