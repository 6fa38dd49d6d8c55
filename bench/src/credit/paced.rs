//! Caps of those that are not simply as fast as they can be: a writer at a steady pace that comes in bursts, and a reader
//! that is just as fast as the first window lets it be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::case::{Case, Figures, Goal, Variant};
use super::link_emulator::LinkEmulator;
use super::look::Look;
use super::scene::Scene;
use crate::baseline::batch::Batch;
use crate::baseline::cpu;
use crate::baseline::flow::State;
use crate::baseline::goals::Bound;
use crate::baseline::line::Line;
use crate::baseline::server::Server;

const SIZE: usize = 1 << 10;

/// What a cap is at first, in bytes.
const START: u64 = 64 << 10;

/// 300 KiB at a time, at 10 MB/s.
const BURST: usize = 300;
const BURST_PAUSE: Duration = Duration::from_micros(30_720);

/// The way on which the first window is worth 32 MB/s.
const WAY: LinkEmulator = LinkEmulator { delay: Duration::from_millis(1), bytes_per_s: 1e10 };
const SLOW_BYTES_PER_S: u64 = START * 500;
/// How much faster the reader is then.
const FASTER: u64 = 8;

/// How often the cap is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many windows each phase takes.
const WINDOWS: f64 = 3.0;

const GROWTH: &str = "cap / start";
const TURNS: &str = "turns of the cap";
const SHARE: &str = "of the reader";

const NEAR: &str = "bursts nearby";
const FAR: &str = "bursts from 1 ms away";
const TRAP: &str = "reader as fast as the window";

pub(super) fn cases() -> Vec<Case> {
    let grows =
        |variant| [Goal::new(variant, GROWTH, Bound::AtLeast(2.0)), Goal::new(variant, TURNS, Bound::AtMost(1.0))];
    vec![
        Case {
            name: "bursts",
            title: "A writer of bursts of 300 KiB at 10 MB/s, and a fast reader",
            variants: vec![
                Variant::new(NEAR, |scene| bursts(scene, None)),
                Variant::new(FAR, |scene| bursts(scene, Some(WAY))),
            ],
            goals: [NEAR, FAR].into_iter().flat_map(grows).collect(),
        },
        Case {
            name: "trap",
            title: "A reader that is just as fast as the first window lets it be, and then 8 times as fast",
            variants: vec![Variant::new(TRAP, trap)],
            goals: [grows(TRAP).to_vec(), vec![Goal::new(TRAP, SHARE, Bound::AtLeast(0.9))]].concat(),
        },
    ]
}

/// How fast a writer and a reader are.
struct Pace {
    /// Between two batches.
    pause: Duration,
    /// What the reader takes in a second, in bytes.
    reader: AtomicU64,
}

fn bursts(scene: &Scene, way: Option<LinkEmulator>) -> Result<Figures> {
    let pace = Pace { pause: BURST_PAUSE, reader: AtomicU64::new(u64::MAX) };
    with_pair(scene, way, BURST, &pace, |look, _| {
        watch(look, scene.windows(WINDOWS))?;
        let caps = watch(look, scene.windows(WINDOWS))?;
        Ok(vec![(GROWTH, growth(&caps)), (TURNS, turns(&caps) as f64)])
    })
}

fn trap(scene: &Scene) -> Result<Figures> {
    let pace = Pace { pause: Duration::ZERO, reader: AtomicU64::new(SLOW_BYTES_PER_S) };
    with_pair(scene, Some(WAY), BURST, &pace, |look, state| {
        let slow = watch(look, scene.windows(WINDOWS))?;
        let faster = FASTER * SLOW_BYTES_PER_S;
        pace.reader.store(faster, Ordering::Relaxed);
        watch(look, scene.windows(WINDOWS))?;
        let (begun, before) = (Instant::now(), state.received.load(Ordering::Relaxed));
        let caps = watch(look, scene.windows(WINDOWS))?;
        let received = state.received.load(Ordering::Relaxed) - before;
        let share = received as f64 / begun.elapsed().as_secs_f64() / faster as f64;
        Ok(vec![
            ("cap / start, slow", growth(&slow)),
            (GROWTH, growth(&caps)),
            (TURNS, turns(&caps) as f64),
            (SHARE, share),
        ])
    })
}

/// What the cap is at last.
fn growth(caps: &[u64]) -> f64 {
    caps.last().map_or(f64::NAN, |cap| *cap as f64 / START as f64)
}

/// How often it has changed its direction.
fn turns(caps: &[u64]) -> usize {
    let steps: Vec<bool> = caps.windows(2).filter(|pair| pair[0] != pair[1]).map(|pair| pair[1] > pair[0]).collect();
    steps.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// What the cap is in the course of time.
fn watch(look: &Look, time: Duration) -> Result<Vec<u64>> {
    let begun = Instant::now();
    let mut caps = Vec::new();
    while begun.elapsed() < time {
        caps.push(look.view()?.flow.cap_bytes);
        thread::sleep(LOOK_EVERY.min(time));
    }
    Ok(caps)
}

/// Does something while a pair is talking at its pace, with batches of so many messages.
fn with_pair(
    scene: &Scene,
    way: Option<LinkEmulator>,
    count: usize,
    pace: &Pace,
    act: impl FnOnce(&Look, &State) -> Result<Figures>,
) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let (lines, carriers) = connect(&mut server, way)?;
    let [mut writer, mut reader] = lines;
    let batch = writer.batch(SIZE, Some(count));
    reader.expect(SIZE);
    let look = Look::at(&server)?;
    let state = State::default();
    let figures = thread::scope(|scope| {
        let writing = scope.spawn(|| write(scene, &mut writer, &batch, pace, &state));
        let reading = scope.spawn(|| read(scene, &mut reader, pace, &state));
        let figures = act(&look, &state);
        state.stop.store(true, Ordering::Relaxed);
        reading.join().expect("the reader does not panic")?;
        writing.join().expect("the writer does not panic")?;
        figures
    })?;
    drop((writer, reader, look));
    if let Some(carriers) = carriers {
        carriers.join();
    }
    server.stop()?;
    Ok(figures)
}

fn connect(
    server: &mut Server,
    way: Option<LinkEmulator>,
) -> Result<([Line; 2], Option<super::link_emulator::Carriers>)> {
    let (one, other) = (server.connect()?, server.connect()?);
    Ok(match way {
        Some(way) => {
            let (near, carriers) = way.before(one)?;
            (Line::channel(near, other)?, Some(carriers))
        }
        None => (Line::channel(one, other)?, None),
    })
}

fn write(scene: &Scene, line: &mut Line, batch: &Batch, pace: &Pace, state: &State) -> Result<()> {
    cpu::pin(&scene.setting.plugin_cpus)?;
    let mut next = Instant::now();
    let mut sent = 0;
    loop {
        sent += (batch.count() * batch.size()) as u64;
        let last = state.stop.load(Ordering::Relaxed);
        if last {
            state.all.store(sent, Ordering::Release);
        }
        line.write(batch)?;
        if last {
            return Ok(());
        }
        next = (next + pace.pause).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn read(scene: &Scene, line: &mut Line, pace: &Pace, state: &State) -> Result<()> {
    cpu::pin(&scene.setting.plugin_cpus)?;
    let mut received = 0;
    let mut next = Instant::now();
    loop {
        let bytes = line.read()?;
        received += bytes;
        if state.has_all(received)? {
            return Ok(());
        }
        let rate = pace.reader.load(Ordering::Relaxed) as f64;
        let now = Instant::now();
        next = next.max(now.checked_sub(LOOK_EVERY).unwrap_or(next)) + Duration::from_secs_f64(bytes as f64 / rate);
        thread::sleep(next.saturating_duration_since(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_change_of_direction() {
        assert_eq!(turns(&[1, 1, 2, 4, 4, 8]), 0);
        assert_eq!(turns(&[8, 6, 6, 4, 8, 8, 4]), 2);
    }
}
