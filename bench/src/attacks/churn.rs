//! A plugin that comes and goes without end, where there are many, and one who watches.

use anyhow::Result;
use bpmux::Kind;

use super::attack::{PATIENT, Stage, beside, case};
use super::crowd;
use crate::connection::connect;
use crate::lab::case::Case;
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;

/// Plugins that are there.
const PLUGINS: usize = 8_000;
/// Credit of the one who watches, for ever.
const EVERYTHING: u64 = 1 << 40;

pub(super) fn cases() -> Vec<Case> {
    vec![case("churn", "A plugin that comes and goes, among 8,000 of whom one watches", measure)]
}

fn measure(scene: &Scene, is_attacked: bool) -> Result<Figures> {
    beside(scene, PATIENT, is_attacked, |server| {
        let crowd = crowd::gather(server, crowd::size(scene, PLUGINS))?;
        let mut watcher = Plugin::register(server.connect()?, "watcher")?;
        watcher.say(|link, out| {
            link.open(Kind::OutStream, &[], EVERYTHING, out).expect("an empty opening needs no credit");
        })?;
        watcher.settle()?;
        let (address, mut times) = (server.address().clone(), 0);
        let come = move || {
            // A name that is free, however late the relay hears that the one before has gone.
            times += 1;
            Plugin::register(connect(&address)?, &format!("comer-{times}")).map(drop)
        };
        let watch = move || {
            watcher.await_input()?;
            watcher.hear()
        };
        Ok(Stage::default().attack(come).beside(watch).keep(crowd))
    })
}
