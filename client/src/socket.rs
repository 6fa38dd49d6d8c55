//! Sockets to a bus: unix or TCP.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

use crate::address::Address;

/// Send buffer of unix sockets, in bytes: with the small default one the two ends wait for each other at each turn.
/// The kernel cuts it to what it allows.
const UNIX_SEND_BUFFER: usize = 1 << 20;

/// Waiting before connecting is tried again where a unix socket's queue is full: the first time, and the longest, as the
/// waiting doubles. Short at first, because a relay that lives takes a whole queue within moments.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(1);
const RETRY_AFTER_MAX: Duration = Duration::from_millis(100);

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => Self::connect_unix(path).await,
            // So abstract names are written where paths are.
            Address::Abstract(name) => Self::connect_unix(Path::new(&format!("\0{name}"))).await,
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    /// Connects to a unix socket. Where its queue is full, which a blocking socket would wait for, it tries until it is not:
    /// the caller bounds the time.
    async fn connect_unix(path: &Path) -> io::Result<Self> {
        let mut retry_after = RETRY_AFTER_MIN;
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => {
                    sockopt::set_socket_send_buffer_size(&stream, UNIX_SEND_BUFFER)?;
                    return Ok(Self::Unix(stream));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(retry_after).await,
                Err(error) => return Err(error),
            }
            retry_after = (2 * retry_after).min(RETRY_AFTER_MAX);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
