//! Questions who is there, without end, where there are many.

use anyhow::Result;
use bpmux::{HalfKey, Kind};

use super::attack::{PATIENT, Stage, beside, case};
use super::crowd;
use crate::lab::case::Case;
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;

/// Plugins of which there is to tell.
const PLUGINS: usize = 8_000;
/// Questions at once: as many as the relay answers at a time.
const QUESTIONS: usize = 16;
/// Clients that ask.
const ASKERS: usize = 8;
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
        let asker = |_| -> Result<Asker> {
            let mut plugin = Plugin::register(server.connect()?, "")?;
            plugin.forgive_ends();
            Ok(Asker { plugin, credit, asked: Vec::new() })
        };
        let mut askers = (0..ASKERS).map(asker).collect::<Result<Vec<Asker>>>()?;
        let ask = move || {
            // All together, so that the relay has the next questions while it answers some.
            askers.iter_mut().try_for_each(Asker::ask)?;
            // All of it has been heard, and what there was credit for has been said.
            askers.iter_mut().try_for_each(|asker| asker.plugin.settle())
        };
        Ok(Stage::default().attack(ask).keep(crowd))
    })
}

/// Asks, with so much credit for each answer.
struct Asker {
    plugin: Plugin,
    credit: u64,
    asked: Vec<HalfKey>,
}

impl Asker {
    fn ask(&mut self) -> Result<()> {
        let Self { plugin, credit, asked } = self;
        plugin.say(|link, out| {
            // Of those that were answered nothing is left to take back.
            asked.drain(..).for_each(|key| {
                link.end(key, &[]);
            });
            let ask = |_| link.open(Kind::OutRequest, &[], *credit, out).expect("an empty opening needs no credit");
            asked.extend((0..QUESTIONS).map(ask));
        })
    }
}
