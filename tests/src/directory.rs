//! Directories for sockets, wherever temporary files are: the path of a unix socket has 107 bytes at the most, and that
//! of a directory for temporary files may have more.

use tempfile::{Builder, TempDir};

/// The longest path of a directory in which all sockets of these tests have names.
const PATH_BYTES_MAX: usize = 70;

/// Where paths are short on any Linux.
const SHORT: &str = "/tmp";

/// An empty directory, gone when the value is dropped.
///
/// # Panics
/// When there is no room for one.
#[must_use]
pub fn directory() -> TempDir {
    let mut builder = Builder::new();
    let directory = builder.prefix("minbus-").tempdir().expect("a temporary directory");
    if directory.path().as_os_str().len() <= PATH_BYTES_MAX {
        return directory;
    }
    builder.tempdir_in(SHORT).expect("a temporary directory with a short name")
}
