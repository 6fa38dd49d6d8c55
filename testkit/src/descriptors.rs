//! File descriptors: who holds hundreds of connections needs more than the 1,024 that a shell often gives.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process as far as it goes without rights. Returns what it is then.
///
/// # Errors
/// When the kernel does not let a soft limit be the hard one.
pub fn raise() -> io::Result<u64> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}
