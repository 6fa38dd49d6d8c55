//! Readers that take nothing from their sockets: what bystanders lose, and what the kernel holds for them.
//!
//! The kernel counts what it holds for TCP in `/proc/net/sockstat`, but for unix sockets nowhere. What can be asked is how many
//! bytes of payload wait in each (`FIONREAD`); what it takes to hold them is up to twice as much, since the kernel counts
//! whole buffers, and is bounded by `socket.unix_send_buffer_bytes`, which the kernel doubles.

use std::os::fd::AsFd;

use anyhow::Result;
use rustix::io::ioctl_fionread;

use super::attack::{PATIENT, Stage, beside, case};
use crate::credit::stalled::Stalled;
use crate::lab::case::Case;
use crate::lab::round::Figures;
use crate::lab::scene::Scene;

pub(super) fn cases() -> Vec<Case> {
    vec![case("stalled", "50 readers that do not read, and 20 that write to each of them", measure)]
}

fn measure(scene: &Scene, is_attacked: bool) -> Result<Figures> {
    let mut held = Vec::new();
    let mut figures = beside(scene, PATIENT, is_attacked, |server| {
        if !is_attacked {
            return Ok(Stage::default());
        }
        let stalled = Stalled::fill(scene, server)?;
        let waiting = |socket: &_| Ok(ioctl_fionread(AsFd::as_fd(socket))? as f64);
        held = stalled.readers().iter().map(waiting).collect::<Result<Vec<f64>>>()?;
        Ok(Stage::default().keep(stalled))
    })?;
    if !held.is_empty() {
        let sum: f64 = held.iter().sum();
        figures.push(("kernel MB", sum / 1e6));
        figures.push(("kernel MB each", sum / held.len() as f64 / 1e6));
    }
    Ok(figures)
}
