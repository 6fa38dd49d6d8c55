//! Zero-copy for large messages: from socket to socket through pipes, by splice.
//!
//! A connection on which large messages come is not received from but only waited for. When there are bytes, all of them
//! move into the *receive pipe*, a pipe of the shard, in one call. Heads are read out of it, so that what is checked is our own
//! copy whatever the plugin does with its memory; bodies move on into a *splice batch*, behind the heads under which the other
//! plugin is to get them. What is not large is read and goes the ordinary way. What a turn leaves in the receive pipe the next
//! one begins with, so a connection can enter and leave this mode at any byte, and whatever a head announces is in the
//! relay before it is written.

use bpmux::chunk::HEAD_LEN_MAX;

use bus::session::{Leaving, Payload};
use engine::buffers::Lease;
use engine::driver::Driver;
use engine::pipes::Pipe;
use limits::PIPED_COPY_BYTES_MAX;

use super::inbox::ShardMsg;
use super::outbox::Shortage;
use super::reading::Reader;
use super::splicer::SpliceBatch;

/// How many bytes are read where a head is expected: it, and not much more.
const HEAD_READ_BYTES: usize = 64;

const _: () = assert!(HEAD_LEN_MAX <= HEAD_READ_BYTES && HEAD_READ_BYTES <= PIPED_COPY_BYTES_MAX);

impl<D: Driver> Reader<'_, D> {
    /// Takes in what the socket has received, and lets the session read it.
    pub(super) fn take_in(&mut self) -> Result<(), Leaving> {
        let Some(mut rx_pipe) = self.core.splicer.rx_pipe(&self.core.shared.pipes) else {
            // None, none: as if nothing had been brought.
            return Ok(());
        };
        // Whatever is wrong, an ordinary receive will tell.
        let taken = self.driver.take_in(self.conn.token, &mut rx_pipe, self.core.splicer.rx_pipe_bytes);
        self.brought = rx_pipe.len();
        self.rx_pipe = Some(rx_pipe);
        if taken.is_ok() { self.read_rx_pipe() } else { Ok(()) }
    }

    /// Lets the session read what the receive pipe holds, all of it unless the turn is over before.
    pub(super) fn read_rx_pipe(&mut self) -> Result<(), Leaving> {
        let result = self.read_on();
        self.dispatch();
        // What is not empty is what the next turn begins with, or of no use.
        if let Some(empty) = self.rx_pipe.take_if(|rx_pipe| rx_pipe.is_empty()) {
            self.core.splicer.rx_pipe.get_or_insert(empty);
        }
        result
    }

    fn read_on(&mut self) -> Result<(), Leaving> {
        while self.left.is_none()
            && let Some(waiting) = self.rx_pipe.as_ref().map(Pipe::len).filter(|len| *len > 0)
        {
            if self.load(&[]) {
                continue;
            }
            // Among large messages no more than what is left of a body and the next head; else as much as there is.
            let wanted = if self.conn.bulk { self.conn.session.payload_left() } else { u64::MAX };
            let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).saturating_add(HEAD_READ_BYTES);
            let mut lease = self.buffer(wanted.min(waiting));
            self.rx_pipe.as_mut().into_iter().for_each(|rx_pipe| rx_pipe.read(&mut lease));
            if self
                .splice_batch
                .as_ref()
                .is_some_and(|splice_batch| !self.conn.session.is_continued(splice_batch.parts.from.leg, &lease))
            {
                // What these bytes mean is not to arrive before what came before them.
                self.dispatch();
            }
            self.read(lease)?;
        }
        if self.left.is_none() && self.conn.session.payload_left() == 0 {
            // A flag behind a body takes effect without a byte of its own.
            self.dispatch();
            self.conn.with_session(self.core, |session, cx| session.next(&[], cx))?;
        }
        Ok(())
    }

    /// A buffer for `len` bytes of the receive pipe, or for some of them. The last receive buffers are for those who
    /// receive, and what is read by one connection in its turn is not to take them all.
    fn buffer(&mut self, len: usize) -> Lease {
        self.look_for_shortage();
        let spare = if self.short == Shortage::All { None } else { self.driver.buffer() };
        match spare {
            Some(mut lease) => {
                lease.truncate(len);
                lease
            }
            None => Lease::from_vec(vec![0; len.min(PIPED_COPY_BYTES_MAX)]),
        }
    }

    /// Moves on what the receive pipe holds of the body under way, if that is worth it. `bytes` have been read from the
    /// same body, right before, and not been passed on.
    pub(super) fn load(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > PIPED_COPY_BYTES_MAX {
            return false;
        }
        let Some(mut rx_pipe) = self.rx_pipe.take() else { return false };
        let loaded = self.load_from(&mut rx_pipe, bytes).is_some();
        self.rx_pipe = Some(rx_pipe);
        loaded
    }

    fn load_from(&mut self, rx_pipe: &mut Pipe, bytes: &[u8]) -> Option<()> {
        let bytes_min = self.core.splicer.body_bytes_min;
        let body = self.conn.session.body().filter(|body| body.payload.len >= bytes_min)?;
        let moving = rx_pipe.len().min(usize::try_from(body.payload.left).unwrap_or(usize::MAX));
        if moving < self.core.splicer.moved_bytes_min {
            return None;
        }
        let fits =
            |splice_batch: &SpliceBatch| splice_batch.parts.from.leg == body.leg() && !splice_batch.pipe.is_full();
        if !self.splice_batch.as_ref().is_some_and(fits) {
            self.dispatch();
        }
        let (loaded, mut pipe) = match self.splice_batch.take() {
            Some(SpliceBatch { parts, pipe }) => (parts.payload_bytes, pipe),
            None => (0, self.core.shared.pipes.take()?),
        };
        let head = &mut self.core.splicer.head;
        head.clear();
        let mut parts = self.conn.session.take_body(&body, bytes.len() as u64, moving, head);
        head.extend_from_slice(bytes);
        pipe.append_head(head, &mut self.core.splicer.head_arena);
        pipe.take_from(rx_pipe, moving);
        parts.payload_bytes += loaded;
        self.splice_batch = Some(SpliceBatch { parts, pipe });
        self.conn.bulk = true;
        Some(())
    }

    /// Notes whether large messages come.
    pub(super) fn note_size(&mut self, payload: &Payload) {
        let len = match (payload, self.conn.session.body()) {
            (_, Some(body)) => body.payload.len,
            (Payload::Run { run, .. }, None) => run.payload_bytes / run.messages.max(1),
            // The whole of it, or the end: that says nothing.
            (Payload::Piece { total, len }, None) if total == len => *len,
            (Payload::Piece { .. }, None) => return,
        };
        self.conn.bulk = len >= self.core.splicer.body_bytes_min;
    }

    /// Decides in which way the connection is read next.
    pub(super) fn settle_pace(&mut self) {
        // Where few bytes come at a time, a pipe is not worth it, however large the messages are.
        self.conn.bulk &= self.brought >= self.core.splicer.moved_bytes_min;
    }

    /// Sends the splice batch off, if there is one.
    pub(super) fn dispatch(&mut self) {
        if let Some(SpliceBatch { parts, pipe }) = self.splice_batch.take() {
            let hurried = self.core.shared.pipes.are_scarce();
            self.core.send(ShardMsg::Piped(parts, pipe, hurried));
        }
    }
}
