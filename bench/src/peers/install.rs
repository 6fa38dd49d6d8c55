//! What installs the peers that are missing.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::peer::{Is, Peer, Source};
use crate::console;

/// Prints what installs them, or does that.
pub(super) fn run(peers: &[Peer], does_it: bool) -> Result<()> {
    let missing: Vec<(&Peer, Source)> = peers
        .iter()
        .filter(|peer| peer.missing().is_some())
        .filter_map(|peer| match &peer.is {
            Is::Installed(installed) => Some((peer, installed.source)),
            Is::Ours(_) => None,
        })
        .collect();
    for (peer, source) in &missing {
        console::say(format_args!("{:18} {}", peer.name, source.command()))?;
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
        for (peer, why) in peers.iter().filter_map(|peer| Some((peer, peer.missing()?))) {
            console::say(format_args!("{:18} still: {why}", peer.name))?;
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
