//! A connected socket to a relay, and its process. Addresses are those of the plugin library.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

pub(crate) use minbus::Address;

/// Bytes of send buffer to ask for: a writer that finds room seldom sleeps.
const SEND_BUFFER_BYTES: usize = 1 << 20;

/// Connects.
pub(crate) fn connect(address: &Address) -> io::Result<OwnedFd> {
    let socket: OwnedFd = match address {
        Address::Unix(_) | Address::Abstract(_) => connect_unix(address)?.into(),
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port))?;
            stream.set_nodelay(true)?;
            stream.into()
        }
    };
    enlarge_send_buffer(&socket)?;
    Ok(socket)
}

/// Asks for a large send buffer. The system may give less.
pub(crate) fn enlarge_send_buffer(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER_BYTES)?)
}

/// The process that listens there, if that can be known: that of a unix socket can, and only while it is ours to see.
pub(crate) fn listener_pid(address: &Address) -> Option<u32> {
    let socket = connect_unix(address).ok()?;
    let pid = rustix::net::sockopt::socket_peercred(socket).ok()?.pid;
    u32::try_from(pid.as_raw_nonzero().get()).ok()
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
        let name = format!("minbus-load-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let _listener = UnixListener::bind_addr(&address).expect("nobody else has it");
        let address: Address = format!("unix:@{name}").parse().expect("valid");
        connect(&address).expect("somebody listens");
        assert_eq!(listener_pid(&address), Some(std::process::id()));
    }
}
