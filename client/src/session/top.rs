//! The top level: registration, credit for openings, pings of the whole connection, and the relay's last words.

use std::task::{Context, Poll, Waker};

use bpmux::{HalfKey, Piece, What};

use super::half::Pings;
use super::{Session, leave_waker};
use crate::error::BusError;

/// Top-level credit that the relay holds, in bytes: for offers and for its reason when it ends the connection.
pub(super) const WINDOW: u64 = 16 * 1024;

/// So much of the relay's reason is kept, in bytes.
const REASON_LEN_MAX: usize = 1024;

/// The state of the top level.
#[derive(Debug, Default)]
pub(super) struct Top {
    /// The registration, and how much of it was sent.
    entry: Vec<u8>,
    entry_sent: usize,
    /// Those who wait for top-level credit, or for the registration to be sent.
    credit_wakers: Vec<Waker>,
    pub(super) pings: Pings,
    /// Whether the heartbeat has asked, and not all is in the output that was owed then.
    pub(super) asks: bool,
    reason: Vec<u8>,
}

impl Top {
    pub(super) fn new(entry: Vec<u8>) -> Self {
        Self { entry, ..Self::default() }
    }

    pub(super) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        wakes.append(&mut self.credit_wakers);
        self.pings.wake_all(wakes);
    }

    fn is_registration_sent(&self) -> bool {
        self.entry_sent == self.entry.len()
    }
}

impl Session {
    pub(super) fn handle_top_credit(&mut self) {
        self.wakes.append(&mut self.top.credit_wakers);
        let top = &mut self.top;
        let rest = &top.entry[top.entry_sent..];
        let len = rest.len().min(usize::try_from(self.link.may_send(HalfKey::TOP_WRITER)).unwrap_or(usize::MAX));
        if len > 0 {
            self.link.put_part(HalfKey::TOP_WRITER, top.entry.len() as u64, len as u64, &mut self.out);
            self.out.extend_from_slice(&rest[..len]);
            top.entry_sent += len;
        }
    }

    /// The relay's top-level messages mean nothing, but that an empty one or an end is the end of the connection.
    pub(super) fn handle_top_piece(&mut self, key: HalfKey, piece: Piece, bytes: &[u8]) -> Result<(), BusError> {
        if key != HalfKey::TOP_READER && key != HalfKey::TOP_WRITER {
            return Ok(());
        }
        if piece.what != What::End {
            return if piece.total == 0 { Err(BusError::Lost) } else { Ok(()) };
        }
        let reason = &mut self.top.reason;
        reason.extend_from_slice(&bytes[..bytes.len().min(REASON_LEN_MAX - reason.len())]);
        match (piece.last, reason.is_empty()) {
            (false, _) => Ok(()),
            (true, true) => Err(BusError::Lost),
            (true, false) => Err(BusError::Ended(String::from_utf8_lossy(reason).into_owned())),
        }
    }

    /// Offers and messages of the relay have used up top-level credit.
    pub(super) fn top_up_top_level(&mut self) {
        let left = self.link.may_receive(HalfKey::TOP_READER);
        if left <= WINDOW / 2 {
            self.link.grant(HalfKey::TOP_READER, WINDOW - left);
        }
    }

    pub(super) fn wait_for_top_credit(&mut self, cx: &Context<'_>) {
        leave_waker(&mut self.top.credit_wakers, cx.waker());
    }

    /// Waits until the registration is sent. Whether it is granted shows in the answer to a query behind it.
    pub(crate) fn poll_registration_sent(&mut self, cx: &Context<'_>) -> Poll<Result<(), BusError>> {
        self.check_gone()?;
        if self.top.is_registration_sent() {
            return Poll::Ready(Ok(()));
        }
        self.wait_for_top_credit(cx);
        Poll::Pending
    }

    /// Pings the relay; the ticket is for [`Session::poll_top_pong`].
    pub(crate) fn ping_top(&mut self) -> Result<u64, BusError> {
        self.check_gone()?;
        self.link.ping(HalfKey::TOP_WRITER);
        Ok(self.top.pings.ask())
    }

    /// Pings the relay for the heartbeat, which needs no ticket: it takes anything for an answer. [`Session::take_output`]
    /// tells when the question is in the output.
    pub(crate) fn ask_for_life(&mut self) {
        if self.ping_top().is_ok() {
            self.top.asks = true;
        }
    }

    /// Waits for the relay's answer to a ping.
    pub(crate) fn poll_top_pong(&mut self, ticket: u64, cx: &Context<'_>) -> Poll<Result<(), BusError>> {
        match self.top.pings.poll_answered(ticket, cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => {
                self.check_gone()?;
                Poll::Pending
            }
        }
    }
}
