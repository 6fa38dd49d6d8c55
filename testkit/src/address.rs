//! Connections to addresses, which are those of the plugin library, and addresses that are free.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use minbus::Address;
use rustix::net::sockopt::socket_peercred;

/// Bytes of send buffer that a writer asks for: one that finds room seldom sleeps. It is what the relay takes by default.
pub const SEND_BUFFER_BYTES: usize = 1 << 20;

/// A connected socket, which blocks, and sends what is written to it at once.
///
/// # Errors
/// When nobody listens there.
pub fn connect(address: &Address) -> io::Result<OwnedFd> {
    match address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port))?;
            stream.set_nodelay(true)?;
            Ok(stream.into())
        }
        _ => Ok(connect_unix(address)?.into()),
    }
}

/// The process that listens there, if that can be known: that of a unix socket can, and only while it is ours to see.
#[must_use]
pub fn listener_pid(address: &Address) -> Option<u32> {
    let pid = socket_peercred(connect_unix(address).ok()?).ok()?.pid;
    u32::try_from(pid.as_raw_nonzero().get()).ok()
}

/// A port that was free a moment ago, and is likely to be: on an address of this machine of which no other process takes
/// ports, neither to listen nor to connect.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<Address> {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let listener = TcpListener::bind((Ipv4Addr::new(127, 1 + high % 0x80, middle, low), 0))?;
    let address = listener.local_addr()?;
    Ok(Address::Tcp { host: address.ip().to_string(), port: address.port() })
}

fn connect_unix(address: &Address) -> io::Result<UnixStream> {
    match address {
        Address::Unix(path) => UnixStream::connect(path),
        Address::Abstract(name) => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?),
        Address::Tcp { .. } => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn an_abstract_socket_can_be_reached() {
        let name = format!("minbus-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let _listener = UnixListener::bind_addr(&address).expect("nobody else has it");
        let address: Address = format!("unix:@{name}").parse().expect("valid");
        connect(&address).expect("somebody listens");
        assert_eq!(listener_pid(&address), Some(std::process::id()));
    }
}
