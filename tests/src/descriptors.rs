//! File descriptors of the process that tests: many of them hold hundreds of connections, several at a time, and the limit that
//! a shell gives is often 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process as far as it goes without rights. Returns what it is then.
///
/// # Panics
/// When the kernel does not let a soft limit be the hard one.
pub fn raise() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the soft limit may go to the hard one");
    maximum.unwrap_or(u64::MAX)
}

/// Whether a test can have so many at once. It says so when it cannot.
pub fn suffice(needed: u64) -> bool {
    let limit = raise();
    if limit < needed {
        eprintln!("skipped: it needs {needed} file descriptors, and the hard limit is {limit}");
    }
    limit >= needed
}
