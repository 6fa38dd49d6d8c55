//! Halves that we read: messages into an inbox, and credit back as the program takes them out.

use std::task::{Context, Poll};

use bpmux::{HalfKey, Piece, What};
use bytes::Bytes;

use super::half::{End, Half, HalfId};
use super::inbox::{Inbox, Part};
use super::{ChannelConfig, END_PAYLOAD_LEN_MAX, Role, Session, WINDOW_MIN, set_waker};
use crate::error::RecvError;

/// Names a reader of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReaderId(u32);

impl ReaderId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the program asked for last: it decides what wakes it, and how far credit goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wants {
    /// Any bytes.
    #[default]
    Bytes,
    /// A whole message, which may be longer than the window.
    Message,
}

/// A half that we read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(super) half: Half,
    inbox: Inbox,
    window: u64,
    message_len_max: usize,
    wants: Wants,
    /// The end came in the middle of a message that the program had begun to take.
    truncated: bool,
    /// The payload of a cancellation that waits for credit.
    cancel: Option<Bytes>,
    /// The length of a message that was too large, when that is the last that the program was told.
    refused: Option<u64>,
}

impl Reader {
    /// Bytes that count against the window. Those of a message that the program waits for as a whole do not, as it
    /// could never be taken when it is longer than the window.
    fn held(&self) -> u64 {
        match self.inbox.front_under_way() {
            Some(len) if self.wants == Wants::Message && len <= self.message_len_max as u64 => 0,
            _ => self.inbox.held() as u64,
        }
    }

    /// Whether a cancellation is under way that could not be sent yet.
    pub(super) fn is_unsent(&self) -> bool {
        self.cancel.is_some() && !self.half.is_over()
    }
}

impl Session {
    pub(super) fn insert_reader(&mut self, key: HalfKey) -> ReaderId {
        let reader = Reader {
            half: Half::new(key),
            inbox: Inbox::default(),
            window: 0,
            message_len_max: 0,
            wants: Wants::default(),
            truncated: false,
            cancel: None,
            refused: None,
        };
        let id = ReaderId(self.readers.insert(reader) as u32);
        self.link.set_user(key, Role::Reader(id));
        id
    }

    /// Sets the receive window and the longest message, both in bytes, and gives credit accordingly.
    pub(super) fn set_channel(&mut self, id: ReaderId, ChannelConfig { window, message_len_max }: ChannelConfig) {
        let reader = &mut self.readers[id.index()];
        reader.window = window.max(WINDOW_MIN);
        reader.message_len_max = message_len_max;
        self.top_up(id);
    }

    /// Gives back credit for what the program has taken, in portions of a quarter of the window or more.
    #[inline]
    fn top_up(&mut self, id: ReaderId) {
        let reader = &self.readers[id.index()];
        let key = reader.half.key;
        let owed = reader.window.saturating_sub(reader.held()).saturating_sub(self.link.may_receive(key));
        if owed > 0 && owed >= reader.window / 4 && reader.cancel.is_none() {
            self.link.grant(key, owed);
        }
    }

    #[inline]
    pub(super) fn handle_reader_piece(&mut self, id: ReaderId, piece: Piece, bytes: &[u8]) {
        let reader = &mut self.readers[id.index()];
        if piece.what == What::End {
            reader.truncated |= reader.inbox.give_up_tail();
            if reader.half.handle_end(piece, bytes, &mut self.wakes) && !reader.half.owned {
                self.readers.remove(id.index());
            }
            return;
        }
        if reader.cancel.is_some() {
            return;
        }
        reader.inbox.push(bytes, piece.total, piece.last);
        let wanted = match reader.wants {
            Wants::Bytes => true,
            Wants::Message if reader.inbox.has_message() => true,
            Wants::Message => piece.total > reader.message_len_max as u64,
        };
        if wanted {
            self.wakes.extend(reader.half.waker.take());
        } else {
            self.top_up(id);
        }
    }

    // For the program.

    /// The next whole message; nothing once the other plugin has closed the channel.
    #[inline]
    pub(crate) fn poll_recv(&mut self, id: ReaderId, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, RecvError>> {
        let reader = &mut self.readers[id.index()];
        if let Some(message) = reader.inbox.take_message() {
            self.top_up(id);
            return Poll::Ready(Ok(Some(message)));
        }
        let len_max = reader.message_len_max;
        if let Some(len) = reader.inbox.front_under_way().filter(|&len| len > len_max as u64) {
            reader.refused = Some(len);
            return Poll::Ready(Err(RecvError::TooLarge { len, len_max }));
        }
        self.poll_more(id, Wants::Message, cx).map_ok(|()| None)
    }

    /// The next part of a message; nothing once the other plugin has closed the channel.
    pub(crate) fn poll_recv_part(&mut self, id: ReaderId, cx: &Context<'_>) -> Poll<Result<Option<Part>, RecvError>> {
        self.poll_taken(id, cx, Inbox::take_part)
    }

    /// The next bytes, at least one; nothing once the other plugin has closed the channel.
    pub(crate) fn poll_recv_bytes(&mut self, id: ReaderId, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, RecvError>> {
        self.poll_taken(id, cx, |inbox| Some(inbox.take_all()).filter(|bytes| !bytes.is_empty()))
    }

    /// Copies the next bytes, at least one if there is room; none once the other plugin has closed the channel.
    pub(crate) fn poll_read(
        &mut self,
        id: ReaderId,
        into: &mut [u8],
        cx: &Context<'_>,
    ) -> Poll<Result<usize, RecvError>> {
        let read = |inbox: &mut Inbox| Some(inbox.read(into)).filter(|&len| len > 0 || into.is_empty());
        self.poll_taken(id, cx, read).map_ok(Option::unwrap_or_default)
    }

    /// What is taken out of the inbox without regard to the length of messages; nothing once the other plugin has closed
    /// the channel.
    fn poll_taken<T>(
        &mut self,
        id: ReaderId,
        cx: &Context<'_>,
        take: impl FnOnce(&mut Inbox) -> Option<T>,
    ) -> Poll<Result<Option<T>, RecvError>> {
        let reader = &mut self.readers[id.index()];
        let Some(taken) = take(&mut reader.inbox) else {
            return self.poll_more(id, Wants::Bytes, cx).map_ok(|()| None);
        };
        reader.refused = None;
        self.top_up(id);
        Poll::Ready(Ok(Some(taken)))
    }

    /// The inbox has not what the program wants: the end, or waiting.
    fn poll_more(&mut self, id: ReaderId, wants: Wants, cx: &Context<'_>) -> Poll<Result<(), RecvError>> {
        let reader = &mut self.readers[id.index()];
        if reader.truncated {
            return Poll::Ready(Err(RecvError::Truncated));
        }
        if let Some(payload) = &reader.half.ended {
            return Poll::Ready(match End::parse(payload) {
                End::ByPeer(_) => Ok(()),
                End::PeerLeft => Err(RecvError::PeerLeft),
                End::Unexplained => Err(RecvError::Unexplained),
            });
        }
        if reader.half.ended_here || reader.cancel.is_some() {
            return Poll::Ready(Err(RecvError::Cancelled));
        }
        if let Some(error) = &self.gone {
            return Poll::Ready(Err(error.clone().into()));
        }
        reader.wants = wants;
        set_waker(&mut reader.half.waker, cx.waker());
        self.top_up(id);
        Poll::Pending
    }

    /// What the peer said when it ended the half: the raw payload, with the relay's code before it.
    pub(crate) fn reader_end(&self, id: ReaderId) -> Option<&Bytes> {
        self.readers[id.index()].half.ended.as_ref()
    }

    /// Cancels the half: nothing more is received. Waits for credit for the payload, and until it is written to the socket.
    pub(crate) fn poll_cancel(
        &mut self,
        id: ReaderId,
        payload: &Bytes,
        cx: &Context<'_>,
    ) -> Poll<Result<(), RecvError>> {
        if payload.len() > END_PAYLOAD_LEN_MAX {
            return Poll::Ready(Err(RecvError::PayloadTooLong(payload.len())));
        }
        let reader = &mut self.readers[id.index()];
        if reader.cancel.is_none() {
            reader.inbox = Inbox::default();
            reader.cancel = Some(payload.clone());
            self.try_cancel(id);
        }
        if self.readers[id.index()].half.ended.is_some() || self.is_end_written(HalfId::Reader(id)) {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = &self.gone {
            return Poll::Ready(Err(error.clone().into()));
        }
        let half = &mut self.readers[id.index()].half;
        set_waker(&mut half.waker, cx.waker());
        if half.ended_here {
            self.wait_for_output(HalfId::Reader(id));
        }
        Poll::Pending
    }

    /// Sends a cancellation that waits for credit, if there is enough.
    pub(super) fn try_cancel(&mut self, id: ReaderId) {
        let reader = &mut self.readers[id.index()];
        let Some(payload) = reader.cancel.as_ref().filter(|_| !reader.half.is_over()) else { return };
        if self.link.end(reader.half.key, payload) {
            reader.half.ended_here = true;
            reader.half.wake_all(&mut self.wakes);
            if !reader.half.owned {
                self.readers.remove(id.index());
            }
        }
    }

    /// The handle is gone: the half is cancelled, if it was not ended before. A writer whose message was too large is told so.
    pub(crate) fn release_reader(&mut self, id: ReaderId) {
        let reader = &mut self.readers[id.index()];
        reader.half.owned = false;
        if reader.is_unsent() && self.gone.is_none() {
            return;
        }
        let (key, len_max) = (reader.half.key, reader.message_len_max);
        let reason = reader.refused.map(|len| RecvError::TooLarge { len, len_max }.to_string()).unwrap_or_default();
        // Dropping does not wait for credit: without it the reason is left out.
        if !self.link.end(key, reason.as_bytes()) {
            self.link.end(key, &[]);
        }
        self.readers.remove(id.index());
    }
}
