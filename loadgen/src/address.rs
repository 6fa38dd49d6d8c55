//! A connected socket to a relay. Addresses are those of the plugin library.

use std::io;
use std::os::fd::OwnedFd;

pub(crate) use minbus::Address;
use rustix::net::sockopt::set_socket_send_buffer_size;
pub(crate) use testkit::address::SEND_BUFFER_BYTES;

/// Connects. The system may give less send buffer than is asked for.
pub(crate) fn connect(address: &Address) -> io::Result<OwnedFd> {
    let socket = testkit::address::connect(address)?;
    set_socket_send_buffer_size(&socket, SEND_BUFFER_BYTES)?;
    Ok(socket)
}
