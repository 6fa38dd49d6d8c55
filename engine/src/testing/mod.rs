//! What the tests of several modules need.

mod allocator;

pub use allocator::{CountingAllocator, counting, live_bytes};

use tempfile::{Builder, TempDir};

/// An empty directory in which a socket has a path that is short enough, wherever temporary files are.
/// # Panics
/// None can be made.
#[must_use]
pub fn directory() -> TempDir {
    /// Leaves room for the name of any socket here.
    const PATH_BYTES_MAX: usize = 70;
    let directory = tempfile::tempdir().expect("a temporary directory");
    if directory.path().as_os_str().len() <= PATH_BYTES_MAX {
        return directory;
    }
    Builder::new().tempdir_in("/tmp").expect("a temporary directory with a short name")
}
