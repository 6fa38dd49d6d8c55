//! A connected socket to a relay. Addresses are those of the plugin library.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

pub(crate) use minbus::Address;
use rustix::net::sockopt::set_socket_send_buffer_size;
use testkit::address::SEND_BUFFER_BYTES;

/// Connects.
pub(crate) fn connect(address: &Address) -> io::Result<OwnedFd> {
    let socket = testkit::address::connect(address)?;
    enlarge_send_buffer(&socket)?;
    Ok(socket)
}

/// Asks for a large send buffer: a writer that finds room seldom sleeps. The system may give less.
pub(crate) fn enlarge_send_buffer(socket: impl AsFd) -> io::Result<()> {
    Ok(set_socket_send_buffer_size(socket, SEND_BUFFER_BYTES)?)
}
