//! Connections to a server, and those that it takes: plugins and forwarders set their sockets like the relay does.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use limits::LOOPBACK_CONGESTION;
use minbus::Address;
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use testkit::address::{self, SEND_BUFFER_BYTES};

/// A connected socket, which blocks.
pub(crate) fn connect(address: &Address) -> io::Result<OwnedFd> {
    prepared(address, address::connect(address)?)
}

/// A connected socket from an address of this machine.
pub(crate) fn connect_from(source: Ipv4Addr, address: &Address) -> io::Result<OwnedFd> {
    let Address::Tcp { host, port } = address else { return connect(address) };
    let mut addresses = (host.as_str(), *port).to_socket_addrs()?;
    let to = addresses.find(SocketAddr::is_ipv4).ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    net::connect(&socket, &to)?;
    prepared(address, socket)
}

/// Takes connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => Ok(Self::Unix(UnixListener::bind(path)?)),
            Address::Abstract(_) => Err(io::ErrorKind::Unsupported.into()),
            Address::Tcp { host, port } => Ok(Self::Tcp(TcpListener::bind((host.as_str(), *port))?)),
        }
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Unix(listener) => Ok(listener.accept()?.0.into()),
            Self::Tcp(listener) => {
                let socket = listener.accept()?.0;
                socket.set_nodelay(true)?;
                Ok(socket.into())
            }
        }
    }

    /// The same, set as the relay does it.
    pub(crate) fn accept_as_the_relay(&self) -> io::Result<OwnedFd> {
        let socket = self.accept()?;
        match self {
            Self::Unix(_) => set_send_buffer(&socket)?,
            Self::Tcp(_) => sockopt::set_tcp_congestion(&socket, LOOPBACK_CONGESTION)?,
        }
        Ok(socket)
    }
}

fn prepared(address: &Address, socket: OwnedFd) -> io::Result<OwnedFd> {
    match address {
        Address::Tcp { .. } => sockopt::set_tcp_nodelay(socket.as_fd(), true)?,
        _ => set_send_buffer(&socket)?,
    }
    Ok(socket)
}

fn set_send_buffer(socket: &OwnedFd) -> io::Result<()> {
    let forced = sockopt::set_socket_send_buffer_size_force(socket, SEND_BUFFER_BYTES);
    Ok(forced.or_else(|_| sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER_BYTES))?)
}
