//! Why there is no listener, in words that say what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The path does not fit in a socket address.
    #[error("cannot listen on {}: the path has {} bytes, and a unix socket can have {}; choose a shorter one",
        .0.display(), .0.as_os_str().len(), limits::UNIX_PATH_BYTES_MAX)]
    PathTooLong(PathBuf),
    /// The directory of the socket does not exist.
    #[error("cannot listen on {}: there is no directory {}; create it, or choose another path",
        path.display(), directory.display())]
    NoDirectory {
        /// The socket.
        path: PathBuf,
        /// What should hold it.
        directory: PathBuf,
    },
    /// Something else stands where the socket should be. It is left alone.
    #[error("cannot listen on {}: it exists and is not a socket; move it, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// Somebody listens there already.
    #[error("cannot listen on {}: a living daemon{} serves it; stop that one, or choose another path", path.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Served {
        /// The socket.
        path: PathBuf,
        /// The process that serves it, if it is one of ours.
        pid: Option<u32>,
    },
    /// The system refused something about a unix socket.
    #[error("cannot listen on {}: {action}: {source}", path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The host has no address.
    #[error("cannot listen on {host}:{port}: the host cannot be resolved: {source}")]
    Unresolved {
        /// The host as given.
        host: String,
        /// The port as given.
        port: u16,
        /// What the resolver said.
        source: io::Error,
    },
    /// The system refused to listen on one of the addresses of the host.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// That address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The system refused something about the socket at this path.
pub(super) fn unix_error(path: &Path, action: &'static str, source: impl Into<io::Error>) -> ListenError {
    ListenError::Unix { path: path.to_owned(), action, source: source.into() }
}
