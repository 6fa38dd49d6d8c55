//! Listening sockets, bound before any shard runs.
//!
//! A listener of a unix socket owns its path (see `socket_file`): it takes the path over from a dead daemon, never from
//! a living one, and gives it up when it is dropped.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, bind, listen};

use super::listen_error::unix_error;
use super::socket::stream_socket;
use super::socket_file::{self, Claim, patiently};
use limits::ACCEPT_BACKLOG;

pub use super::listen_error::ListenError;
pub use super::socket_file::{Occupant, SocketFile};
pub use tcp::{Addresses, resolve};

mod tcp;

/// Where a listener is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The path of a unix socket.
    Unix(PathBuf),
    /// The name of an abstract unix socket.
    Abstract(String),
    /// The address and port of a TCP socket, as bound: never port 0.
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// A bound, listening, nonblocking socket. Connections to it are queued from the moment it exists.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    address: Address,
    file: Option<Arc<SocketFile>>,
}

impl Listener {
    /// Listens on a path, with `mode` as the rights of the socket file. At no time does the file have wider ones.
    ///
    /// # Errors
    /// The path is served, is no socket, is too long, or the system refuses.
    pub fn unix(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let failed = |action| move |source: Errno| unix_error(path, action, source);
        let claim = Claim::take(path)?;
        let mode = Mode::from_raw_mode(mode);
        let socket = stream_socket(AddressFamily::UNIX).map_err(failed("creating a socket"))?;
        // The file inherits the rights of the socket, less the umask: as wide as asked for, or less wide.
        rustix::fs::fchmod(&socket, mode).map_err(failed("limiting its rights"))?;
        let name = SocketAddrUnix::new(path).map_err(failed("naming it"))?;
        bind(&socket, &name).map_err(failed("binding"))?;
        let file = SocketFile::bound(claim, mode)?;
        listen(&socket, ACCEPT_BACKLOG).map_err(failed("listening"))?;
        Ok(Self { socket, address: Address::Unix(path.to_owned()), file: Some(Arc::new(file)) })
    }

    /// Listens on an abstract socket, which nobody's rights keep anybody from: who may see it may connect.
    ///
    /// # Errors
    /// Somebody serves it, or the system refuses.
    pub fn abstract_unix(name: &str) -> Result<Self, ListenError> {
        let path = PathBuf::from(format!("@{name}"));
        let named = &path;
        let failed = |action| move |source: Errno| unix_error(named, action, source);
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(failed("naming it"))?;
        let socket = stream_socket(AddressFamily::UNIX).map_err(failed("creating a socket"))?;
        // A daemon that was killed a moment ago may still have it.
        match patiently(|| bind(&socket, &address), |result| matches!(result, Err(Errno::ADDRINUSE))) {
            Err(Errno::ADDRINUSE) => return Err(ListenError::Served { path, pid: None }),
            bound => bound.map_err(failed("binding"))?,
        }
        listen(&socket, ACCEPT_BACKLOG).map_err(failed("listening"))?;
        Ok(Self { socket, address: Address::Abstract(name.to_owned()), file: None })
    }

    /// Listens on all of these addresses. Where they have port 0 it takes one that is free on all of them;
    /// [`Listener::address`] knows which.
    ///
    /// # Errors
    /// The system refuses one of them.
    pub fn tcp(addresses: &[SocketAddr]) -> Result<Vec<Self>, ListenError> {
        let listener = |(socket, address)| Self { socket, address: Address::Tcp(address), file: None };
        Ok(tcp::listen_on_all(addresses)?.into_iter().map(listener).collect())
    }

    /// Where it is reached.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Takes it apart: the socket, and its file if it has one. Nobody can connect any more when the socket is closed;
    /// the path is given up when the file is dropped.
    #[must_use]
    pub fn into_parts(self) -> (OwnedFd, Option<Arc<SocketFile>>) {
        (self.socket, self.file)
    }

    /// The file of a unix socket, for one who must remove it without waiting for the listener to be dropped.
    #[must_use]
    pub fn file(&self) -> Option<Weak<SocketFile>> {
        self.file.as_ref().map(Arc::downgrade)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Looks at what stands where a unix socket should be, and changes nothing.
///
/// # Errors
/// Nothing could listen there, whoever it is.
pub fn inspect_unix(path: &Path) -> Result<Occupant, ListenError> {
    socket_file::inspect(path)
}

#[cfg(test)]
mod tests;
