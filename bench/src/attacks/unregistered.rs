//! A connection that never becomes a plugin, and says something all the time.

use std::time::{Duration, Instant};

use anyhow::Result;
use bpmux::HalfKey;

use super::attack::{ATTACKED, Attack, Stage, case, during};
use crate::baseline::goals::Bound;
use crate::baseline::line::Line;
use crate::baseline::plugin::Plugin;
use crate::credit::case::{Case, Figures, Goal};
use crate::credit::scene::Scene;

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
    let mut lines = Line::pair(&mut server, 0)?;
    let pinger = Pinger { plugin: Plugin::unregistered(server.connect()?)?, is_ended: false };
    let begun = Instant::now();
    let stage = Stage { attackers: vec![Box::new(pinger)], others: Vec::new(), kept: Vec::new() };
    let (mut figures, mut stage) = during(scene, &server, &mut lines, is_attacked, stage, || Ok(Vec::new()))?;
    if is_attacked {
        let pinger = &mut stage.attackers[0];
        let mut outlived = true;
        while outlived && begun.elapsed() < REGISTRATION_TIMEOUT + MARGIN {
            outlived = pinger.step().is_ok();
        }
        figures.push((OUTLIVED, f64::from(u8::from(outlived))));
    }
    drop((lines, stage));
    server.stop()?;
    Ok(figures)
}

/// Pings.
struct Pinger {
    plugin: Plugin,
    is_ended: bool,
}

impl Attack for Pinger {
    fn step(&mut self) -> Result<()> {
        if self.is_ended {
            anyhow::bail!("it was ended before");
        }
        let pinged = self.plugin.say(|link, _| link.pings(HalfKey::TOP_READER, PINGS));
        let result = pinged.and_then(|()| self.plugin.hear());
        self.is_ended = result.is_err();
        result
    }
}
