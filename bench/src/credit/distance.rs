//! A writer 10 ms from the relay: a cap must come to hold all that is on its way.

use std::time::Duration;

use anyhow::Result;

use super::growth::pin;
use super::link_emulator::LinkEmulator;
use super::pair::Pair;
use crate::lab::case::{Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::traffic::sample::Setting;

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
    let variants = vec![
        Variant::new(ADAPTIVE, |scene| measure(scene, "")),
        Variant::new("pinned at 16 MiB", |scene| measure(scene, &pin(CAP_MAX_KIB))),
        Variant::new("pinned at 64 KiB", |scene| measure(scene, &pin(64))),
    ];
    let goals = vec![Goal::new(ADAPTIVE, SHARE, Bound::AtLeast(0.9))];
    vec![Case::new("distance", "A pair 10 ms apart, on a line of 100 MB/s, after 1 s", variants, goals)]
}

fn measure(scene: &Scene, config: &str) -> Result<Figures> {
    let mut pair = Pair::new(scene, config, Some(FAR))?;
    let warm_up = if scene.quick { scene.setting.warm_up } else { TIME };
    let (sample, cap_kib) = pair.flow(&Setting { warm_up, ..scene.setting }, SIZE)?;
    pair.stop()?;
    let rate = sample.bytes_per_s();
    Ok(vec![("MB/s", rate / 1e6), (SHARE, rate / FAR.bytes_per_s), ("cap KiB", cap_kib)])
}
