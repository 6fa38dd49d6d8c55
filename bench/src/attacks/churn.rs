//! A plugin that comes and goes without end, where there are many, and one who watches.

use anyhow::Result;
use bpmux::Kind;

use super::attack::{Attack, PATIENT, Stage, beside, case};
use super::crowd;
use crate::address::Address;
use crate::baseline::plugin::Plugin;
use crate::credit::case::{Case, Figures};
use crate::credit::scene::Scene;

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
        let comer = Comer { address: server.address().clone(), times: 0 };
        Ok(Stage {
            attackers: vec![Box::new(comer)],
            others: vec![Box::new(Watcher(watcher))],
            kept: vec![Box::new(crowd)],
        })
    })
}

/// Comes and goes.
struct Comer {
    address: Address,
    times: u64,
}

impl Attack for Comer {
    fn step(&mut self) -> Result<()> {
        // A name that is free, however late the relay hears that the one before has gone.
        self.times += 1;
        Plugin::register(self.address.connect()?, &format!("comer-{}", self.times)).map(drop)
    }
}

/// Hears who comes and goes.
struct Watcher(Plugin);

impl Attack for Watcher {
    fn step(&mut self) -> Result<()> {
        self.0.await_input()?;
        self.0.hear()
    }
}
