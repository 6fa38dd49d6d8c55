//! One reader for a flood and ten light conversations: the flood must not keep the others waiting, nor they the flood.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use bpmux::{DuplexKeys, HalfKey, Kind};
use hdrhistogram::Histogram;

use crate::lab::case::{Against, Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::plugin::batch::Batch;
use crate::server::Server;
use crate::traffic::end::End;
use crate::traffic::sample::no_times;

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
    let variants = vec![
        Variant::new(FLOOD_ALONE, |scene| measure(scene, true, false)),
        Variant::new(LIGHT_ALONE, |scene| measure(scene, false, true)),
        Variant::new(BOTH, |scene| measure(scene, true, true)),
    ];
    let goals = vec![
        Goal::new(BOTH, P99, Bound::AtMost(3.0)).against(Against::Variant(LIGHT_ALONE)),
        Goal::new(BOTH, RATE, Bound::AtLeast(0.85)).against(Against::Variant(FLOOD_ALONE)),
    ];
    let title = "A flood of 1 KiB and ten light conversations of 64 B with the same reader";
    vec![Case::new("one-reader", title, variants, goals)]
}

/// What the threads tell each other.
#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Whether nobody wants anything of the reader any more.
    done: AtomicBool,
    received: AtomicU64,
}

/// A plugin with a channel to the reader, and the reader's end of it.
fn caller(
    server: &mut Server,
    name: &str,
    reader: &mut Plugin,
    size: usize,
    count: Option<usize>,
) -> Result<(End, DuplexKeys)> {
    let (mut end, offered) = End::to(Plugin::register(server.connect()?, name)?, reader, READER)?;
    end.fill(size, count);
    end.count(size);
    Ok((end, offered))
}

fn measure(scene: &Scene, with_flood: bool, with_light: bool) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let mut reader = Plugin::register(server.connect()?, READER)?;
    reader.expect(&Batch::new(Kind::InSink, 1, FLOOD_SIZE, Some(1)));
    let (mut flood, _) = caller(&mut server, "flood", &mut reader, FLOOD_SIZE, None)?;
    let (mut last, _) = caller(&mut server, "last", &mut reader, LIGHT_SIZE, Some(1))?;
    let (mut light, mut answers) = (Vec::new(), HashMap::new());
    for index in 0..LIGHT {
        let (caller, offered) = caller(&mut server, &format!("light-{index}"), &mut reader, LIGHT_SIZE, Some(1))?;
        let answer = Batch::new(Kind::InSink, reader.id(offered.writer), LIGHT_SIZE, Some(1));
        answers.insert(offered.reader, (offered.writer, answer));
        light.push(caller);
    }
    let state = State::default();
    let (rate, times) = thread::scope(|scope| -> Result<_> {
        let flooding = with_flood.then(|| scope.spawn(|| write(&mut flood, &state)));
        let asking = with_light.then(|| scope.spawn(|| ask(&mut light, scene.setting.warm_up, &state)));
        let reading = scope.spawn(|| read(&mut reader, &answers, &state));
        thread::sleep(scene.setting.warm_up);
        let (begun, before) = (Instant::now(), state.received.load(Ordering::Relaxed));
        thread::sleep(scene.windows(WINDOWS));
        let received = state.received.load(Ordering::Relaxed) - before;
        let rate = received as f64 / begun.elapsed().as_secs_f64() / 1e6;
        state.stop.store(true, Ordering::Relaxed);
        let times = asking.map(|asking| asking.join().expect("those who ask do not panic")).transpose()?;
        flooding.map(|flooding| flooding.join().expect("the flood does not panic")).transpose()?;
        state.done.store(true, Ordering::Relaxed);
        last.write()?;
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
fn write(flood: &mut End, state: &State) -> Result<()> {
    while !state.stop.load(Ordering::Relaxed) {
        flood.write()?;
    }
    Ok(())
}

/// One asks and waits for the answer, then the next. What comes before the window is not timed.
fn ask(light: &mut [End], warm_up: Duration, state: &State) -> Result<Histogram<u64>> {
    let mut times = no_times();
    let start = Instant::now();
    for index in (0..light.len()).cycle() {
        let begun = Instant::now();
        light[index].write()?;
        while light[index].read()? == 0 {}
        if start.elapsed() > warm_up {
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
fn read(reader: &mut Plugin, answers: &HashMap<HalfKey, (HalfKey, Batch)>, state: &State) -> Result<()> {
    while !state.done.load(Ordering::Relaxed) {
        let (bytes, messages) = reader.read_messages()?;
        for (writer, answer) in messages.iter().filter_map(|key| answers.get(key)) {
            reader.write_batch(*writer, answer)?;
        }
        state.received.fetch_add(bytes, Ordering::Relaxed);
    }
    Ok(())
}
