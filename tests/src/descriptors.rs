//! File descriptors of the process that tests: many tests hold hundreds of connections, several at a time.

/// Whether a test can have so many at once. It says so when it cannot.
///
/// # Panics
/// When the kernel does not let a soft limit be the hard one.
pub fn suffice(needed: u64) -> bool {
    let limit = testkit::descriptors::raise().expect("the soft limit may go to the hard one");
    if limit < needed {
        eprintln!("skipped: it needs {needed} file descriptors, and the hard limit is {limit}");
    }
    limit >= needed
}
