//! Halves that we write: a queue of messages that leave in parts, as the peer's credit and the socket have room.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bpmux::{HalfKey, Piece, What};
use bytes::{Buf, Bytes};

use super::half::{End, Half, HalfId};
use super::{END_PAYLOAD_LEN_MAX, OUT_LEN_MAX, QUANTUM, ReaderId, Role, Session, set_waker};
use crate::error::SendError;

/// Names a writer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriterId(u32);

impl WriterId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A message that the program gives us piece by piece.
#[derive(Clone, Copy, Debug)]
struct Begun {
    total: u64,
    /// Bytes that the program has still to give.
    left: u64,
}

/// A message, or a piece of one of `total` bytes.
#[derive(Debug)]
struct Queued {
    total: u64,
    bytes: Bytes,
}

/// The opening payload of an offer while it comes in.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) reader: ReaderId,
    pub(super) bytes: Vec<u8>,
}

/// A half that we write.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) half: Half,
    queue: VecDeque<Queued>,
    queue_bytes: usize,
    /// Whether it stands in the list of those that can send.
    listed: bool,
    /// Whoever waits is woken when the queue holds no more bytes than this.
    wake_at: usize,
    begun: Option<Begun>,
    /// The payload with which to close when the queue is empty.
    close: Option<Bytes>,
    /// Whether the peer's end came when not all that was queued had been sent.
    cut_off: bool,
    /// The opening payload of an offer, until it has come as a whole.
    pub(super) opening: Option<Opening>,
}

impl Writer {
    /// Whether something is queued that was not sent.
    pub(super) fn is_unsent(&self) -> bool {
        !self.half.is_over() && (!self.queue.is_empty() || self.close.is_some())
    }
}

/// How a turn of sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing more to send, or no credit for it.
    Over,
    /// The quantum is used up.
    Again,
}

impl Session {
    pub(super) fn insert_writer(&mut self, key: HalfKey) -> WriterId {
        let writer = Writer {
            half: Half::new(key),
            queue: VecDeque::new(),
            queue_bytes: 0,
            listed: false,
            wake_at: 0,
            begun: None,
            close: None,
            cut_off: false,
            opening: None,
        };
        let id = WriterId(self.writers.insert(writer) as u32);
        self.link.set_user(key, Role::Writer(id));
        id
    }

    pub(super) fn handle_writer_credit(&mut self, id: WriterId) {
        let writer = &mut self.writers[id.index()];
        if writer.queue.is_empty() {
            // A writer of bytes keeps them until there is credit.
            self.wakes.extend(writer.half.waker.take());
        }
        self.list(id);
    }

    pub(super) fn handle_writer_piece(&mut self, id: WriterId, piece: Piece, bytes: &[u8]) {
        if piece.what != What::End {
            return self.handle_opening_piece(id, piece, bytes);
        }
        let writer = &mut self.writers[id.index()];
        if !writer.half.handle_end(piece, bytes, &mut self.wakes) {
            return;
        }
        writer.cut_off |= !writer.queue.is_empty();
        writer.queue.clear();
        writer.queue_bytes = 0;
        if writer.opening.is_some() {
            self.drop_opening(id);
        } else if !writer.half.owned {
            self.writers.remove(id.index());
        }
    }

    // Sending.

    /// Puts a writer that may be able to send into the list.
    fn list(&mut self, id: WriterId) {
        let writer = &mut self.writers[id.index()];
        if !writer.listed && writer.is_unsent() {
            writer.listed = true;
            self.runnable.push_back(id);
        }
    }

    /// Lets a writer send at once where there is room, else it waits for its turn.
    fn send_now(&mut self, id: WriterId) {
        if self.out.len() >= OUT_LEN_MAX || self.writers[id.index()].listed || self.take_turn(id) == Turn::Again {
            self.list(id);
        }
    }

    /// Lets those that can send do so in turn, while there is room for output.
    pub(super) fn take_turns(&mut self) {
        while self.out.len() < OUT_LEN_MAX {
            let Some(id) = self.runnable.pop_front() else { break };
            // The list may name writers that are gone, or that were listed again under the same name.
            let listed = self.writers.get_mut(id.index()).map(|writer| std::mem::take(&mut writer.listed));
            if listed == Some(true) && self.take_turn(id) == Turn::Again {
                self.list(id);
            }
        }
    }

    /// Sends what the credit allows, up to the quantum, and closes when that is due.
    fn take_turn(&mut self, id: WriterId) -> Turn {
        let writer = &mut self.writers[id.index()];
        if writer.half.is_over() {
            return Turn::Over;
        }
        let key = writer.half.key;
        let mut quantum = QUANTUM;
        while let Some(front) = writer.queue.front_mut() {
            let credit = usize::try_from(self.link.may_send(key)).unwrap_or(usize::MAX);
            let len = front.bytes.len().min(credit).min(quantum);
            if len == 0 && front.total > 0 {
                break;
            }
            self.link.put_part(key, front.total, len as u64, &mut self.out);
            self.out.extend_from_slice(&front.bytes[..len]);
            writer.half.output_end = self.fetched + self.out.len() as u64;
            front.bytes.advance(len);
            writer.queue_bytes -= len;
            quantum -= len;
            if front.bytes.is_empty() {
                writer.queue.pop_front();
            }
        }
        if writer.queue.is_empty() && writer.close.as_ref().is_some_and(|payload| self.link.end(key, payload)) {
            writer.half.ended_here = true;
            writer.half.wake_all(&mut self.wakes);
            if !writer.half.owned {
                self.writers.remove(id.index());
            }
            return Turn::Over;
        }
        if writer.queue_bytes <= writer.wake_at {
            self.wakes.extend(writer.half.waker.take());
        }
        if quantum == 0 { Turn::Again } else { Turn::Over }
    }

    // For the program.

    /// Fails when nothing more can be sent.
    fn check_open(&self, id: WriterId) -> Result<(), SendError> {
        self.check_ended(id)?;
        if self.writers[id.index()].close.is_some() {
            return Err(SendError::Closed);
        }
        Ok(self.check_gone()?)
    }

    /// Fails when the peer has ended the half.
    fn check_ended(&self, id: WriterId) -> Result<(), SendError> {
        match self.writers[id.index()].half.ended.as_ref().map(End::parse) {
            None => Ok(()),
            Some(End::ByPeer(payload)) => Err(SendError::Cancelled { payload }),
            Some(End::PeerLeft) => Err(SendError::PeerLeft),
            Some(End::Unexplained) => Err(SendError::Unexplained),
        }
    }

    /// Fails when what was queued, or the close behind it, will never be sent: nothing is left to wait for.
    fn check_lasts(&self, id: WriterId) -> Result<(), SendError> {
        self.check_ended(id)?;
        self.gone.clone().map_or(Ok(()), |error| Err(error.into()))
    }

    fn wait(&mut self, id: WriterId, wake_at: usize, cx: &Context<'_>) {
        let writer = &mut self.writers[id.index()];
        writer.wake_at = wake_at;
        set_waker(&mut writer.half.waker, cx.waker());
    }

    /// Waits until the queue takes another message.
    #[inline]
    pub(crate) fn poll_ready(&mut self, id: WriterId, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        self.check_open(id)?;
        if self.writers[id.index()].queue_bytes < self.config.send_queue_max {
            return Poll::Ready(Ok(()));
        }
        self.wait(id, self.config.send_queue_max / 2, cx);
        Poll::Pending
    }

    /// Waits until nothing more can be sent.
    pub(crate) fn poll_over(&mut self, id: WriterId, cx: &Context<'_>) -> Poll<SendError> {
        if let Err(error) = self.check_lasts(id) {
            // What was closed here before the connection went is over for that reason.
            let closed = self.writers[id.index()].half.ended_here && matches!(error, SendError::Bus(_));
            return Poll::Ready(if closed { SendError::Closed } else { error });
        }
        match self.check_open(id) {
            // The close waits for credit, and the peer may still cancel.
            Err(SendError::Closed) if !self.writers[id.index()].half.ended_here => {}
            Err(error) => return Poll::Ready(error),
            Ok(()) => {}
        }
        self.wait(id, 0, cx);
        Poll::Pending
    }

    /// Fails when a message was begun that is not complete: it is given up, and the half with it.
    fn check_whole(&mut self, id: WriterId) -> Result<(), SendError> {
        self.check_open(id)?;
        if self.writers[id.index()].begun.is_some() {
            self.abandon_message(id);
            return Err(SendError::Closed);
        }
        Ok(())
    }

    /// Queues a message, whatever is queued already.
    #[inline]
    pub(crate) fn push_message(&mut self, id: WriterId, message: Bytes) -> Result<(), SendError> {
        self.check_whole(id)?;
        self.push(id, message.len() as u64, message);
        Ok(())
    }

    #[inline]
    fn push(&mut self, id: WriterId, total: u64, bytes: Bytes) {
        let writer = &mut self.writers[id.index()];
        writer.queue_bytes += bytes.len();
        writer.queue.push_back(Queued { total, bytes });
        self.send_now(id);
    }

    /// Begins a message of `total` bytes that comes piece by piece.
    pub(crate) fn begin_message(&mut self, id: WriterId, total: u64) -> Result<(), SendError> {
        self.check_whole(id)?;
        if total == 0 {
            self.push(id, 0, Bytes::new());
        } else {
            self.writers[id.index()].begun = Some(Begun { total, left: total });
        }
        Ok(())
    }

    /// Bytes that are missing to the message that was begun.
    pub(crate) fn message_left(&self, id: WriterId) -> u64 {
        self.writers[id.index()].begun.map_or(0, |begun| begun.left)
    }

    /// Queues as much of `piece` as belongs to the message that was begun; returns how much that was.
    pub(crate) fn push_piece(&mut self, id: WriterId, piece: &Bytes) -> Result<usize, SendError> {
        self.check_open(id)?;
        let Some(Begun { total, left }) = self.writers[id.index()].begun else { return Ok(0) };
        let len = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        if len > 0 {
            let left = left - len as u64;
            self.writers[id.index()].begun = (left > 0).then_some(Begun { total, left });
            self.push(id, total, piece.slice(..len));
        }
        Ok(len)
    }

    /// Gives up a message that was begun and not completed: that takes the half with it.
    pub(crate) fn abandon_message(&mut self, id: WriterId) {
        let writer = &mut self.writers[id.index()];
        if writer.begun.take().is_some() {
            writer.close.get_or_insert_default();
            self.send_now(id);
        }
    }

    /// Sends bytes as a message of their own, as many as credit and room allow at once. Nothing is queued.
    pub(crate) fn poll_write(
        &mut self,
        id: WriterId,
        bytes: &[u8],
        cx: &Context<'_>,
    ) -> Poll<Result<usize, SendError>> {
        self.check_whole(id)?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let writer = &self.writers[id.index()];
        let key = writer.half.key;
        let credit = self.link.may_send(key);
        let room = OUT_LEN_MAX.saturating_sub(self.out.len());
        let len = bytes.len().min(usize::try_from(credit).unwrap_or(usize::MAX)).min(room);
        if !writer.queue.is_empty() || len == 0 {
            if room == 0 {
                self.wait_for_output(HalfId::Writer(id));
            }
            self.wait(id, 0, cx);
            return Poll::Pending;
        }
        self.link.put_part(key, len as u64, len as u64, &mut self.out);
        self.out.extend_from_slice(&bytes[..len]);
        self.writers[id.index()].half.output_end = self.output_end();
        Poll::Ready(Ok(len))
    }

    /// Waits until all that was queued is written to the socket.
    pub(crate) fn poll_flush(&mut self, id: WriterId, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        let writer = &self.writers[id.index()];
        let is_sent = writer.queue.is_empty() && !writer.cut_off;
        if is_sent && self.is_written(writer.half.output_end) {
            return Poll::Ready(Ok(()));
        }
        self.check_lasts(id)?;
        self.wait(id, 0, cx);
        if is_sent {
            self.wait_for_output(HalfId::Writer(id));
        }
        Poll::Pending
    }

    /// Closes the half behind what is queued. Waits until there was credit for all of it and the payload, and it is
    /// written to the socket.
    pub(crate) fn poll_close(
        &mut self,
        id: WriterId,
        payload: &Bytes,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        if payload.len() > END_PAYLOAD_LEN_MAX {
            return Poll::Ready(Err(SendError::PayloadTooLong(payload.len())));
        }
        match self.check_open(id) {
            Ok(()) => {
                self.writers[id.index()].close = Some(payload.clone());
                self.send_now(id);
            }
            Err(SendError::Closed) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        if self.is_end_written(HalfId::Writer(id)) {
            return Poll::Ready(Ok(()));
        }
        self.check_lasts(id)?;
        self.wait(id, 0, cx);
        if self.writers[id.index()].half.ended_here {
            self.wait_for_output(HalfId::Writer(id));
        }
        Poll::Pending
    }

    /// The handle is gone: the half is closed behind what is queued, if it was not ended before.
    pub(crate) fn release_writer(&mut self, id: WriterId) {
        let writer = &mut self.writers[id.index()];
        writer.half.owned = false;
        if writer.half.is_over() || self.gone.is_some() {
            self.writers.remove(id.index());
            return;
        }
        writer.close.get_or_insert_default();
        self.send_now(id);
    }
}
