//! A lone fast pair whose cap starts small, beside caps that are large from the start: within a tenth of a second it must
//! make no difference.

use anyhow::Result;

use super::case::{Against, Case, Figures, Goal, Variant};
use super::look::Look;
use super::scene::Scene;
use crate::baseline::flow;
use crate::baseline::goals::Bound;
use crate::baseline::line::Line;

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
        Case {
            name,
            title,
            variants: std::iter::once(adaptive).chain(pinned).collect(),
            goals: vec![Goal::new(ADAPTIVE, RATE, Bound::AtLeast(0.95)).against(Against::BestOther)],
        }
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
    let mut server = scene.relay(config)?;
    let mut lines = Line::pair(&mut server, 0)?;
    let look = Look::at(&server)?;
    let pid = server.pid();
    let ((sample, cap), unit) = flow::during(&mut lines, &scene.setting, size, |going| {
        let sample = scene.setting.sample(pid, || going.received(), || going.is())?;
        Ok((sample, look.view()?.flow.cap_bytes))
    })?;
    drop((lines, look));
    server.stop()?;
    let sample = sample.of_messages(size, unit);
    let rate = sample.payload_bytes / sample.seconds;
    Ok(vec![(RATE, rate / 1e6), ("CPU s/GB", sample.cpu_s_per_gb()), ("cap KiB", cap as f64 / 1024.0)])
}
