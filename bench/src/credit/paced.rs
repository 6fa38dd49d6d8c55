//! Caps of those that are not simply as fast as they can be: a writer at a steady pace that comes in bursts, and a reader
//! that is just as fast as the first window lets it be.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::link_emulator::LinkEmulator;
use super::pair::{Look, Pair};
use crate::lab::case::{Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::traffic::flow::{self, Going, Manner, Tempo};

const SIZE: usize = 1 << 10;

/// What a cap is at first, in bytes.
const START: u64 = 64 << 10;

/// 300 KiB at a time, at 10 MB/s.
const BURST: usize = 300;
const BURST_PAUSE: Duration = Duration::from_micros(30_720);

/// The way on which the first window is worth 32 MB/s.
const WAY: LinkEmulator = LinkEmulator { delay: Duration::from_millis(1), bytes_per_s: 1e10 };
const SLOW_PER_S: u64 = START * 500 / SIZE as u64;
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
    let bursts = vec![
        Variant::new(NEAR, |scene| measure_bursts(scene, None)),
        Variant::new(FAR, |scene| measure_bursts(scene, Some(WAY))),
    ];
    let goals = [grows(TRAP).to_vec(), vec![Goal::new(TRAP, SHARE, Bound::AtLeast(0.9))]].concat();
    vec![
        Case::new(
            "bursts",
            "A writer of bursts of 300 KiB at 10 MB/s, and a fast reader",
            bursts,
            [NEAR, FAR].into_iter().flat_map(grows).collect(),
        ),
        Case::new(
            "trap",
            "A reader that is just as fast as the first window lets it be, and then 8 times as fast",
            vec![Variant::new(TRAP, measure_trap)],
            goals,
        ),
    ]
}

fn measure_bursts(scene: &Scene, way: Option<LinkEmulator>) -> Result<Figures> {
    let tempo = Tempo { pause: BURST_PAUSE, messages_per_s: u64::MAX.into() };
    with_pair(scene, way, &tempo, |look, _| {
        watch(look, scene.windows(WINDOWS))?;
        let caps = watch(look, scene.windows(WINDOWS))?;
        Ok(vec![(GROWTH, growth(&caps)), (TURNS, turns(&caps) as f64)])
    })
}

fn measure_trap(scene: &Scene) -> Result<Figures> {
    let tempo = Tempo { pause: Duration::ZERO, messages_per_s: SLOW_PER_S.into() };
    with_pair(scene, Some(WAY), &tempo, |look, going| {
        let slow = watch(look, scene.windows(WINDOWS))?;
        let faster = FASTER * SLOW_PER_S;
        tempo.messages_per_s.store(faster, Ordering::Relaxed);
        watch(look, scene.windows(WINDOWS))?;
        let (begun, before) = (Instant::now(), going.received());
        let caps = watch(look, scene.windows(WINDOWS))?;
        let share = (going.received() - before) as f64 / begun.elapsed().as_secs_f64() / faster as f64;
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

/// Does something while a pair is talking at this tempo.
fn with_pair(
    scene: &Scene,
    way: Option<LinkEmulator>,
    tempo: &Tempo,
    act: impl FnOnce(&Look, &Going) -> Result<Figures>,
) -> Result<Figures> {
    let mut pair = Pair::new(scene, "", way)?;
    let [writer, reader] = &mut pair.ends;
    writer.prepare(reader, SIZE, Some(BURST))?;
    let manner = Manner { tempo: Some(tempo), ..Manner::default() };
    let (figures, _) = flow::during(&mut [writer], &mut [reader], manner, |going| act(&pair.look, going))?;
    pair.stop()?;
    Ok(figures)
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
