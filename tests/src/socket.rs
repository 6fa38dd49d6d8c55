//! A connected stream socket of either kind, and where to connect to.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::Shutdown;
use rustix::net::sockopt::{self, Timeout};

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
pub(crate) struct Socket {
    file: File,
    /// Its own address, unless it is a unix socket.
    tcp: Option<SocketAddr>,
}

impl Socket {
    /// Connects; neither a read nor a write takes longer than `patience`.
    pub(crate) fn connect(address: &Address, patience: Duration) -> Self {
        let (socket, tcp): (OwnedFd, _) = match address {
            Address::Unix(path) => (UnixStream::connect(path).expect("the unix socket takes connections").into(), None),
            Address::Tcp(address) => {
                let socket = TcpStream::connect(address).expect("the TCP port takes connections");
                socket.set_nodelay(true).expect("options can be set");
                let own = socket.local_addr().expect("a connected socket has an address");
                (socket.into(), Some(own))
            }
        };
        sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(patience)).expect("a timeout can be set");
        let socket = Self { file: socket.into(), tcp };
        socket.set_write_timeout(patience);
        socket
    }

    pub(crate) fn set_write_timeout(&self, patience: Duration) {
        sockopt::set_socket_timeout(&self.file, Timeout::Send, Some(patience)).expect("a timeout can be set");
    }

    /// What the daemon calls this end in its log.
    pub(crate) fn label(&self) -> String {
        match self.tcp {
            None => format!("unix:{}/{}", std::process::id(), rustix::process::getuid().as_raw()),
            Some(own) => format!("tcp:{own}"),
        }
    }

    /// Its bytes, to be read and written.
    pub(crate) fn bytes(&mut self) -> &mut File {
        &mut self.file
    }

    pub(crate) fn shutdown_write(&self) -> rustix::io::Result<()> {
        rustix::net::shutdown(&self.file, Shutdown::Write)
    }

    /// The bare socket, if it is a unix one.
    pub(crate) fn into_unix(self) -> Option<UnixStream> {
        self.tcp.is_none().then(|| OwnedFd::from(self.file).into())
    }
}
