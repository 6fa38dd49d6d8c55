//! Output: what is to be written to the socket next, and the order of the last things when the connection closes.

use std::task::{Context, Poll};

use bpmux::HalfKey;

use super::{END_PAYLOAD_LEN_MAX, OUT_LEN_MAX, Session, leave_waker};
use crate::error::BusError;

/// Bytes of chunks without payload that one output may hold beside the payload.
const CONTROL_LEN_MAX: usize = 64 * 1024;

/// What is said of output that was fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) standing: Standing,
    /// Whether it holds the question that the heartbeat has asked last: see [`Session::ask_for_life`].
    pub(crate) asks: bool,
}

/// How far the program has closed the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    #[default]
    Open,
    /// What is queued is still sent.
    Closing,
    /// The last word is said. Nothing follows it.
    Ended,
}

impl Session {
    /// Whether [`Session::take_output`] has something to give, or should have a look.
    #[inline]
    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty() || self.link.owes() || self.standing == Standing::Closing
    }

    /// Hands over what is to be written now, when all that was handed over before is written to the socket. `into` must
    /// be empty; its memory is used for what comes next.
    pub(crate) fn take_output(&mut self, into: &mut Vec<u8>) -> Fetched {
        debug_assert!(into.is_empty(), "output in hand would be lost");
        self.handle_written();
        if self.standing == Standing::Ended {
            self.out.clear();
            return Fetched { standing: self.standing, asks: false };
        }
        self.take_turns();
        let len_max = OUT_LEN_MAX.max(self.out.len()) + CONTROL_LEN_MAX;
        let is_all = !self.link.flush_owed(&mut self.out, len_max);
        if self.standing == Standing::Closing && (self.hurried || !self.is_unsent()) {
            self.standing = Standing::Ended;
            self.link.end(HalfKey::TOP_WRITER, &[]);
            self.link.flush_owed(&mut self.out, usize::MAX);
        }
        std::mem::swap(&mut self.out, into);
        self.fetched += into.len() as u64;
        let asks = is_all && std::mem::take(&mut self.top.asks);
        Fetched { standing: self.standing, asks }
    }

    /// All that was handed over is written to the socket.
    pub(crate) fn handle_written(&mut self) {
        self.written = self.fetched;
        self.wake_those_waiting_for_output();
    }

    /// Where the output stands now: as many bytes were put there. Behind the last word nothing counts.
    pub(super) fn output_end(&self) -> u64 {
        let unfetched = if self.standing == Standing::Ended { 0 } else { self.out.len() };
        self.fetched + unfetched as u64
    }

    /// Whether all output up to there is written to the socket.
    pub(super) fn is_written(&self, output_end: u64) -> bool {
        output_end <= self.written
    }

    /// The last words, instead of all that is queued: why this side ends the connection, as far as the relay gives credit
    /// for that.
    pub(crate) fn say_farewell(&mut self, reason: &str, into: &mut Vec<u8>) {
        if self.standing == Standing::Ended {
            return;
        }
        self.standing = Standing::Ended;
        let credit = usize::try_from(self.link.may_send(HalfKey::TOP_WRITER)).unwrap_or(usize::MAX);
        let len = reason.floor_char_boundary(credit.min(END_PAYLOAD_LEN_MAX));
        self.link.farewell(&reason.as_bytes()[..len]);
        self.link.flush_owed(into, usize::MAX);
    }

    /// Whether something is queued that waits for credit or room.
    fn is_unsent(&self) -> bool {
        self.writers.iter().any(|(_, writer)| writer.is_unsent())
            || self.readers.iter().any(|(_, reader)| reader.is_unsent())
    }

    /// Closes the connection when all that is queued has been sent.
    pub(crate) fn close(&mut self) {
        if self.standing == Standing::Open {
            self.standing = Standing::Closing;
        }
    }

    /// Closes the connection with the next output, whatever is still queued. Returns whether something is.
    pub(crate) fn close_now(&mut self) -> bool {
        self.close();
        self.hurried = true;
        self.is_unsent()
    }

    /// Whether the program has closed the connection.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Waits for the end of the connection, however it comes.
    pub(crate) fn poll_gone(&mut self, cx: &Context<'_>) -> Poll<BusError> {
        if let Some(error) = &self.gone {
            return Poll::Ready(error.clone());
        }
        leave_waker(&mut self.gone_wakers, cx.waker());
        Poll::Pending
    }
}
