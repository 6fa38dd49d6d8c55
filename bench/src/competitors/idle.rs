//! What a server holds for a client that only is there.

use anyhow::{Context, Result};

use super::figures::Figures;
use super::host::{Host, memory_bytes};
use crate::traffic::sample::Sample;

/// Clients that are there before those that count: what the server sets up once is set up by then.
const BEFORE: usize = 200;

/// Measures the memory of each of `count` clients.
pub(super) fn measure(host: &mut Host, count: usize) -> Result<Figures> {
    let mut clients = Vec::new();
    let mut join_until = |count: usize, host: &mut Host| -> Result<u64> {
        while clients.len() < count {
            let number = clients.len();
            clients.push(host.idle(number).with_context(|| format!("after {number} clients"))?);
        }
        Ok(memory_bytes(host.pid())?)
    };
    let before = join_until(BEFORE, host)?;
    let after = join_until(BEFORE + count, host)?;
    Ok(Figures::of(Sample::memory((after as f64 - before as f64) / count as f64)))
}
