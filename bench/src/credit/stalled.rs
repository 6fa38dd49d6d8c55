//! A thousand channels whose readers have given credit for everything and do not read: what they cost the relay, and
//! what they cost a pair that means well.

use anyhow::{Context, Result, ensure};
use bpmux::{DuplexKeys, Kind};

use super::case::{Against, Case, Figures, Goal, Variant};
use super::look::Look;
use super::scene::Scene;
use crate::baseline::batch::Batch;
use crate::baseline::cpu;
use crate::baseline::goals::Bound;
use crate::baseline::line::Line;
use crate::baseline::plugin::Plugin;
use crate::baseline::server::Server;
use crate::baseline::{flow, round_trip};

/// Plugins that write, each to each that does not read.
const WRITERS: usize = 20;
const READERS: usize = 50;
/// The same, to see whether it works.
const FEW: usize = 3;

/// What a reader gives on each channel.
const EVERYTHING: u64 = 1 << 40;

/// The messages of those that are stalled, and of the healthy pair, in bytes.
const SIZE: usize = 1 << 10;
/// Those of round trips.
const TRIP_SIZE: usize = 64;

/// How many windows round trips are timed for: one in a thousand must be many.
const TRIP_WINDOWS: f64 = 12.0;

const ALONE: &str = "alone";
const BESIDE: &str = "beside stalled";
const RATE: &str = "MB/s";
const P999: &str = "p99.9 us";

pub(super) fn cases() -> Vec<Case> {
    let both = |run: fn(&Scene, bool) -> Result<Figures>| {
        vec![Variant::new(ALONE, move |scene| run(scene, false)), Variant::new(BESIDE, move |scene| run(scene, true))]
    };
    let goal = |figure, bound| vec![Goal::new(BESIDE, figure, bound).against(Against::Variant(ALONE))];
    vec![
        Case {
            name: "stalled-flow",
            title: "A fast pair, 1 KiB, beside 1,000 stalled channels",
            variants: both(flow),
            goals: goal(RATE, Bound::AtLeast(0.95)),
        },
        Case {
            name: "stalled-trip",
            title: "Round trips of 64 B beside 1,000 stalled channels",
            variants: both(trip),
            goals: goal(P999, Bound::AtMost(1.2)),
        },
        Case {
            name: "stalled-memory",
            title: "Memory of 1,000 stalled channels, each with credit for 2^40 bytes",
            variants: vec![Variant::new(BESIDE, memory)],
            goals: vec![
                Goal::new(BESIDE, "grown / ceiling", Bound::AtMost(1.0)),
                Goal::new(BESIDE, "resident / ceiling", Bound::AtMost(1.0)),
                Goal::new(BESIDE, "ended", Bound::AtMost(0.0)),
            ],
        },
    ]
}

fn flow(scene: &Scene, beside: bool) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let stalled = beside.then(|| Stalled::fill(scene, &mut server)).transpose()?;
    let mut lines = Line::pair(&mut server, 0)?;
    let look = Look::at(&server)?;
    let pid = server.pid();
    let ((sample, cap), unit) = flow::during(&mut lines, &scene.setting, SIZE, |going| {
        let sample = scene.setting.sample(pid, || going.received(), || going.is())?;
        Ok((sample, look.view()?.flow.cap_bytes))
    })?;
    drop((lines, look, stalled));
    server.stop()?;
    let sample = sample.of_messages(SIZE, unit);
    Ok(vec![
        (RATE, sample.payload_bytes / sample.seconds / 1e6),
        ("CPU ns/message", sample.cpu_ns_per_message()),
        ("cap KiB", cap as f64 / 1024.0),
    ])
}

fn trip(scene: &Scene, beside: bool) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let stalled = beside.then(|| Stalled::fill(scene, &mut server)).transpose()?;
    let setting = crate::baseline::sample::Setting { window: scene.windows(TRIP_WINDOWS), ..scene.setting.clone() };
    let sample = round_trip::measure(&mut server, &setting, TRIP_SIZE)?;
    drop(stalled);
    server.stop()?;
    Ok(vec![("p50 us", sample.p50_ns() / 1e3), ("p99 us", sample.p99_ns() / 1e3), (P999, sample.p999_ns() / 1e3)])
}

fn memory(scene: &Scene) -> Result<Figures> {
    let mut server = scene.relay("")?;
    drop(server.connect()?);
    let look = Look::at(&server)?;
    let ceiling = look.ceiling_bytes()? as f64;
    let before = cpu::resident_bytes(server.pid())?;
    let stalled = Stalled::fill(scene, &mut server)?;
    let after = cpu::resident_bytes(server.pid())?;
    let held: u64 = look.stats()?.flows.iter().map(|flow| flow.held_bytes).sum();
    let grown = (after - before) as f64;
    let sent: u64 = stalled.sent_bytes.iter().sum();
    let ended = stalled.finish();
    drop(look);
    server.stop()?;
    Ok(vec![
        ("sent MB", sent as f64 / 1e6),
        ("held MB", held as f64 / 1e6),
        ("grown MB", grown / 1e6),
        ("ceiling MB", ceiling / 1e6),
        ("grown / ceiling", grown / ceiling),
        ("resident / ceiling", after as f64 / ceiling),
        ("ended", ended as f64),
    ])
}

/// All that is stalled.
pub(crate) struct Stalled {
    writers: Vec<Writer>,
    readers: Vec<Plugin>,
    /// What was sent to each reader.
    sent_bytes: Vec<u64>,
}

/// A plugin that has written all it could, with its channels.
struct Writer {
    plugin: Plugin,
    channels: Vec<(DuplexKeys, Batch)>,
}

impl Stalled {
    /// Connects each with each, and writes until nobody has credit for a message.
    pub(crate) fn fill(scene: &Scene, server: &mut Server) -> Result<Self> {
        let (writers, readers) = if scene.quick { (FEW, FEW) } else { (WRITERS, READERS) };
        let name = |index: usize| format!("stalled-{index}");
        let mut stalled = Self { writers: Vec::new(), readers: Vec::new(), sent_bytes: vec![0; readers] };
        for index in 0..readers {
            let mut reader = Plugin::register(server.connect()?, &name(index))?;
            reader.set_window(EVERYTHING);
            stalled.readers.push(reader);
        }
        for index in 0..writers {
            let mut plugin = Plugin::register(server.connect()?, &format!("writer-{index}"))?;
            let mut channels = Vec::new();
            for (number, reader) in stalled.readers.iter_mut().enumerate() {
                let [keys, _] = plugin.connect(reader, &name(number))?;
                channels.push((keys, Batch::new(Kind::OutSink, plugin.id(keys.writer), SIZE, Some(1))));
            }
            stalled.writers.push(Writer { plugin, channels });
        }
        // What is on its way to a reader's socket makes room for more.
        let mut quiet = 0;
        while quiet < 3 {
            quiet += 1;
            for writer in &mut stalled.writers {
                if writer.write(&mut stalled.sent_bytes)? {
                    quiet = 0;
                }
            }
        }
        Ok(stalled)
    }

    /// Those who do not read.
    pub(crate) fn readers(&self) -> &[Plugin] {
        &self.readers
    }

    /// Reads at last, and counts those who are not there any more or do not get what was sent to them.
    fn finish(self) -> usize {
        let Self { writers, readers, sent_bytes } = self;
        let mut writers: Vec<Plugin> = writers.into_iter().map(|writer| writer.plugin).collect();
        let silent = writers.iter_mut().filter_map(|writer| writer.settle().err()).count();
        let deaf =
            readers.into_iter().zip(sent_bytes).filter_map(|(reader, sent)| read_all(reader, sent).err()).count();
        silent + deaf
    }
}

fn read_all(mut reader: Plugin, sent_bytes: u64) -> Result<()> {
    let mut received = 0;
    while received < sent_bytes {
        received += reader.read()?;
    }
    ensure!(received == sent_bytes, "{received} bytes have come, and {sent_bytes} were sent");
    Ok(())
}

impl Writer {
    /// Writes what there is credit for, and hears what comes of it. Returns whether it was anything.
    fn write(&mut self, sent_bytes: &mut [u64]) -> Result<bool> {
        let Self { plugin, channels } = self;
        let mut any = false;
        for ((keys, batch), sent) in channels.iter().zip(sent_bytes) {
            while plugin.may_write(keys.writer, batch) {
                plugin.write_batch(keys.writer, batch).context("a stalled channel")?;
                *sent += batch.size() as u64;
                any = true;
            }
        }
        plugin.settle()?;
        Ok(any)
    }
}
