//! TCP: the addresses of a host, and a listener on each of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, bind, getsockname, listen, sockopt};

use super::super::socket_file::patiently;
use super::{ListenError, stream_socket};
use limits::{ACCEPT_BACKLOG, LOOPBACK_CONGESTION, SHARED_PORT_ATTEMPTS};

/// The addresses of a host, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Those to listen on; at least one.
    pub usable: Vec<SocketAddr>,
    /// Those of a kind that this machine does not have, as IPv6 in many containers. They are no more reason to do without the
    /// others than if the name did not have them.
    pub missing: Vec<SocketAddr>,
}

/// Looks up the addresses of a host.
///
/// # Errors
/// It has none.
pub fn resolve(host: &str, port: u16) -> Result<Addresses, ListenError> {
    let unresolved = |source| ListenError::Unresolved { host: host.to_owned(), port, source };
    let mut all = Vec::new();
    for address in (host, port).to_socket_addrs().map_err(unresolved)? {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    let (missing, usable): (Vec<_>, Vec<_>) = all.iter().partition(|address| is_missing(**address));
    match (usable.is_empty(), all.is_empty()) {
        (false, _) => Ok(Addresses { usable, missing }),
        // Listening on them says why it cannot be.
        (true, false) => Ok(Addresses { usable: all, missing: Vec::new() }),
        (true, true) => Err(unresolved(io::ErrorKind::NotFound.into())),
    }
}

/// Whether the machine has neither this address nor the one that every machine has that has any of its kind.
fn is_missing(address: SocketAddr) -> bool {
    let loopback = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { IpAddr::from(Ipv6Addr::LOCALHOST) };
    [with_port(address, 0), SocketAddr::new(loopback, 0)]
        .into_iter()
        .all(|address| matches!(bound(address), Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)))
}

/// The same address, of the same interface if it names one, with another port.
fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Sockets that listen on all of these addresses, which have the same port, with the addresses as they are bound.
pub(super) fn listen_on_all(addresses: &[SocketAddr]) -> Result<Vec<(OwnedFd, SocketAddr)>, ListenError> {
    let mut attempts = if addresses.len() > 1 { SHARED_PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match listen_once_on_all(addresses) {
            // Somebody else has the port that was free for the first one; the next is another.
            Err((Errno::ADDRINUSE, _, true)) if attempts > 0 => {}
            result => {
                return result.map_err(|(errno, address, _)| ListenError::Tcp { address, source: errno.into() });
            }
        }
    }
}

/// The same, once. Says what it has failed at, and whether the port was one that the kernel had picked.
fn listen_once_on_all(addresses: &[SocketAddr]) -> Result<Vec<(OwnedFd, SocketAddr)>, (Errno, SocketAddr, bool)> {
    let mut sockets: Vec<(OwnedFd, SocketAddr)> = Vec::new();
    for address in addresses {
        let picked = sockets.first().map(|(_, first)| first.port()).filter(|_| address.port() == 0);
        let address = with_port(*address, picked.unwrap_or(address.port()));
        let listening = match picked {
            Some(_) => listening(address),
            // A daemon that was killed a moment ago may still have it.
            None => patiently(|| listening(address), |result| matches!(result, Err(Errno::ADDRINUSE))),
        };
        sockets.push(listening.map_err(|errno| (errno, address, picked.is_some()))?);
    }
    Ok(sockets)
}

fn listening(address: SocketAddr) -> rustix::io::Result<(OwnedFd, SocketAddr)> {
    let socket = bound(address)?;
    if address.ip().is_loopback() {
        // Connections inherit it from the beginning: once a socket has paced its packets, it goes on.
        let _ = sockopt::set_tcp_congestion(&socket, LOOPBACK_CONGESTION);
    }
    listen(&socket, ACCEPT_BACKLOG)?;
    let bound = getsockname(&socket)?.try_into()?;
    Ok((socket, bound))
}

fn bound(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let socket = stream_socket(if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 })?;
    // So that a daemon can start again at once, while connections of the one before linger in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // Else it would take the port of IPv4 as well, where there may be another listener, of ours even.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}
