//! What installs the competitors that are missing.

use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use super::competitor::{Competitor, Is, Source};
use crate::console;

/// Prints what installs them, or does that.
pub(super) fn run(competitors: &[Rc<Competitor>], does_it: bool) -> Result<()> {
    let missing: Vec<(&Rc<Competitor>, Source)> = competitors
        .iter()
        .filter(|competitor| competitor.missing().is_some())
        .filter_map(|competitor| match &competitor.is {
            Is::Installed(installed) => Some((competitor, installed.source)),
            Is::Ours(_) => None,
        })
        .collect();
    for (competitor, source) in &missing {
        console::say(format_args!("{:18} {}", competitor.name, source.command()))?;
    }
    if missing.is_empty() {
        console::say("nothing is missing")?;
    } else if !does_it {
        console::say(
            "\n--install --run does all of it. On systemd, Debian's packages start their services:\n\
             stop them with `systemctl disable --now nats-server haproxy redis-server mosquitto`.",
        )?;
    }
    if does_it {
        for (_, source) in missing {
            install(source)?;
        }
        for (competitor, why) in competitors.iter().filter_map(|competitor| Some((competitor, competitor.missing()?))) {
            console::say(format_args!("{:18} still: {why}", competitor.name))?;
        }
    }
    Ok(())
}

fn install(source: Source) -> Result<()> {
    let line = source.command();
    let mut words = line.split_whitespace();
    let program = words.next().context("there is a program")?;
    let status = Command::new(program).args(words).env("DEBIAN_FRONTEND", "noninteractive").status();
    ensure!(status.with_context(|| program.to_owned())?.success(), "{line} has failed");
    Ok(())
}
