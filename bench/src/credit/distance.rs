//! A writer 10 ms from the relay: a cap must come to hold all that is on its way.

use std::time::Duration;

use anyhow::Result;

use super::case::{Case, Figures, Goal, Variant};
use super::growth::pin;
use super::link_emulator::LinkEmulator;
use super::look::Look;
use super::scene::Scene;
use crate::baseline::flow;
use crate::baseline::goals::Bound;
use crate::baseline::line::Line;
use crate::baseline::sample::Setting;

/// 10 ms in each direction, and a line for 100 MB/s: 2 MB are on their way.
const FAR: LinkEmulator = LinkEmulator { delay: Duration::from_millis(10), bytes_per_s: 1e8 };

/// What a half may have by default, in KiB: by far enough for that.
const CAP_MAX_KIB: u64 = 16 << 10;

/// Time within which the cap is to have found its size.
const TIME: Duration = Duration::from_secs(1);

const SIZE: usize = 1 << 10;

const ADAPTIVE: &str = "from 64 KiB";
const SHARE: &str = "of the line";

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "distance",
        title: "A pair 10 ms apart, on a line of 100 MB/s, after 1 s",
        variants: vec![
            Variant::new(ADAPTIVE, |scene| measure(scene, "")),
            Variant::new("pinned at 16 MiB", |scene| measure(scene, &pin(CAP_MAX_KIB))),
            Variant::new("pinned at 64 KiB", |scene| measure(scene, &pin(64))),
        ],
        goals: vec![Goal::new(ADAPTIVE, SHARE, Bound::AtLeast(0.9))],
    }]
}

fn measure(scene: &Scene, config: &str) -> Result<Figures> {
    let mut server = scene.relay(config)?;
    let (near, carriers) = FAR.before(server.connect()?)?;
    let mut lines = Line::channel(near, server.connect()?)?;
    let look = Look::at(&server)?;
    let warm_up = if scene.quick { scene.setting.warm_up } else { TIME };
    let setting = Setting { warm_up, ..scene.setting.clone() };
    let pid = server.pid();
    let ((sample, cap), unit) = flow::during(&mut lines, &setting, SIZE, |going| {
        let sample = setting.sample(pid, || going.received(), || going.is())?;
        Ok((sample, look.view()?.flow.cap_bytes))
    })?;
    drop((lines, look));
    carriers.join();
    server.stop()?;
    let sample = sample.of_messages(SIZE, unit);
    let rate = sample.payload_bytes / sample.seconds;
    Ok(vec![("MB/s", rate / 1e6), (SHARE, rate / FAR.bytes_per_s), ("cap KiB", cap as f64 / 1024.0)])
}
