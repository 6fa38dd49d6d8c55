//! Output: what is to be written to the socket next, and the order of the last things when the connection closes.

use std::task::{Context, Poll};

use bpmux::HalfKey;

use super::{OUT_LEN_MAX, Session, leave_waker};
use crate::error::BusError;

/// Bytes of chunks without payload that one output may hold beside the payload.
const CONTROL_LEN_MAX: usize = 64 * 1024;

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

    /// Hands over what is to be written now. `into` must be empty; its memory is used for what comes next.
    pub(crate) fn take_output(&mut self, into: &mut Vec<u8>) {
        debug_assert!(into.is_empty(), "output in hand would be lost");
        if self.standing == Standing::Ended {
            return self.out.clear();
        }
        self.take_turns();
        let len_max = OUT_LEN_MAX.max(self.out.len()) + CONTROL_LEN_MAX;
        self.link.flush_owed(&mut self.out, len_max);
        if self.standing == Standing::Closing && (self.hurried || !self.is_unsent()) {
            self.standing = Standing::Ended;
            self.link.end(HalfKey::TOP_WRITER, &[]);
            self.link.flush_owed(&mut self.out, usize::MAX);
        }
        std::mem::swap(&mut self.out, into);
        self.wake_those_without_room();
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
