//! A plugin that has answered none of thousands who want to talk to it, and says something all the time.

use anyhow::{Context, Result};

use super::attack::{PATIENT, Stage, beside, case};
use super::crowd;
use crate::lab::case::Case;
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::server::Server;

/// Those who want to talk to it.
const ASKERS: usize = 3_400;
/// What one relay promises to all of them from the start; with the default there is none for so many.
const MEMORY: &str = "[credit]\nmemory_bytes = \"256 MiB\"\n";
const ASKED: &str = "asked";

pub(super) fn cases() -> Vec<Case> {
    vec![case("offers", "A plugin with 3,400 unanswered offers that pings the relay", measure)]
}

fn measure(scene: &Scene, is_attacked: bool) -> Result<Figures> {
    beside(scene, &format!("{PATIENT}{MEMORY}"), is_attacked, |server| {
        let mut asked = Plugin::register(server.connect()?, ASKED)?;
        let askers = (0..crowd::size(scene, ASKERS)).map(|_| ask(server));
        let askers = askers.collect::<Result<Vec<Plugin>>>().context("one who asks")?;
        // It pings, and answers nobody.
        Ok(Stage::default().attack(move || asked.settle()).keep(askers))
    })
}

/// A client that waits for an answer.
fn ask(server: &mut Server) -> Result<Plugin> {
    let mut plugin = Plugin::register(server.connect()?, "")?;
    plugin.dial(ASKED)?;
    Ok(plugin)
}
