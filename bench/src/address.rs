//! Where a server listens, and sockets for it: those of plugins and forwarders are set like those of the relay.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;

use relay::limits::LOOPBACK_CONGESTION;
use rustix::net::sockopt;

/// Send buffer of unix sockets, in bytes: what the relay takes by default.
const UNIX_SEND_BUFFER_BYTES: usize = 1 << 20;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl Address {
    /// A connected socket, which blocks.
    pub(crate) fn connect(&self) -> io::Result<OwnedFd> {
        let socket = match self {
            Self::Unix(path) => UnixStream::connect(path)?.into(),
            Self::Tcp(host_port) => TcpStream::connect(host_port)?.into(),
        };
        self.prepare(socket)
    }

    /// The first `count` connections, in the order in which they come.
    pub(crate) fn accept(&self, count: usize) -> io::Result<Vec<OwnedFd>> {
        let accepted: io::Result<Vec<OwnedFd>> = match self {
            Self::Unix(path) => UnixListener::bind(path)?.incoming().take(count).map(|s| Ok(s?.into())).collect(),
            Self::Tcp(host_port) => {
                TcpListener::bind(host_port)?.incoming().take(count).map(|s| Ok(s?.into())).collect()
            }
        };
        accepted?.into_iter().map(|socket| self.as_the_relay(self.prepare(socket)?)).collect()
    }

    /// Sets an accepted socket as the relay does, which has the same connections to loopback.
    fn as_the_relay(&self, socket: OwnedFd) -> io::Result<OwnedFd> {
        if matches!(self, Self::Tcp(_)) {
            sockopt::set_tcp_congestion(&socket, LOOPBACK_CONGESTION)?;
        }
        Ok(socket)
    }

    fn prepare(&self, socket: OwnedFd) -> io::Result<OwnedFd> {
        match self {
            Self::Unix(_) => sockopt::set_socket_send_buffer_size_force(&socket, UNIX_SEND_BUFFER_BYTES)
                .or_else(|_| sockopt::set_socket_send_buffer_size(&socket, UNIX_SEND_BUFFER_BYTES))?,
            Self::Tcp(_) => sockopt::set_tcp_nodelay(socket.as_fd(), true)?,
        }
        Ok(socket)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", host_port)) => Ok(Self::Tcp(host_port.into())),
            _ => Err("an address is unix:PATH or tcp:HOST:PORT".into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host_port) => write!(f, "tcp:{host_port}"),
        }
    }
}
