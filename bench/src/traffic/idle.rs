//! What a server holds for something of which there is much, and which does nothing.

use anyhow::{Context, Result};

use super::sample::Sample;

/// Measures the memory of each of `count` things that are there beside those that count for nothing: what the server sets up
/// once is set up by then. They are kept until all has been measured.
pub(crate) fn measure<T>(
    before: usize,
    count: usize,
    mut add: impl FnMut(usize) -> Result<T>,
    memory_bytes: impl Fn() -> std::io::Result<u64>,
) -> Result<Sample> {
    let mut things = Vec::new();
    let mut add_until = |count: usize| -> Result<f64> {
        while things.len() < count {
            let number = things.len();
            things.push(add(number).with_context(|| format!("after {number} others"))?);
        }
        Ok(memory_bytes()? as f64)
    };
    let fewer = add_until(before)?;
    let more = add_until(before + count)?;
    Ok(Sample::memory((more - fewer) / count as f64))
}
