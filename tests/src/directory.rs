//! Directories of tests.

use tempfile::TempDir;

/// An empty directory for sockets and files, gone when the value is dropped.
///
/// # Panics
/// When there is no room for one.
#[must_use]
pub fn directory() -> TempDir {
    testkit::directory::directory().expect("a temporary directory")
}
