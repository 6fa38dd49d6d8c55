//! Where a server listens, and sockets for it: those of plugins and forwarders are set like those of the relay.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;

use limits::LOOPBACK_CONGESTION;
use rustix::net::{self, AddressFamily, SocketType, sockopt};

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

    /// A connected socket from an address of this machine.
    pub(crate) fn connect_from(&self, source: Ipv4Addr) -> io::Result<OwnedFd> {
        let Self::Tcp(host_port) = self else { return self.connect() };
        let to = host_port.to_socket_addrs()?.find(SocketAddr::is_ipv4).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        net::bind(&socket, &SocketAddrV4::new(source, 0))?;
        net::connect(&socket, &to)?;
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

    /// As the plugin library has them.
    fn from_str(text: &str) -> Result<Self, String> {
        let address: minbus::Address = text.parse().map_err(|error: minbus::AddressError| error.to_string())?;
        if let minbus::Address::Unix(path) = address {
            return Ok(Self::Unix(path));
        }
        // Whatever else there may be: as it is written, which the library has looked at.
        let host_port = text.strip_prefix("tcp:").ok_or("an address is unix:PATH or tcp:HOST:PORT")?;
        Ok(Self::Tcp(host_port.into()))
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
