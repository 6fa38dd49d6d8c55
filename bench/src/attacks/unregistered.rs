//! A connection that never becomes a plugin, and says something all the time.

use std::time::{Duration, Instant};

use anyhow::Result;
use bpmux::HalfKey;

use super::attack::{ATTACKED, Stage, case, during};
use crate::lab::case::{Bound, Case, Goal};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::traffic::end::End;

/// Pings that are written at once.
const PINGS: u32 = 2_000;
/// How long a connection may take to register, bystanders on a busy machine among them, and how much longer it is looked
/// whether it is still there.
const REGISTRATION_TIMEOUT: Duration = Duration::from_millis(3_000);
const MARGIN: Duration = Duration::from_millis(1_500);

const OUTLIVED: &str = "outlived the time to register";

pub(super) fn cases() -> Vec<Case> {
    let mut case = case("unregistered", "A connection that pings and does not register, which it may for 3 s", measure);
    case.goals.push(Goal::new(ATTACKED, OUTLIVED, Bound::AtMost(0.0)));
    vec![case]
}

fn measure(scene: &Scene, is_attacked: bool) -> Result<Figures> {
    let config = format!("[bus]\nregistration_timeout_ms = {}\n", REGISTRATION_TIMEOUT.as_millis());
    let mut server = scene.relay(&config)?;
    let mut ends = End::pair(&mut server, 0)?;
    let mut plugin = Plugin::unregistered(server.connect()?)?;
    let ping = move || {
        plugin.say(|link, _| link.pings(HalfKey::TOP_READER, PINGS))?;
        plugin.hear()
    };
    let begun = Instant::now();
    let stage = Stage::default().attack(ping);
    let (mut figures, mut stage) = during(scene, &server, &mut ends, is_attacked, stage, || Ok(Vec::new()))?;
    if is_attacked {
        let mut outlived = true;
        while outlived && begun.elapsed() < REGISTRATION_TIMEOUT + MARGIN {
            outlived = stage.attackers[0]().is_ok();
        }
        figures.push((OUTLIVED, f64::from(u8::from(outlived))));
    }
    drop((ends, stage));
    server.stop()?;
    Ok(figures)
}
