//! Directories for sockets: the path of a unix socket may be short only, and that of a directory for temporary files long.

use std::io;

use limits::UNIX_PATH_BYTES_MAX;
use tempfile::{Builder, TempDir};

/// The longest name of a socket in such a directory, in bytes, with the slash before it.
const NAME_BYTES_MAX: usize = 36;

/// Where paths are short on any Linux.
const SHORT: &str = "/tmp";

/// An empty directory, gone when the value is dropped: with all temporary files, unless the path of a socket would be too
/// long there.
///
/// # Errors
/// When there is no room for one.
pub fn directory() -> io::Result<TempDir> {
    let mut builder = Builder::new();
    let directory = builder.prefix("minbus-").tempdir()?;
    let is_short = directory.path().as_os_str().len() + NAME_BYTES_MAX <= UNIX_PATH_BYTES_MAX;
    if is_short { Ok(directory) } else { builder.tempdir_in(SHORT) }
}
