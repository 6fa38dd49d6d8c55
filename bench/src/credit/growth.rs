//! A lone fast pair whose cap starts small, beside caps that are large from the start: within a tenth of a second it must
//! make no difference.

use anyhow::Result;

use super::pair::Pair;
use crate::lab::case::{Against, Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::traffic::sample::CPU_OF_BYTES;

/// Caps that stay as they are, in KiB.
const PINNED: [(&str, u64); 5] = [
    ("pinned at 64 KiB", 64),
    ("pinned at 256 KiB", 256),
    ("pinned at 1 MiB", 1 << 10),
    ("pinned at 4 MiB", 4 << 10),
    ("pinned at 16 MiB", 16 << 10),
];

const ADAPTIVE: &str = "from 64 KiB";
const RATE: &str = "MB/s";

pub(super) fn cases() -> Vec<Case> {
    [
        ("grow-64", "A lone pair, 64 B, with a cap that grows and with fixed ones", 64),
        ("grow-1k", "A lone pair, 1 KiB, with a cap that grows and with fixed ones", 1 << 10),
        ("grow-64k", "A lone pair, 64 KiB, with a cap that grows and with fixed ones", 64 << 10),
    ]
    .into_iter()
    .map(|(name, title, size)| {
        let pinned = PINNED
            .into_iter()
            .map(|(name, kib)| Variant::new(name, move |scene: &Scene| measure(scene, &pin(kib), size)));
        let adaptive = Variant::new(ADAPTIVE, move |scene: &Scene| measure(scene, "", size));
        let variants = std::iter::once(adaptive).chain(pinned).collect();
        let goals = vec![Goal::new(ADAPTIVE, RATE, Bound::AtLeast(0.95)).against(Against::BestOther)];
        Case::new(name, title, variants, goals)
    })
    .collect()
}

/// A configuration in which every cap is this, always.
pub(super) fn pin(kib: u64) -> String {
    let cap = format!("\"{kib} KiB\"");
    format!("[credit]\ncap_min_bytes = {cap}\ncap_initial_bytes = {cap}\ncap_max_bytes = {cap}\n")
}

/// The window begins when the time to grow in is over.
fn measure(scene: &Scene, config: &str, size: usize) -> Result<Figures> {
    let mut pair = Pair::new(scene, config, None)?;
    let (sample, cap_kib) = pair.flow(&scene.setting, size)?;
    pair.stop()?;
    Ok([vec![(RATE, sample.bytes_per_s() / 1e6)], sample.some([CPU_OF_BYTES]), vec![("cap KiB", cap_kib)]].concat())
}
