//! Sockets to a bus: unix or TCP.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

/// Send buffer of unix sockets, in bytes: with the small default one the two ends wait for each other at each turn.
/// The kernel cuts it to what it allows.
const UNIX_SEND_BUFFER: usize = 1 << 20;

/// Waiting before connecting is tried again where a unix socket's queue is full: the first time, and the longest, as the
/// waiting doubles. Short at first, because a relay that lives takes a whole queue within moments.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(1);
const RETRY_AFTER_MAX: Duration = Duration::from_millis(100);

/// Connects to a host.
pub(crate) async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects to a unix socket. Where its queue is full, which a blocking socket would wait for, it tries until it is not:
/// the caller bounds the time.
pub(crate) async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let mut retry_after = RETRY_AFTER_MIN;
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => {
                sockopt::set_socket_send_buffer_size(&stream, UNIX_SEND_BUFFER)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(retry_after).await,
            Err(error) => return Err(error),
        }
        retry_after = (2 * retry_after).min(RETRY_AFTER_MAX);
    }
}
