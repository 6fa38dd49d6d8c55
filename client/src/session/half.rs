//! What readers and writers have in common: the end that the peer set to them, pings, and somebody who waits.

use std::task::{Context, Poll, Waker};

use bpmux::{HalfKey, Piece};
use bytes::Bytes;

use super::{ReaderId, Session, WriterId};
use crate::error::PingError;

/// How the peer has ended a half of an accepted channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The other plugin has, with this payload.
    ByPeer(Bytes),
    /// The other plugin has left.
    PeerLeft,
    /// The relay has, and could not say why: we gave it no credit for that.
    Unexplained,
}

impl End {
    /// Reads an end payload of the relay.
    pub(crate) fn parse(payload: &Bytes) -> Self {
        match payload.first() {
            Some(&wire::end::BY_PLUGIN) => Self::ByPeer(payload.slice(1..)),
            Some(_) if payload[..] == [wire::end::NOT_THERE] => Self::PeerLeft,
            _ => Self::Unexplained,
        }
    }
}

/// Names a half that the program has a handle on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfId {
    Reader(ReaderId),
    Writer(WriterId),
}

/// One half.
#[derive(Debug)]
pub(crate) struct Half {
    pub(super) key: HalfKey,
    /// The one task that waits for it: a half has one handle.
    pub(super) waker: Option<Waker>,
    pub(super) pings: Pings,
    /// The peer's end payload, as far as it has come.
    ending: Vec<u8>,
    /// The peer's end payload, once it has ended the half.
    pub(super) ended: Option<Bytes>,
    /// Whether we have ended it.
    pub(super) ended_here: bool,
    /// Where the output stands behind what was last put there of this half: see [`Session::is_written`].
    pub(super) output_end: u64,
    /// Where it stands behind our end, once that is there.
    end_output_end: Option<u64>,
    /// Whether it stands in the list of those that wait for output.
    waits_for_output: bool,
    /// Whether the program has a handle on it.
    pub(super) owned: bool,
}

impl Half {
    pub(super) fn new(key: HalfKey) -> Self {
        Self {
            key,
            waker: None,
            pings: Pings::default(),
            ending: Vec::new(),
            ended: None,
            ended_here: false,
            output_end: 0,
            end_output_end: None,
            waits_for_output: false,
            owned: true,
        }
    }

    /// Whether either end has ended it.
    pub(super) fn is_over(&self) -> bool {
        self.ended_here || self.ended.is_some()
    }

    /// A piece of the peer's end payload. Returns whether it has ended the half.
    pub(super) fn handle_end(&mut self, piece: Piece, bytes: &[u8], wakes: &mut Vec<Waker>) -> bool {
        if piece.first {
            self.ending.clear();
        }
        self.ending.extend_from_slice(bytes);
        if piece.last {
            self.ended = Some(std::mem::take(&mut self.ending).into());
            self.wake_all(wakes);
        }
        piece.last
    }

    pub(super) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.waker.take());
        self.pings.wake_all(wakes);
    }
}

/// Pings under way. The answers come in the order of the questions.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    asked: u64,
    answered: u64,
    wakers: Vec<Waker>,
}

impl Pings {
    pub(super) fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    pub(super) fn handle_pong(&mut self, wakes: &mut Vec<Waker>) {
        // A pong that nobody asked for is not forbidden.
        self.answered = self.asked.min(self.answered + 1);
        self.wake_all(wakes);
    }

    pub(super) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        wakes.append(&mut self.wakers);
    }

    pub(super) fn poll_answered(&mut self, ticket: u64, cx: &Context<'_>) -> Poll<()> {
        if self.answered >= ticket {
            return Poll::Ready(());
        }
        super::leave_waker(&mut self.wakers, cx.waker());
        Poll::Pending
    }
}

impl Session {
    /// Leaves word that the handle of a half is to be woken when output has been written.
    pub(super) fn wait_for_output(&mut self, id: HalfId) {
        let half = self.half_mut(id);
        if !half.waits_for_output {
            half.waits_for_output = true;
            self.waiting_for_output.push(id);
        }
    }

    /// Output has been fetched, or written.
    pub(super) fn wake_those_waiting_for_output(&mut self) {
        for id in std::mem::take(&mut self.waiting_for_output) {
            // Another half may have got the name; its handle can stand being woken.
            let waker = self.get_half(id).and_then(|half| {
                half.waits_for_output = false;
                half.waker.take()
            });
            self.wakes.extend(waker);
        }
    }

    /// Whether our end of a half is written to the socket.
    pub(super) fn is_end_written(&mut self, id: HalfId) -> bool {
        let output_end = self.output_end();
        let half = self.half_mut(id);
        let (key, ended_here) = (half.key, half.ended_here);
        if !ended_here || self.link.owes_end(key) {
            return false;
        }
        let end = *self.half_mut(id).end_output_end.get_or_insert(output_end);
        self.is_written(end)
    }

    fn get_half(&mut self, id: HalfId) -> Option<&mut Half> {
        match id {
            HalfId::Reader(id) => self.readers.get_mut(id.index()).map(|reader| &mut reader.half),
            HalfId::Writer(id) => self.writers.get_mut(id.index()).map(|writer| &mut writer.half),
        }
    }

    fn half_mut(&mut self, id: HalfId) -> &mut Half {
        self.get_half(id).expect("a handle has its half")
    }

    /// Sends a ping on a half; the ticket is for [`Session::poll_pong`].
    pub(crate) fn ping_half(&mut self, id: HalfId) -> Result<u64, PingError> {
        self.check_gone()?;
        let half = self.half_mut(id);
        if half.is_over() {
            return Err(PingError::Ended);
        }
        let (key, ticket) = (half.key, half.pings.ask());
        self.link.ping(key);
        Ok(ticket)
    }

    /// Waits for the answer to a ping.
    pub(crate) fn poll_pong(&mut self, id: HalfId, ticket: u64, cx: &Context<'_>) -> Poll<Result<(), PingError>> {
        let gone = self.gone.clone();
        let half = self.half_mut(id);
        match half.pings.poll_answered(ticket, cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => match gone {
                Some(error) => Poll::Ready(Err(error.into())),
                None if half.is_over() => Poll::Ready(Err(PingError::Ended)),
                None => Poll::Pending,
            },
        }
    }
}
