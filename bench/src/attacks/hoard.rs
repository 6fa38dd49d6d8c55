//! Plugins that ask each other for channels and never answer: each such channel holds what the relay reserves for one. Others
//! want channels, too. The two come from different addresses, which a relay may tell apart.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use minbus::Address;

use super::attack::{ATTACKED, PATIENT, QUIET, Stage, case, during};
use crate::connection::{connect, connect_from};
use crate::lab::case::{Bound, Case, Goal};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::server::Server;
use crate::traffic::end::End;

/// Plugins that ask each other: each a channel to each.
const HOARDERS: usize = 75;
/// Channels that others want, each between two plugins of its own.
const WANTED: usize = 20;
/// The same, to see whether it works.
const FEW: usize = 4;

/// Where those who hoard come from. All of 127/8 is this machine.
const THEIRS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// How often they look whether all is as it was.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const REFUSED: &str = "channels refused";

pub(super) fn cases() -> Vec<Case> {
    let mut case = case(
        "hoard",
        "75 plugins of one address that ask each other and do not answer; 20 channels of another",
        measure,
    );
    case.goals.extend([QUIET, ATTACKED].map(|variant| Goal::new(variant, REFUSED, Bound::AtMost(0.0))));
    vec![case]
}

fn measure(scene: &Scene, is_attacked: bool) -> Result<Figures> {
    let mut server = scene.relay_on_tcp(PATIENT)?;
    let mut ends = End::pair(&mut server, 0)?;
    let mut hoarders = if is_attacked { hoard(&server, if scene.quick { FEW } else { HOARDERS })? } else { Vec::new() };
    // They hold what they have.
    let stage = Stage::default().attack(move || {
        thread::sleep(LOOK_EVERY);
        hoarders.iter_mut().try_for_each(Plugin::hear)
    });
    let address = server.address().clone();
    let wanted = if scene.quick { FEW } else { WANTED };
    let want = || {
        let refused = (0..wanted).map(|number| is_refused(&address, number)).collect::<Result<Vec<_>>>()?;
        Ok(vec![(REFUSED, refused.into_iter().filter(|refused| *refused).count() as f64)])
    };
    let (figures, stage) = during(scene, &server, &mut ends, is_attacked, stage, want)?;
    drop((ends, stage));
    server.stop()?;
    Ok(figures)
}

/// Each asks each other, and hears what comes of it.
fn hoard(server: &Server, count: usize) -> Result<Vec<Plugin>> {
    let name = |number: usize| format!("hoarder-{number}");
    let register = |number| {
        let mut plugin = Plugin::register(connect_from(THEIRS, server.address())?, &name(number))?;
        plugin.forgive_ends();
        Ok(plugin)
    };
    let mut plugins = (0..count).map(register).collect::<Result<Vec<Plugin>>>().context("one who hoards")?;
    for (from, plugin) in plugins.iter_mut().enumerate() {
        for to in (0..count).filter(|to| *to != from) {
            plugin.dial(&name(to)).context("a channel to hoard")?;
        }
    }
    Ok(plugins)
}

/// Whether a channel between two new plugins is refused.
fn is_refused(address: &Address, number: usize) -> Result<bool> {
    let [name, peer] = ["from", "to"].map(|side| format!("wants-{side}-{number}"));
    let mut one = Plugin::register(connect(address)?, &name)?;
    let mut other = Plugin::register(connect(address)?, &peer)?;
    one.forgive_ends();
    one.dial(&peer)?;
    // One answer may come behind the other.
    one.settle()?;
    if one.was_ended() {
        return Ok(true);
    }
    other.accept()?;
    Ok(false)
}
