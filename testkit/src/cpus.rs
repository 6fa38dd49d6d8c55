//! Where threads run.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs that this process may run on.
///
/// # Errors
/// When there are more than a set has room for.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Keeps the calling thread, and those that it starts, on these CPUs.
///
/// # Errors
/// When it may not run there.
pub fn pin(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    let refused = |error| io::Error::other(format!("cannot run on CPUs {cpus:?}: {error}"));
    sched_setaffinity(None, &set).map_err(refused)
}

/// Does something on these CPUs, and comes back.
///
/// # Errors
/// When this thread may not run there.
pub fn on<R>(cpus: &[usize], act: impl FnOnce() -> R) -> io::Result<R> {
    let before = sched_getaffinity(None)?;
    pin(cpus)?;
    let result = act();
    sched_setaffinity(None, &before)?;
    Ok(result)
}
