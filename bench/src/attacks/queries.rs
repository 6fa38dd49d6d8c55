//! Questions who is there, without end, where there are many.

use anyhow::Result;
use bpmux::{HalfKey, Kind};

use super::attack::{Attack, PATIENT, Stage, beside, case};
use super::crowd;
use crate::credit::case::{Case, Figures};
use crate::credit::scene::Scene;
use crate::floors::plugin::Plugin;

/// Plugins of which there is to tell.
const PLUGINS: usize = 8_000;
/// Questions at once: as many as the relay answers at a time.
const QUESTIONS: usize = 16;
/// Credit for a whole answer.
const EVERYTHING: u64 = 1 << 24;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "queries-cancelled",
            "A client that asks who is there, and takes it back, among 8,000",
            |scene, is_attacked| measure(scene, is_attacked, 1),
        ),
        case("queries-read", "A client that asks who is there, and hears it all, among 8,000", |scene, is_attacked| {
            measure(scene, is_attacked, EVERYTHING)
        }),
    ]
}

fn measure(scene: &Scene, is_attacked: bool, credit: u64) -> Result<Figures> {
    beside(scene, PATIENT, is_attacked, |server| {
        let crowd = crowd::gather(server, crowd::size(scene, PLUGINS))?;
        let mut plugin = Plugin::register(server.connect()?, "")?;
        plugin.forgive_ends();
        let asker = Asker { plugin, credit, asked: Vec::new() };
        Ok(Stage { attackers: vec![Box::new(asker)], others: Vec::new(), kept: vec![Box::new(crowd)] })
    })
}

/// Asks, with so much credit for each answer.
struct Asker {
    plugin: Plugin,
    credit: u64,
    asked: Vec<HalfKey>,
}

impl Attack for Asker {
    fn step(&mut self) -> Result<()> {
        let Self { plugin, credit, asked } = self;
        plugin.say(|link, out| {
            // Of those that were answered nothing is left to take back.
            asked.drain(..).for_each(|key| {
                link.end(key, &[]);
            });
            let ask = |_| link.open(Kind::OutRequest, &[], *credit, out).expect("an empty opening needs no credit");
            asked.extend((0..QUESTIONS).map(ask));
        })?;
        // All of it has been heard, and what there was credit for has been said.
        plugin.settle()
    }
}
