//! A connected stream socket of either kind, and where to connect to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Where to connect to.
#[derive(Clone, Debug)]
pub enum Address {
    /// A unix stream socket.
    Unix(PathBuf),
    /// A TCP socket.
    Tcp(SocketAddr),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// A connected socket.
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// Connects; neither a read nor a write takes longer than `patience`.
    pub(crate) fn connect(address: &Address, patience: Duration) -> Self {
        let socket = match address {
            Address::Unix(path) => Self::Unix(UnixStream::connect(path).expect("the unix socket takes connections")),
            Address::Tcp(address) => Self::Tcp(TcpStream::connect(address).expect("the TCP port takes connections")),
        };
        match &socket {
            Self::Unix(socket) => socket.set_read_timeout(Some(patience)),
            Self::Tcp(socket) => socket.set_read_timeout(Some(patience)).and_then(|()| socket.set_nodelay(true)),
        }
        .expect("options can be set");
        socket.set_write_timeout(patience);
        socket
    }

    pub(crate) fn set_write_timeout(&self, patience: Duration) {
        match self {
            Self::Unix(socket) => socket.set_write_timeout(Some(patience)),
            Self::Tcp(socket) => socket.set_write_timeout(Some(patience)),
        }
        .expect("a timeout can be set");
    }

    /// What the daemon calls this end in its log.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Unix(_) => format!("unix:{}/{}", std::process::id(), rustix::process::getuid().as_raw()),
            Self::Tcp(socket) => format!("tcp:{}", socket.local_addr().expect("a connected socket has an address")),
        }
    }

    pub(crate) fn reader(&mut self) -> &mut dyn Read {
        match self {
            Self::Unix(socket) => socket,
            Self::Tcp(socket) => socket,
        }
    }

    pub(crate) fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Unix(socket) => socket,
            Self::Tcp(socket) => socket,
        }
    }

    pub(crate) fn shutdown_write(&self) -> std::io::Result<()> {
        match self {
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
        }
    }
}
