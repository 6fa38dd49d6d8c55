//! One way, as fast as it goes: batches from one plugin to the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::{Result, ensure};

use super::batch::Batch;
use super::cpu;
use super::line::Line;
use super::sample::{Sample, Setting};
use super::server::Server;

/// Sends messages of `size` bytes. So many other connections are made between those of the two plugins.
pub(crate) fn measure(server: &mut Server, setting: &Setting, size: usize, between: usize) -> Result<Sample> {
    let mut lines = Line::pair(server, between)?;
    let pid = server.pid();
    let (sample, unit) =
        during(&mut lines, setting, size, |going| setting.sample(pid, || going.received(), || going.is()))?;
    Ok(sample.of_messages(size, unit))
}

/// Sends messages of `size` bytes for as long as `watch` takes. Returns also what each counts. The lines are to be dropped
/// after that: both threads have ended then, so that neither sees the other go.
pub(crate) fn during<R>(
    lines: &mut [Line; 2],
    setting: &Setting,
    size: usize,
    watch: impl FnOnce(&Going) -> Result<R>,
) -> Result<(R, u64)> {
    let [writer, reader] = lines;
    let batch = writer.batch(size, None);
    reader.expect(size);
    let unit = reader.unit(&batch);
    let state = State::default();
    let result = thread::scope(|scope| -> Result<R> {
        let writing = scope.spawn(|| write(writer, &batch, unit, setting, &state));
        let reading = scope.spawn(|| read(reader, setting, &state));
        let is_going = || !writing.is_finished() && !reading.is_finished();
        let result = watch(&Going { state: &state, is_going: &is_going });
        state.stop.store(true, Ordering::Relaxed);
        // The reader first: when it fails, the writer fails for that reason.
        reading.join().expect("the reader does not panic")?;
        writing.join().expect("the writer does not panic")?;
        result
    })?;
    Ok((result, unit))
}

/// A flow that goes on.
pub(crate) struct Going<'a> {
    state: &'a State,
    is_going: &'a dyn Fn() -> bool,
}

impl Going<'_> {
    /// What has arrived.
    pub(crate) fn received(&self) -> u64 {
        self.state.received.load(Ordering::Relaxed)
    }

    /// Whether it still does.
    pub(crate) fn is(&self) -> bool {
        (self.is_going)()
    }
}

/// What the two threads and the one that measures tell each other.
pub(crate) struct State {
    pub(crate) stop: AtomicBool,
    pub(crate) received: AtomicU64,
    /// All that there is to receive; unknown until the last batch is about to be written, so that whoever reads cannot
    /// wait in vain.
    pub(crate) all: AtomicU64,
}

impl State {
    /// Notes how much has come, and says whether that is all.
    pub(crate) fn has_all(&self, received: u64) -> Result<bool> {
        self.received.store(received, Ordering::Relaxed);
        let all = self.all.load(Ordering::Acquire);
        ensure!(received <= all, "{received} bytes have come, and {all} were sent");
        Ok(received == all)
    }
}

impl Default for State {
    fn default() -> Self {
        Self { stop: AtomicBool::new(false), received: AtomicU64::new(0), all: AtomicU64::new(u64::MAX) }
    }
}

fn write(line: &mut Line, batch: &Batch, unit: u64, setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    let mut sent = 0;
    loop {
        sent += batch.count() as u64 * unit;
        let last = state.stop.load(Ordering::Relaxed);
        if last {
            state.all.store(sent, Ordering::Release);
        }
        line.write(batch)?;
        if last {
            return Ok(());
        }
    }
}

/// Reads until all has come, and not a byte more.
fn read(line: &mut Line, setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    let mut received = 0;
    loop {
        received += line.read()?;
        if state.has_all(received)? {
            return Ok(());
        }
    }
}
