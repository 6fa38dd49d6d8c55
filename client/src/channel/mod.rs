//! Channels: connections to other plugins.

mod bytes;
mod receiver;
mod sender;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::bytes::Bytes;

pub use self::bytes::{ByteReader, ByteStream, ByteWriter};
pub use self::receiver::Receiver;
pub use self::sender::{MessageSender, Sender};

use crate::error::{OpenError, PingError, RecvError, SendError};
use crate::name::Name;
use crate::session::{HalfId, Part, ReaderId, WriterId};
use crate::shared::Handle;

/// Pings on a half; returns the measured round trip.
async fn ping(handle: &Handle, id: HalfId) -> Result<Duration, PingError> {
    let start = Instant::now();
    let ticket = handle.with(|session| session.ping_half(id))?;
    poll_fn(|cx| handle.with(|session| session.poll_pong(id, ticket, cx))).await?;
    Ok(start.elapsed())
}

/// A channel to another plugin: whole messages both ways.
///
/// Each direction is a half of its own, which its writer closes and its reader cancels. Dropping a half ends it, behind
/// what was sent before; see [`Sender`] and [`Receiver`] about what that promises.
///
/// ```no_run
/// # async fn run(bus: minbus::Bus) -> Result<(), Box<dyn std::error::Error>> {
/// let mut channel = bus.open("echo").await?;
/// channel.send("hello").await?;
/// let answer = channel.recv().await?.ok_or("closed without an answer")?;
/// println!("{answer:?} after {:?}", channel.ping().await?);
/// channel.close("bye").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Channel {
    sender: Sender,
    receiver: Receiver,
}

impl Channel {
    pub(crate) fn new(handle: &Handle, writer: WriterId, reader: ReaderId) -> Self {
        let sender = Sender::new(Arc::clone(handle), writer);
        let receiver = Receiver::new(Arc::clone(handle), reader);
        Self { sender, receiver }
    }

    pub(crate) fn poll_accepted(&mut self, name: &Name, cx: &mut Context<'_>) -> Poll<Result<(), OpenError>> {
        self.receiver.poll_accepted(name, cx)
    }

    /// Splits the channel into its two halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Makes a stream of bytes of the channel, in which messages have no meaning.
    #[must_use]
    pub fn into_stream(self) -> ByteStream {
        ByteStream::new(ByteReader::from(self.receiver), ByteWriter::from(self.sender))
    }

    /// See [`Sender::send`].
    ///
    /// # Errors
    /// The half is over.
    pub async fn send(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// See [`Sender::ready`].
    ///
    /// # Errors
    /// The half is over.
    pub async fn ready(&mut self) -> Result<(), SendError> {
        self.sender.ready().await
    }

    /// See [`Sender::send_in_pieces`].
    ///
    /// # Errors
    /// The half is over.
    pub async fn send_in_pieces(&mut self, total: u64) -> Result<MessageSender<'_>, SendError> {
        self.sender.send_in_pieces(total).await
    }

    /// See [`Sender::flush`].
    ///
    /// # Errors
    /// The half is over.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.sender.flush().await
    }

    /// See [`Sender::close`]. Messages can still be received.
    ///
    /// # Errors
    /// The half is over, or the payload too long.
    pub async fn close(&mut self, payload: impl Into<Bytes>) -> Result<(), SendError> {
        self.sender.close(payload).await
    }

    /// See [`Receiver::recv`].
    ///
    /// # Errors
    /// The half is over and was not closed, or the message is too large.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RecvError> {
        self.receiver.recv().await
    }

    /// See [`Receiver::recv_part`].
    ///
    /// # Errors
    /// The half is over and was not closed.
    pub async fn recv_part(&mut self) -> Result<Option<Part>, RecvError> {
        self.receiver.recv_part().await
    }

    /// See [`Receiver::close_payload`].
    #[must_use]
    pub fn close_payload(&self) -> Option<Bytes> {
        self.receiver.close_payload()
    }

    /// See [`Receiver::cancel`]. Messages can still be sent.
    ///
    /// # Errors
    /// The payload is too long, or the connection to the bus is over.
    pub async fn cancel(&mut self, payload: impl Into<Bytes>) -> Result<(), RecvError> {
        self.receiver.cancel(payload).await
    }

    /// Measures the way to the other plugin and back. It answers by itself, without its program's help.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// Both halves are over, or end before the answer comes.
    pub async fn ping(&mut self) -> Result<Duration, PingError> {
        match self.receiver.ping().await {
            Err(PingError::Ended) => self.sender.ping().await,
            result => result,
        }
    }
}
