//! The half of a channel that this program reads.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use crate::error::{OpenError, PingError, RecvError};
use crate::name::Name;
use crate::session::{End, HalfId, Part, ReaderId};
use crate::shared::Handle;

/// The half of a channel that this program reads.
///
/// It is also a [`Stream`] of messages. Dropping it cancels the half: with an empty payload, or with words about it when the
/// last that it has told was that a message is [too large](RecvError::TooLarge). That is only begun, and carried out by the
/// connection's task: whoever ends the program next waits for [`Receiver::cancel`] or [`Bus::close`](crate::Bus::close).
#[derive(Debug)]
pub struct Receiver {
    handle: Handle,
    id: ReaderId,
    /// Whether the stream has given its error.
    failed: bool,
}

impl Receiver {
    pub(super) fn new(handle: Handle, id: ReaderId) -> Self {
        Self { handle, id, failed: false }
    }

    pub(super) fn poll_accepted(&mut self, name: &Name, cx: &mut Context<'_>) -> Poll<Result<(), OpenError>> {
        self.handle.with(|session| session.poll_accepted(self.id, name, cx))
    }

    /// The next message as a whole; nothing once the other plugin has closed the channel. When parts of a message were
    /// received before, this is the rest of it.
    ///
    /// Messages may be longer than the receive window, up to the maximum of the channel. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// The half is over and was not closed, or the message is too large: then it can still be received in parts.
    #[inline]
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RecvError> {
        poll_fn(|cx| self.handle.poll_with(cx, |session, cx| session.poll_recv(self.id, cx))).await
    }

    /// The next part of a message, as it comes in; nothing once the other plugin has closed the channel. Messages of any
    /// size can be received so within the memory of the receive window.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// The half is over and was not closed, or closed in the middle of a message.
    pub async fn recv_part(&mut self) -> Result<Option<Part>, RecvError> {
        poll_fn(|cx| self.handle.poll_with(cx, |session, cx| session.poll_recv_part(self.id, cx))).await
    }

    /// The next bytes, whatever messages they came in; nothing once the other plugin has closed the channel.
    pub(super) async fn recv_bytes(&mut self) -> Result<Option<Bytes>, RecvError> {
        poll_fn(|cx| self.handle.poll_with(cx, |session, cx| session.poll_recv_bytes(self.id, cx))).await
    }

    pub(super) fn poll_read(&mut self, into: &mut [u8], cx: &mut Context<'_>) -> Poll<Result<usize, RecvError>> {
        self.handle.poll_with(cx, |session, cx| session.poll_read(self.id, into, cx))
    }

    /// What the other plugin said when it closed the channel, once it has.
    #[must_use]
    pub fn close_payload(&self) -> Option<Bytes> {
        let raw = self.handle.with(|session| session.reader_end(self.id).cloned())?;
        match End::parse(&raw) {
            End::ByPeer(payload) => Some(payload),
            End::PeerLeft | End::Unexplained => None,
        }
    }

    /// Cancels the half: drops what was not received yet, and tells the other plugin to send no more, with a payload of
    /// at most [`END_PAYLOAD_LEN_MAX`](crate::END_PAYLOAD_LEN_MAX) bytes. Waits until the other plugin has given credit
    /// for it and it is written to the socket, unless the other plugin has closed the half before.
    ///
    /// Once it was polled, dropping the future does not stop it; call it again to wait on.
    ///
    /// # Errors
    /// The payload is too long, or the connection to the bus is over.
    pub async fn cancel(&mut self, payload: impl Into<Bytes>) -> Result<(), RecvError> {
        let payload = payload.into();
        poll_fn(|cx| self.handle.with(|session| session.poll_cancel(self.id, &payload, cx))).await
    }

    /// Measures the way to the other plugin and back, on this half.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// The half is over, or ends before the answer comes.
    pub async fn ping(&mut self) -> Result<Duration, PingError> {
        super::ping(&self.handle, HalfId::Reader(self.id)).await
    }
}

impl Stream for Receiver {
    type Item = Result<Bytes, RecvError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        let result = ready!(this.handle.poll_with(cx, |session, cx| session.poll_recv(this.id, cx)));
        this.failed = result.is_err();
        Poll::Ready(result.transpose())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.handle.with(|session| session.release_reader(self.id));
    }
}
