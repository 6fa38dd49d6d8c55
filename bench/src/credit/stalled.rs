//! A thousand channels whose readers have given credit for everything and do not read: what they cost the relay, and
//! what they cost a pair that means well.

use anyhow::{Context, Result, ensure};
use bpmux::{DuplexKeys, Kind};
use testkit::proc::{Memory, memory_bytes};

use super::pair::{Look, Pair};
use crate::lab::case::{Against, Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::plugin::batch::Batch;
use crate::server::Server;
use crate::traffic::end::End;
use crate::traffic::sample::{CPU, P50, P99, P999, Setting};
use crate::traffic::trips;

/// Plugins that write, each to each that does not read.
const WRITERS: usize = 20;
const READERS: usize = 50;
/// The same, to see whether it works.
const FEW: usize = 3;

/// What a reader gives on each channel.
const EVERYTHING: u64 = 1 << 40;

/// The messages of those that are stalled, and of the healthy pair, in bytes.
const SIZE: usize = 1 << 10;

/// How many windows round trips are timed for: one in a thousand must be many.
const TRIP_WINDOWS: f64 = 12.0;

const ALONE: &str = "alone";
const BESIDE: &str = "beside stalled";
const RATE: &str = "MB/s";

pub(super) fn cases() -> Vec<Case> {
    let both = |run: fn(&Scene, bool) -> Result<Figures>| {
        vec![Variant::new(ALONE, move |scene| run(scene, false)), Variant::new(BESIDE, move |scene| run(scene, true))]
    };
    let goal = |figure, bound| vec![Goal::new(BESIDE, figure, bound).against(Against::Variant(ALONE))];
    let memory_goals = ["grown / ceiling", "resident / ceiling", "ended"].into_iter().zip([1.0, 1.0, 0.0]);
    vec![
        Case::new(
            "stalled-flow",
            "A fast pair, 1 KiB, beside 1,000 stalled channels",
            both(flow),
            goal(RATE, Bound::AtLeast(0.95)),
        ),
        Case::new(
            "stalled-trip",
            "Round trips of 64 B beside 1,000 stalled channels",
            both(trip),
            goal(P999, Bound::AtMost(1.2)),
        ),
        Case::new(
            "stalled-memory",
            "Memory of 1,000 stalled channels, each with credit for 2^40 bytes",
            vec![Variant::new(BESIDE, memory)],
            memory_goals.map(|(figure, most)| Goal::new(BESIDE, figure, Bound::AtMost(most))).collect(),
        ),
    ]
}

fn flow(scene: &Scene, beside: bool) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let stalled = beside.then(|| Stalled::fill(scene, &mut server)).transpose()?;
    let mut pair = Pair::at(server, None)?;
    let (sample, cap_kib) = pair.flow(&scene.setting, SIZE)?;
    drop(stalled);
    pair.stop()?;
    Ok([vec![(RATE, sample.bytes_per_s() / 1e6)], sample.some([CPU]), vec![("cap KiB", cap_kib)]].concat())
}

fn trip(scene: &Scene, beside: bool) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let stalled = beside.then(|| Stalled::fill(scene, &mut server)).transpose()?;
    let setting = Setting { window: scene.windows(TRIP_WINDOWS), ..scene.setting };
    let pid = server.pid();
    let sample = trips::closed(&mut End::pair(&mut server, 0)?, &setting, pid)?;
    drop(stalled);
    server.stop()?;
    Ok(sample.some([P50, P99, P999]))
}

fn memory(scene: &Scene) -> Result<Figures> {
    let mut server = scene.relay("")?;
    drop(server.connect()?);
    let look = Look::at(&server)?;
    let ceiling = look.ceiling_bytes()? as f64;
    let before = memory_bytes(server.pid(), Memory::Resident)?;
    let stalled = Stalled::fill(scene, &mut server)?;
    let after = memory_bytes(server.pid(), Memory::Resident)?;
    let held: u64 = look.stats()?.flows.iter().map(|flow| flow.held_bytes).sum();
    let grown = after as f64 - before as f64;
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
