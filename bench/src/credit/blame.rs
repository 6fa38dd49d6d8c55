//! Blame: directions that wait for one thing only, and what the relay says that they wait for.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use bpmux::Kind;
use minbus::FlowState;

use super::case::{Case, Figures, Goal, Variant};
use super::growth::pin;
use super::link_emulator::LinkEmulator;
use super::look::Look;
use super::scene::Scene;
use crate::baseline::batch::Batch;
use crate::baseline::flow;
use crate::baseline::goals::Bound;
use crate::baseline::line::{Line, NAMES};
use crate::baseline::plugin::Plugin;
use crate::baseline::server::Server;

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
    vec![Case {
        name: "blame",
        title: "What the relay says that a direction waits for, as a part of wall time",
        variants: vec![
            Variant::new(IDLE, |scene| unused(scene, FlowState::Idle, EVERYTHING, 1)),
            Variant::new(READER, |scene| unused(scene, FlowState::Reader, LITTLE, usize::MAX)),
            Variant::new(EGRESS, |scene| unused(scene, FlowState::Egress, EVERYTHING, usize::MAX)),
            Variant::new(CAP, capped),
        ],
        goals: [IDLE, READER, EGRESS, CAP].into_iter().flat_map(goals).collect(),
    }]
}

/// A writer sends some messages, or all that it may; the reader gives so much credit and reads nothing.
fn unused(scene: &Scene, state: FlowState, window_bytes: u64, messages: usize) -> Result<Figures> {
    let mut server = scene.relay("")?;
    let [name, peer] = NAMES;
    let (mut writer, mut reader) =
        (Plugin::register(server.connect()?, name)?, Plugin::register(server.connect()?, peer)?);
    reader.set_window(window_bytes);
    let [keys, _] = writer.connect(&mut reader, peer)?;
    let batch = Batch::new(Kind::OutSink, writer.id(keys.writer), SIZE, Some(1));
    let mut sent = 0;
    let mut moved = Instant::now();
    while sent < messages && moved.elapsed() < STALLED_AFTER {
        writer.hear()?;
        if writer.may_write(keys.writer, &batch) {
            writer.write_batch(keys.writer, &batch)?;
            sent += 1;
            moved = Instant::now();
        }
    }
    let figures = watch(scene, &server, state)?;
    drop((writer, reader));
    server.stop()?;
    Ok(figures)
}

/// A writer far away sends all it can, and could send more.
fn capped(scene: &Scene) -> Result<Figures> {
    let mut server = scene.relay(&pin(SMALL_CAP_KIB))?;
    let (near, carriers) = WAY.before(server.connect()?)?;
    let mut lines = Line::channel(near, server.connect()?)?;
    let (figures, _) = flow::during(&mut lines, &scene.setting, SIZE, |_| {
        thread::sleep(scene.setting.warm_up);
        watch(scene, &server, FlowState::Cap)
    })?;
    drop(lines);
    carriers.join();
    server.stop()?;
    Ok(figures)
}

fn watch(scene: &Scene, server: &Server, state: FlowState) -> Result<Figures> {
    let look = Look::at(server)?;
    let before = look.view()?;
    thread::sleep(scene.windows(WINDOWS));
    let (share, sum) = look.view()?.shares_since(&before, state);
    Ok(vec![(SHARE, share), (SUM, sum)])
}
