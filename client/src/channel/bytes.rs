//! A channel as a stream of bytes, for any protocol that runs over one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Receiver, Sender};
use crate::error::{RecvError, SendError};

/// A channel as a stream of bytes: [`AsyncRead`] and [`AsyncWrite`].
///
/// What is written leaves in messages as credit and time will have it; what is read takes no notice of where they end.
/// Flushing it waits until what was written is with the kernel. Shutting it down closes the half that is written, with the
/// same promise, and the end of the stream is the other plugin's closing. Where that left without closing, reading fails:
/// what was read is not all.
///
/// The two halves end independently of each other. Where writing fails, because the other plugin wants no more, what it has
/// said before, and why, can still be read; who gives up reading with writing loses that.
///
/// ```no_run
/// # async fn run(bus: minbus::Bus) -> Result<(), Box<dyn std::error::Error>> {
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let (mut reader, mut writer) = bus.open("upper").await?.into_stream().into_split();
/// let writing = async {
///     writer.write_all(b"hello").await?;
///     writer.shutdown().await
/// };
/// let mut answer = String::new();
/// let (written, read) = tokio::join!(writing, reader.read_to_string(&mut answer));
/// println!("{answer}");
/// read.and(written)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ByteStream {
    reader: ByteReader,
    writer: ByteWriter,
}

impl ByteStream {
    pub(super) fn new(reader: ByteReader, writer: ByteWriter) -> Self {
        Self { reader, writer }
    }

    /// Splits the stream into its two halves, for two tasks.
    #[must_use]
    pub fn into_split(self) -> (ByteReader, ByteWriter) {
        (self.reader, self.writer)
    }
}

/// The reading half of a [`ByteStream`].
#[derive(Debug)]
pub struct ByteReader(Receiver);

impl ByteReader {
    /// The next bytes, without copying them; nothing at the end of the stream.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// The half is over and was not closed.
    pub async fn read_bytes(&mut self) -> Result<Option<Bytes>, RecvError> {
        self.0.recv_bytes().await
    }

    /// The half of the channel that it reads.
    #[must_use]
    pub fn into_inner(self) -> Receiver {
        self.0
    }
}

impl From<Receiver> for ByteReader {
    fn from(receiver: Receiver) -> Self {
        Self(receiver)
    }
}

/// The writing half of a [`ByteStream`].
#[derive(Debug)]
pub struct ByteWriter(Sender);

impl ByteWriter {
    /// The half of the channel that it writes.
    #[must_use]
    pub fn into_inner(self) -> Sender {
        self.0
    }
}

impl From<Sender> for ByteWriter {
    fn from(sender: Sender) -> Self {
        Self(sender)
    }
}

impl AsyncRead for ByteReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let len = ready!(self.get_mut().0.poll_read(buf.initialize_unfilled(), cx))?;
        buf.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().0.poll_write(buf, cx).map_err(io::Error::from)
    }

    /// What was written leaves by itself; this waits until it has.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_flush(cx).map_err(io::Error::from)
    }

    /// Where the other plugin wanted no more there is nothing left to shut down, as with a socket.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match ready!(self.get_mut().0.poll_close(&Bytes::new(), cx)) {
            Ok(()) | Err(SendError::Cancelled { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().writer).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().writer).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().writer).poll_shutdown(cx)
    }
}
