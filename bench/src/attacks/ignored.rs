//! Top-level messages, which mean nothing and are ignored, and for which there is always credit again.

use anyhow::Result;
use bpmux::HalfKey;

use super::attack::{PATIENT, Stage, beside, case};
use crate::lab::case::Case;
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;

/// Messages that are written at once, at the most.
const MESSAGES: u64 = 2_000;
/// The payload of each. Those of a byte or so are slowed for what they cost, but these pay for themselves with their payload.
const MESSAGE_BYTES: usize = 64;

pub(super) fn cases() -> Vec<Case> {
    vec![case("ignored", "A client that floods with top-level messages", measure)]
}

fn measure(scene: &Scene, is_attacked: bool) -> Result<Figures> {
    beside(scene, PATIENT, is_attacked, |server| {
        let mut plugin = Plugin::register(server.connect()?, "")?;
        Ok(Stage::default().attack(move || talk(&mut plugin)))
    })
}

/// Talks to nobody.
fn talk(plugin: &mut Plugin) -> Result<()> {
    let mut count = 0;
    plugin.say(|link, out| {
        count = (link.may_send(HalfKey::TOP_WRITER) / MESSAGE_BYTES as u64).min(MESSAGES);
        for _ in 0..count {
            link.put_part(HalfKey::TOP_WRITER, MESSAGE_BYTES as u64, MESSAGE_BYTES as u64, out);
            out.extend([b'.'; MESSAGE_BYTES]);
        }
    })?;
    if count == 0 { plugin.read().map(drop) } else { plugin.hear() }
}
