//! Floods of what no payload pays for, from ten connections, beside a healthy pair: before, during and after.

mod flooder;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};

use testkit::proc::{self, Memory};

use super::pair::Look;
use crate::lab::case::{Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::plugin::Plugin;
use crate::traffic::end::End;
use crate::traffic::flow::{self, Going};
use flooder::{Flood, Flooder};

/// Connections that flood.
const FLOODERS: usize = 10;
/// The messages of the healthy pair, in bytes.
const SIZE: usize = 1 << 10;

/// How many windows the flood is measured for, and the time before and after it.
const FLOOD_WINDOWS: f64 = 20.0;
const PEACE_WINDOWS: f64 = 4.0;
/// How often the memory of the relay is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const BESIDE: &str = "beside a flood";
const SHARE: &str = "of MB/s alone";
const MEMORY: &str = "resident / ceiling";
const SLOWED: &str = "slowed and logged";
const ENDED: &str = "ended";

pub(super) fn cases() -> Vec<Case> {
    [
        ("flood-pings", "A fast pair, 1 KiB, beside ten floods of pings", Flood::Pings),
        ("flood-empty", "A fast pair, 1 KiB, beside ten floods of empty messages", Flood::EmptyMessages),
        ("flood-grants", "A fast pair, 1 KiB, beside ten floods of credit, a byte at a time", Flood::Grants),
        ("flood-opens", "A fast pair, 1 KiB, beside ten floods of sinks that are opened and ended", Flood::Opens),
        ("flood-connects", "A fast pair, 1 KiB, beside ten floods of connects to nobody", Flood::Connects),
        ("flood-parts", "A fast pair, 1 KiB, beside ten floods of parts of a byte", Flood::Parts),
    ]
    .into_iter()
    .map(|(name, title, flood)| {
        let goals = vec![
            Goal::new(BESIDE, SHARE, Bound::AtLeast(0.7)),
            Goal::new(BESIDE, MEMORY, Bound::AtMost(1.0)),
            Goal::new(BESIDE, SLOWED, Bound::AtLeast(FLOODERS as f64)),
            Goal::new(BESIDE, ENDED, Bound::AtMost(0.0)),
        ];
        Case::new(name, title, vec![Variant::new(BESIDE, move |scene| measure(scene, flood))], goals)
    })
    .collect()
}

fn measure(scene: &Scene, flood: Flood) -> Result<Figures> {
    let (mut server, log) = scene.relay_logged("")?;
    let mut flooders = Vec::new();
    let mut peers = Vec::new();
    for number in 0..FLOODERS {
        let (flooder, peer) = Flooder::connect(&mut server, flood, number)?;
        flooders.push(flooder);
        peers.push(peer);
    }
    let mut ends = End::pair(&mut server, 0)?;
    let ceiling = Look::at(&server)?.ceiling_bytes()? as f64;
    let pid = server.pid();
    let memory = || proc::memory_bytes(pid, Memory::Resident);
    let figures = flow::pair(&mut ends, SIZE, |going| {
        thread::sleep(scene.setting.warm_up);
        let before = rate(going, scene.windows(PEACE_WINDOWS), || Ok(()))?;
        let memory_before = memory()?;
        let mut memory_most = 0;
        let stop = AtomicBool::new(false);
        let (during, ended) = thread::scope(|scope| {
            let flooding: Vec<_> = flooders.iter_mut().map(|flooder| scope.spawn(|| flooder.run(&stop))).collect();
            let draining = scope.spawn(|| drain(&peers, &stop));
            thread::sleep(scene.setting.warm_up);
            let during = rate(going, scene.windows(FLOOD_WINDOWS), || {
                memory_most = memory_most.max(memory()?);
                Ok(())
            });
            stop.store(true, Ordering::Relaxed);
            let outcomes = flooding.into_iter().map(|flooder| flooder.join().expect("a flooder does not panic"));
            let ended = outcomes.filter(Result::is_err).count();
            draining.join().expect("who drains does not panic")?;
            during.map(|during| (during, ended))
        })?;
        let after = rate(going, scene.windows(PEACE_WINDOWS), || Ok(()))?;
        Ok(vec![
            ("MB/s before", before / 1e6),
            ("MB/s during", during / 1e6),
            ("MB/s after", after / 1e6),
            (SHARE, during / f64::midpoint(before, after)),
            ("grown MB", (memory_most as f64 - memory_before as f64) / 1e6),
            (MEMORY, memory_most as f64 / ceiling),
            (SLOWED, slowed(&log)? as f64),
            (ENDED, ended as f64),
        ])
    })?;
    drop((ends, flooders, peers));
    server.stop()?;
    Ok(figures)
}

/// Bytes that arrive each second.
fn rate(going: &Going, time: Duration, mut look: impl FnMut() -> Result<()>) -> Result<f64> {
    let (begun, before) = (Instant::now(), going.received());
    while begun.elapsed() < time && going.is() {
        thread::sleep(LOOK_EVERY.min(time));
        look()?;
    }
    Ok(((going.received() - before) * SIZE as u64) as f64 / begun.elapsed().as_secs_f64())
}

/// Takes what comes for these, and does nothing with it.
fn drain(peers: &[Plugin], stop: &AtomicBool) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let timeout = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let mut waiting: Vec<PollFd<'_>> = peers.iter().map(|peer| PollFd::new(peer, PollFlags::IN)).collect();
        poll(&mut waiting, Some(&timeout))?;
        for (peer, waiting) in peers.iter().zip(&waiting) {
            if waiting.revents().contains(PollFlags::IN) {
                recv(peer, &mut buffer[..], RecvFlags::DONTWAIT)?;
            }
        }
    }
    Ok(())
}

/// How many of those who flood the log has as slowed.
fn slowed(log: &Path) -> Result<usize> {
    let text = fs::read_to_string(log)?;
    let is_slowed = |number: &usize| {
        let name = Flooder::name(*number);
        text.lines().any(|line| line.contains("slowed") && line.split([' ', '"', '=']).any(|word| word == name))
    };
    Ok((0..FLOODERS).filter(is_slowed).count())
}
