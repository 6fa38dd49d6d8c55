//! CPU affinity: binds a thread to a CPU.

use std::io;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Binds the calling thread to one CPU.
///
/// # Errors
/// The process may not run there.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    Ok(sched_setaffinity(None, &cpus)?)
}
