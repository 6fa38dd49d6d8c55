//! Blame: directions that wait for one thing only, and what the relay says that they wait for.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use minbus::FlowState;

use super::growth::pin;
use super::link_emulator::LinkEmulator;
use super::pair::{Look, Pair};
use crate::lab::case::{Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::traffic::end::{End, NAMES};
use crate::traffic::flow;

const SIZE: usize = 1 << 10;

/// How many windows each is watched.
const WINDOWS: f64 = 2.0;

/// What a reader gives that withholds the rest, in bytes.
const LITTLE: u64 = 64 << 10;
/// And one that gives everything.
const EVERYTHING: u64 = 1 << 40;

/// When nothing has gone for so long, nothing will.
const STALLED_AFTER: Duration = Duration::from_millis(200);

/// From where a small cap is too small.
const WAY: LinkEmulator = LinkEmulator { delay: Duration::from_millis(5), bytes_per_s: 1e10 };
const SMALL_CAP_KIB: u64 = 4;

const SHARE: &str = "in the right state";
const SUM: &str = "all states";

const IDLE: &str = "writer is idle";
const READER: &str = "reader withholds credit";
const EGRESS: &str = "reader's socket is stalled";
const CAP: &str = "cap is pinned at 4 KiB";

pub(super) fn cases() -> Vec<Case> {
    let goals = |variant| {
        [
            Goal::new(variant, SHARE, Bound::AtLeast(0.95)),
            Goal::new(variant, SUM, Bound::AtLeast(0.99)),
            Goal::new(variant, SUM, Bound::AtMost(1.01)),
        ]
    };
    let variants = vec![
        Variant::new(IDLE, |scene| unused(scene, FlowState::Idle, EVERYTHING, 1)),
        Variant::new(READER, |scene| unused(scene, FlowState::Reader, LITTLE, usize::MAX)),
        Variant::new(EGRESS, |scene| unused(scene, FlowState::Egress, EVERYTHING, usize::MAX)),
        Variant::new(CAP, capped),
    ];
    let goals = [IDLE, READER, EGRESS, CAP].into_iter().flat_map(goals).collect();
    let title = "What the relay says that a direction waits for, as a part of wall time";
    vec![Case::new("blame", title, variants, goals)]
}

/// A writer sends some messages, or all that it may; the reader gives so much credit and reads nothing.
fn unused(scene: &Scene, state: FlowState, window_bytes: u64, messages: usize) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let [name, peer] = NAMES;
    let (writer, mut reader) = (Plugin::register(server.connect()?, name)?, Plugin::register(server.connect()?, peer)?);
    reader.set_window(window_bytes);
    let (mut writer, _) = End::to(writer, &mut reader, peer)?;
    writer.fill(SIZE, Some(1));
    let mut sent = 0;
    let mut moved = Instant::now();
    while sent < messages && moved.elapsed() < STALLED_AFTER {
        writer.hear()?;
        if writer.may_write() {
            writer.write()?;
            sent += 1;
            moved = Instant::now();
        }
    }
    let figures = watch(scene, &Look::at(&server)?, state)?;
    drop((writer, reader));
    server.stop()?;
    Ok(figures)
}

/// A writer far away sends all it can, and could send more.
fn capped(scene: &Scene) -> Result<Figures> {
    let mut pair = Pair::new(scene, &pin(SMALL_CAP_KIB), Some(WAY))?;
    let figures = flow::pair(&mut pair.ends, SIZE, |_| {
        thread::sleep(scene.setting.warm_up);
        watch(scene, &pair.look, FlowState::Cap)
    })?;
    pair.stop()?;
    Ok(figures)
}

fn watch(scene: &Scene, look: &Look, state: FlowState) -> Result<Figures> {
    let before = look.view()?;
    thread::sleep(scene.windows(WINDOWS));
    let (share, sum) = look.view()?.shares_since(&before, state);
    Ok(vec![(SHARE, share), (SUM, sum)])
}
