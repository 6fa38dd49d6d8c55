//! Tells the service manager how far we are, as sd_notify(3) describes: a datagram to the socket in `$NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// We serve: `Type=notify` units count as started.
pub(super) const READY: &str = "READY=1";

/// We have begun to stop.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Sends a state, if there is a service manager that wants to know.
pub(super) fn notify(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(socket = %socket.display(), %error, "cannot notify the service manager");
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_arrives_by_path_and_by_abstract_name() {
        let directory = engine::testing::directory();
        let path = directory.path().join("notify");
        let name = format!("minbusd-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).expect("a short name");
        for (receiver, socket) in [
            (UnixDatagram::bind(&path), path.as_os_str().to_owned()),
            (UnixDatagram::bind_addr(&abstract_name), format!("@{name}").into()),
        ] {
            let receiver = receiver.expect("bound");
            send(&socket, READY).expect("sent");
            let mut heard = [0; 32];
            let count = receiver.recv(&mut heard).expect("received");
            assert_eq!(&heard[..count], b"READY=1");
        }
    }
}
