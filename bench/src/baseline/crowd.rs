//! Many plugins at once, each with batches for another one: one thread writes for all of them and one reads.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context, Result};
use bpmux::{DuplexKeys, Kind};

use super::batch::Batch;
use super::cpu;
use super::flow::State;
use super::plugin::Plugin;
use super::sample::{Sample, Setting};
use super::server::Server;
use super::waiting::Waiting;

/// What a crowd does: batches of `count` messages of `size` bytes from each writer, to the readers in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    pub(super) writers: usize,
    pub(super) readers: usize,
    pub(super) size: usize,
    pub(super) count: usize,
}

pub(super) fn measure(server: &mut Server, setting: &Setting, crowd: Crowd) -> Result<Sample> {
    let (mut writers, mut readers) = connect(server, crowd)?;
    let state = State::default();
    let sample = thread::scope(|scope| -> Result<Sample> {
        let writing = scope.spawn(|| write(&mut writers, setting, &state));
        let reading = scope.spawn(|| read(&mut readers, setting, &state));
        let is_going = || !writing.is_finished() && !reading.is_finished();
        let sample = setting.sample(server.pid(), || state.received.load(Ordering::Relaxed), is_going);
        state.stop.store(true, Ordering::Relaxed);
        // The reader first: when it fails, the writer fails for that reason.
        reading.join().expect("the reader does not panic")?;
        writing.join().expect("the writer does not panic")?;
        sample
    })?;
    Ok(sample.of_messages(crowd.size, crowd.size as u64))
}

/// A plugin that writes, and what.
struct Writer {
    plugin: Plugin,
    keys: DuplexKeys,
    batch: Batch,
}

impl Writer {
    fn write(&mut self) -> Result<u64> {
        self.plugin.write_batch(self.keys.writer, &self.batch)?;
        Ok((self.batch.count() * self.batch.size()) as u64)
    }
}

fn connect(server: &mut Server, crowd: Crowd) -> Result<(Vec<Writer>, Vec<Plugin>)> {
    let name = |side: &str, index: usize| format!("bench-{side}-{index}");
    let mut readers = Vec::new();
    for index in 0..crowd.readers {
        let mut reader = Plugin::register(server.connect()?, &name("reader", index))?;
        reader.expect(&Batch::new(Kind::OutSink, 1, crowd.size, Some(1)));
        readers.push(reader);
    }
    let mut writers = Vec::new();
    for index in 0..crowd.writers {
        let mut plugin = Plugin::register(server.connect()?, &name("writer", index))?;
        let peer = index % crowd.readers;
        let [keys, _] = plugin
            .connect(&mut readers[peer], &name("reader", peer))
            .with_context(|| format!("after {index} channels"))?;
        let batch = Batch::new(Kind::OutSink, plugin.id(keys.writer), crowd.size, Some(crowd.count));
        writers.push(Writer { plugin, keys, batch });
    }
    Ok((writers, readers))
}

/// Everybody who has the credit writes a batch in turn; the others wait for credit.
fn write(writers: &mut [Writer], setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    let waiting = Waiting::new(writers.iter().map(|writer| &writer.plugin))?;
    let mut ready: VecDeque<usize> = (0..writers.len()).collect();
    let mut sent = 0;
    while !state.stop.load(Ordering::Relaxed) {
        while let Some(index) = ready.pop_front() {
            let Writer { plugin, keys, batch } = &writers[index];
            if plugin.may_write(keys.writer, batch) {
                sent += writers[index].write()?;
                ready.push_back(index);
            }
            if state.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        if ready.is_empty() {
            for index in waiting.wait()? {
                let Writer { plugin, keys, batch } = &mut writers[index];
                plugin.read()?;
                if plugin.may_write(keys.writer, batch) {
                    ready.push_back(index);
                }
            }
        }
    }
    let last = &mut writers[0];
    state.all.store(sent + (last.batch.count() * last.batch.size()) as u64, Ordering::Release);
    last.write()?;
    Ok(())
}

/// Reads until all has come.
fn read(readers: &mut [Plugin], setting: &Setting, state: &State) -> Result<()> {
    cpu::pin(&setting.plugin_cpus)?;
    let waiting = Waiting::new(readers.iter())?;
    let mut received = 0;
    loop {
        for index in waiting.wait()? {
            received += readers[index].read()?;
        }
        if state.has_all(received)? {
            return Ok(());
        }
    }
}
