//! The half of a channel that this program writes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;

use crate::error::{PingError, SendError};
use crate::session::{HalfId, WriterId};
use crate::shared::Handle;

/// The half of a channel that this program writes.
///
/// Dropping it closes the half with an empty payload, behind what was sent. That is only begun, and carried out by the
/// connection's task: whoever ends the program next waits for [`Sender::close`] or [`Bus::close`](crate::Bus::close) instead.
#[derive(Debug)]
pub struct Sender {
    handle: Handle,
    id: WriterId,
}

impl Sender {
    pub(super) fn new(handle: Handle, id: WriterId) -> Self {
        Self { handle, id }
    }

    /// Sends a message of any size. It is queued, and leaves as the other plugin gives credit for it; this waits when
    /// more than [`Builder::send_queue_max`](crate::Builder::send_queue_max) is queued. When it returns, the message is in this
    /// process still: [`Sender::flush`] waits until it has left.
    ///
    /// A future that is dropped before it was done has sent nothing of the message; one that is done has queued all of
    /// it. To keep the message in the first case, wait for [`Sender::ready`] before.
    ///
    /// # Errors
    /// The half is over.
    #[inline]
    pub async fn send(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        let mut message = Some(message.into());
        poll_fn(|cx| {
            self.handle.poll_with(cx, |session, cx| {
                ready!(session.poll_ready(self.id, cx))?;
                Poll::Ready(session.push_message(self.id, message.take().unwrap_or_default()))
            })
        })
        .await
    }

    /// Waits until the next [`Sender::send`] will not have to wait.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// The half is over.
    pub async fn ready(&mut self) -> Result<(), SendError> {
        poll_fn(|cx| self.handle.with(|session| session.poll_ready(self.id, cx))).await
    }

    /// Begins a message of `total` bytes that is given piece by piece, so that it need not be in memory as a whole.
    ///
    /// # Errors
    /// The half is over.
    pub async fn send_in_pieces(&mut self, total: u64) -> Result<MessageSender<'_>, SendError> {
        poll_fn(|cx| {
            self.handle.with(|session| {
                ready!(session.poll_ready(self.id, cx))?;
                Poll::Ready(session.begin_message(self.id, total))
            })
        })
        .await?;
        Ok(MessageSender { sender: self })
    }

    /// Waits until the other plugin has given credit for all that was sent, and all of it is written to the socket. Then the
    /// kernel has it, and the program may end (see [the crate](crate#what-is-promised) about TCP). A stream that was
    /// [brought along](crate::Builder::connect_over) is flushed, too.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// The half or the connection was over before all of it was written.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.handle.with(|session| session.poll_flush(self.id, cx))
    }

    /// Waits until nothing more can be sent, and tells why: the other plugin has cancelled the half or has left, or it
    /// was closed here.
    ///
    /// Dropping the future is harmless.
    pub async fn over(&mut self) -> SendError {
        poll_fn(|cx| self.handle.with(|session| session.poll_over(self.id, cx))).await
    }

    /// Closes the half behind what was sent, with a payload of at most
    /// [`END_PAYLOAD_LEN_MAX`](crate::END_PAYLOAD_LEN_MAX) bytes. Waits until the other plugin has given credit for all
    /// of it, and what was sent, the end and its payload are written to the socket, as [`Sender::flush`] does.
    ///
    /// Once it was polled, dropping the future does not stop it; call it again to wait on.
    ///
    /// # Errors
    /// The half is over in another way, or the payload too long.
    pub async fn close(&mut self, payload: impl Into<Bytes>) -> Result<(), SendError> {
        let payload = payload.into();
        poll_fn(|cx| self.poll_close(&payload, cx)).await
    }

    pub(super) fn poll_close(&mut self, payload: &Bytes, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.handle.with(|session| session.poll_close(self.id, payload, cx))
    }

    pub(super) fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, SendError>> {
        self.handle.poll_with(cx, |session, cx| session.poll_write(self.id, bytes, cx))
    }

    /// Measures the way to the other plugin and back, on this half.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// The half is over, or ends before the answer comes.
    pub async fn ping(&mut self) -> Result<Duration, PingError> {
        super::ping(&self.handle, HalfId::Writer(self.id)).await
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.handle.with(|session| session.release_writer(self.id));
    }
}

/// A message that is sent piece by piece.
///
/// When it is dropped before all its bytes were given, the message is given up, and the half closed with it: the
/// protocol has no other way to take back what has left.
///
/// ```no_run
/// # async fn run(mut channel: minbus::Channel) -> Result<(), minbus::SendError> {
/// let mut message = channel.send_in_pieces(3 << 30).await?;
/// while message.left() > 0 {
///     message.send(vec![0; 1 << 20]).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MessageSender<'a> {
    sender: &'a mut Sender,
}

impl MessageSender<'_> {
    /// Bytes of the message that were not given yet.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.sender.handle.with(|session| session.message_left(self.sender.id))
    }

    /// Sends the next bytes. Returns how many: all of them, unless the message ends before. They are queued, as by
    /// [`Sender::send`].
    ///
    /// A future that is dropped before it was done has sent nothing of the piece.
    ///
    /// # Errors
    /// The half is over.
    pub async fn send(&mut self, piece: impl Into<Bytes>) -> Result<usize, SendError> {
        let piece = piece.into();
        let Sender { handle, id } = &*self.sender;
        poll_fn(|cx| {
            handle.with(|session| {
                ready!(session.poll_ready(*id, cx))?;
                Poll::Ready(session.push_piece(*id, &piece))
            })
        })
        .await
    }
}

impl Drop for MessageSender<'_> {
    fn drop(&mut self) {
        self.sender.handle.with(|session| session.abandon_message(self.sender.id));
    }
}
