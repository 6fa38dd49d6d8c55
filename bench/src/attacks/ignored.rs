//! Top-level messages, which mean nothing and are ignored, and for which there is always credit again.

use anyhow::Result;
use bpmux::HalfKey;

use super::attack::{Attack, PATIENT, Stage, beside, case};
use crate::baseline::plugin::Plugin;
use crate::credit::case::{Case, Figures};
use crate::credit::scene::Scene;

/// Messages that are written at once, at the most.
const MESSAGES: u64 = 2_000;
/// The payload of each. Those of a byte or so are slowed for what they cost, but these pay for themselves with their payload.
const MESSAGE_BYTES: usize = 64;

pub(super) fn cases() -> Vec<Case> {
    vec![case("ignored", "A client that floods with top-level messages", measure)]
}

fn measure(scene: &Scene, is_attacked: bool) -> Result<Figures> {
    beside(scene, PATIENT, is_attacked, |server| {
        let talker = Talker(Plugin::register(server.connect()?, "")?);
        Ok(Stage { attackers: vec![Box::new(talker)], others: Vec::new(), kept: Vec::new() })
    })
}

/// Talks to nobody.
struct Talker(Plugin);

impl Attack for Talker {
    fn step(&mut self) -> Result<()> {
        let mut count = 0;
        self.0.say(|link, out| {
            count = (link.may_send(HalfKey::TOP_WRITER) / MESSAGE_BYTES as u64).min(MESSAGES);
            for _ in 0..count {
                link.put_part(HalfKey::TOP_WRITER, MESSAGE_BYTES as u64, MESSAGE_BYTES as u64, out);
                out.extend([b'.'; MESSAGE_BYTES]);
            }
        })?;
        if count == 0 { self.0.read().map(drop) } else { self.0.hear() }
    }
}
