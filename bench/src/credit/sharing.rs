//! One reader for a flood and ten light conversations: the flood must not keep the others waiting, nor they the flood.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use bpmux::{DuplexKeys, HalfKey, Kind};
use hdrhistogram::Histogram;

use super::case::{Against, Case, Figures, Goal, Variant};
use super::scene::Scene;
use crate::baseline::batch::Batch;
use crate::baseline::cpu;
use crate::baseline::goals::Bound;
use crate::baseline::plugin::Plugin;
use crate::baseline::round_trip::HISTOGRAM;
use crate::baseline::server::Server;

/// Light conversations.
const LIGHT: usize = 10;
/// The messages of these, and of the flood, in bytes.
const LIGHT_SIZE: usize = 64;
const FLOOD_SIZE: usize = 1 << 10;
/// How often one of them asks.
const PAUSE: Duration = Duration::from_micros(500);
/// How many windows are measured.
const WINDOWS: f64 = 4.0;

/// The name of the one who reads.
const READER: &str = "reader";

const FLOOD_ALONE: &str = "flood alone";
const LIGHT_ALONE: &str = "light alone";
const BOTH: &str = "both";
const RATE: &str = "flood MB/s";
const P99: &str = "light p99 us";

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "one-reader",
        title: "A flood of 1 KiB and ten light conversations of 64 B with the same reader",
        variants: vec![
            Variant::new(FLOOD_ALONE, |scene| measure(scene, true, false)),
            Variant::new(LIGHT_ALONE, |scene| measure(scene, false, true)),
            Variant::new(BOTH, |scene| measure(scene, true, true)),
        ],
        goals: vec![
            Goal::new(BOTH, P99, Bound::AtMost(3.0)).against(Against::Variant(LIGHT_ALONE)),
            Goal::new(BOTH, RATE, Bound::AtLeast(0.85)).against(Against::Variant(FLOOD_ALONE)),
        ],
    }]
}

/// What the threads tell each other.
#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Whether nobody wants anything of the reader any more.
    done: AtomicBool,
    received: AtomicU64,
}

/// A plugin with a channel to the reader.
struct Caller {
    plugin: Plugin,
    keys: DuplexKeys,
    batch: Batch,
}

impl Caller {
    /// Returns also the reader's end of it.
    fn connect(
        server: &mut Server,
        name: &str,
        reader: &mut Plugin,
        size: usize,
        count: Option<usize>,
    ) -> Result<(Self, DuplexKeys)> {
        let mut plugin = Plugin::register(server.connect()?, name)?;
        let [keys, offered] = plugin.connect(reader, READER)?;
        let batch = Batch::new(Kind::OutSink, plugin.id(keys.writer), size, count);
        Ok((Self { plugin, keys, batch }, offered))
    }
}

fn measure(scene: &Scene, with_flood: bool, with_light: bool) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let mut reader = Plugin::register(server.connect()?, READER)?;
    reader.expect(&Batch::new(Kind::InSink, 1, FLOOD_SIZE, Some(1)));
    let (mut flood, _) = Caller::connect(&mut server, "flood", &mut reader, FLOOD_SIZE, None)?;
    let (mut last, _) = Caller::connect(&mut server, "last", &mut reader, LIGHT_SIZE, Some(1))?;
    let (mut light, mut answers) = (Vec::new(), HashMap::new());
    for index in 0..LIGHT {
        let (caller, offered) =
            Caller::connect(&mut server, &format!("light-{index}"), &mut reader, LIGHT_SIZE, Some(1))?;
        let answer = Batch::new(Kind::InSink, reader.id(offered.writer), LIGHT_SIZE, Some(1));
        answers.insert(offered.reader, (offered.writer, answer));
        light.push(caller);
    }
    let state = State::default();
    let (rate, times) = thread::scope(|scope| -> Result<_> {
        let flooding = with_flood.then(|| scope.spawn(|| write(scene, &mut flood, &state)));
        let asking = with_light.then(|| scope.spawn(|| ask(scene, &mut light, &state)));
        let reading = scope.spawn(|| read(scene, &mut reader, &answers, &state));
        thread::sleep(scene.setting.warm_up);
        let (begun, before) = (Instant::now(), state.received.load(Ordering::Relaxed));
        thread::sleep(scene.windows(WINDOWS));
        let received = state.received.load(Ordering::Relaxed) - before;
        let rate = received as f64 / begun.elapsed().as_secs_f64() / 1e6;
        state.stop.store(true, Ordering::Relaxed);
        let times = asking.map(|asking| asking.join().expect("those who ask do not panic")).transpose()?;
        flooding.map(|flooding| flooding.join().expect("the flood does not panic")).transpose()?;
        state.done.store(true, Ordering::Relaxed);
        last.plugin.write_batch(last.keys.writer, &last.batch)?;
        reading.join().expect("the reader does not panic")?;
        Ok((rate, times))
    })?;
    drop((flood, light, last, reader));
    server.stop()?;
    let mut figures = Vec::new();
    if with_flood {
        figures.push((RATE, rate));
    }
    if let Some(times) = times {
        let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        figures.extend([("light p50 us", micros(0.5)), (P99, micros(0.99))]);
    }
    Ok(figures)
}

/// Writes as fast as it goes.
fn write(scene: &Scene, flood: &mut Caller, state: &State) -> Result<()> {
    cpu::pin(&scene.setting.plugin_cpus)?;
    while !state.stop.load(Ordering::Relaxed) {
        flood.plugin.write_batch(flood.keys.writer, &flood.batch)?;
    }
    Ok(())
}

/// One asks and waits for the answer, then the next. What comes before the window is not timed.
fn ask(scene: &Scene, light: &mut [Caller], state: &State) -> Result<Histogram<u64>> {
    cpu::pin(&scene.setting.plugin_cpus)?;
    let mut times = Histogram::new_with_bounds(1, HISTOGRAM.0, HISTOGRAM.1)?;
    let start = Instant::now();
    for index in (0..light.len()).cycle() {
        let Caller { plugin, keys, batch } = &mut light[index];
        let begun = Instant::now();
        plugin.write_batch(keys.writer, batch)?;
        while plugin.read()? == 0 {}
        if start.elapsed() > scene.setting.warm_up {
            times.saturating_record(begun.elapsed().as_nanos() as u64);
        }
        if state.stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(times)
}

/// Takes the flood and answers the others, until there are none.
fn read(scene: &Scene, reader: &mut Plugin, answers: &HashMap<HalfKey, (HalfKey, Batch)>, state: &State) -> Result<()> {
    cpu::pin(&scene.setting.plugin_cpus)?;
    while !state.done.load(Ordering::Relaxed) {
        let (bytes, messages) = reader.read_messages()?;
        for (writer, answer) in messages.iter().filter_map(|key| answers.get(key)) {
            reader.write_batch(*writer, answer)?;
        }
        state.received.fetch_add(bytes, Ordering::Relaxed);
    }
    Ok(())
}
