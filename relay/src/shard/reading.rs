//! The receive path, zero-copy from a receive buffer to the sessions: what a plugin has sent is read in place, and payload
//! goes on in the very buffer unless buffers are short. A plugin that has much to say that is not payload has its turn for
//! a while only; the rest of what it has said waits for the next tick, or longer when it floods.

use bus::session::{Forward, Leaving, Payload, Verdict};
use engine::buffers::Lease;
use engine::driver::{Driver, Received, Token};
use engine::pipes::Pipe;

use super::conn::{Conn, HangUp};
use super::core::Core;
use super::inbox::ShardMsg;
use super::leftover::Leftover;
use super::life::Life;
use super::outbox::Shortage;
use super::shard::Shard;
use super::splicer::SpliceBatch;

impl<D: Driver> Shard<D> {
    pub(super) fn handle_received(&mut self, token: Token, received: Received) {
        let short = self.shortage();
        let (now, buffer_bytes) = (self.core.now, self.core.config.engine.receive_buffer_bytes);
        let sealed = self.is_sealed();
        let Some(conn) = self.conn(token) else { return };
        conn.armed = false;
        let full = matches!(&received, Received::Data(lease) if lease.len() >= buffer_bytes);
        if !conn.life.is_served() {
            return self.handle_late_bytes(token, &received);
        }
        if sealed && matches!(received, Received::Data(_) | Received::Ready) {
            return self.unarmed.push(token);
        }
        conn.session.handle_read_stopped(full, now);
        if let HangUp::Since(at) = &mut conn.hang_up {
            *at = now;
        }
        match received {
            Received::Data(lease) => {
                conn.session.handle_heard(now);
                self.read_with(token, short, |reader| {
                    reader.brought = lease.len();
                    reader.read(lease)
                });
            }
            Received::Ready => {
                conn.session.handle_heard(now);
                self.read_with(token, short, |reader| reader.take_in());
            }
            Received::Eof => self.leave(token, &Leaving::Eof),
            Received::NoBuffers => {
                conn.held_up = true;
                self.starved.push(token);
            }
            Received::Failed(error) => self.leave(token, &Leaving::Broken(error.to_string())),
        }
    }

    /// For whom payload is to be copied out of receive buffers now.
    fn shortage(&mut self) -> Shortage {
        Shortage::of(self.driver.buffers_free(), self.core.config.engine.receive_buffers.into())
    }

    /// Reads what is left from the ticks before.
    pub(super) fn read_leftovers(&mut self) {
        for token in std::mem::take(&mut self.unread) {
            let Some((conn, _)) = self.served(token) else { continue };
            if let Some(leftover) = conn.leftover.take() {
                let short = self.shortage();
                self.read_with(token, short, |reader| reader.read_leftover(leftover));
                self.handle_local();
            }
        }
    }

    /// Lets a connection read in some way, and sees to it that it goes on reading.
    fn read_with(
        &mut self,
        token: Token,
        short: Shortage,
        read: impl FnOnce(&mut Reader<'_, D>) -> Result<(), Leaving>,
    ) {
        let Self { conns, core, driver, .. } = self;
        let Some(conn) = conns.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        let mut reader =
            Reader { conn, core, driver, short, brought: 0, left: None, rx_pipe: None, splice_batch: None };
        match read(&mut reader).and_then(|()| reader.settle()) {
            Ok(()) => {
                self.note_registered(token);
                self.unarmed.push(token);
                self.mark_dirty(token);
            }
            Err(why) => self.leave(token, &why),
        }
    }

    /// Arms the receives of connections that are to be read on.
    pub(super) fn arm(&mut self) {
        if !self.starved.is_empty() && self.driver.buffers_free() > 0 {
            self.unarmed.append(&mut self.starved);
        }
        self.congested = self.core.sender.is_congested();
        if self.unarmed.is_empty() || self.congested {
            // Whoever writes more than another shard takes in waits until it has.
            return;
        }
        let (stopping, sealed) = (self.stop.is_some(), self.is_sealed());
        // Emptied and put back, so that its memory is used again.
        let mut unarmed = std::mem::take(&mut self.unarmed);
        for token in unarmed.drain(..) {
            let Self { conns, core, driver, unread, .. } = self;
            let conn = conns.get_mut(token.slot()).and_then(Option::as_deref_mut);
            let Some(conn) = conn.filter(|conn| conn.token == token && conn.life != Life::Closing) else { continue };
            let ending = conn.life.is_ending();
            // What has been received before a stop is accepted, and read to its end.
            let stopped = stopping && (sealed || conn.leftover.is_none());
            conn.held_up = !ending && !conn.armed && (conn.pauses > 0 || stopped);
            if conn.armed || conn.held_up || (!ending && conn.slowed_until.is_some()) {
                conn.leftover.iter_mut().for_each(Leftover::detach);
                if conn.pauses > 0 && conn.hang_up == HangUp::Unknown {
                    // Its end comes behind bytes that may not be read for as long as others like.
                    conn.hang_up = HangUp::Awaited;
                    driver.await_hang_up(token);
                }
                continue;
            }
            if conn.leftover.is_some() {
                unread.push(token);
                continue;
            }
            conn.armed = true;
            conn.session.handle_read_resumed(core.now);
            if conn.bulk { driver.await_bytes(token) } else { driver.receive(token) }
        }
        self.unarmed = unarmed;
    }
}

/// A connection that is being read.
pub(super) struct Reader<'a, D> {
    pub(super) conn: &'a mut Conn,
    pub(super) core: &'a mut Core,
    pub(super) driver: &'a mut D,
    /// For whom payload is to be copied out of receive buffers now.
    pub(super) short: Shortage,
    /// How many bytes were there to be read.
    pub(super) brought: usize,
    /// What is left of what was being read when the turn was over, even if that is nothing.
    pub(super) left: Option<Lease>,
    /// What is in a pipe, behind what is being read.
    pub(super) rx_pipe: Option<Pipe>,
    pub(super) splice_batch: Option<SpliceBatch>,
}

impl<D: Driver> Reader<'_, D> {
    /// Lets the session read `lease`, all of it unless the turn is over before.
    pub(super) fn read(&mut self, mut lease: Lease) -> Result<(), Leaving> {
        // Not until the bytes are used up, but until nothing more happens: a flag takes effect without a byte of its own.
        loop {
            if self.conn.session.is_turn_over() || self.core.sender.is_full() {
                self.left = Some(lease);
                return Ok(());
            }
            if let Some((len, forward)) = self.conn.session.next_run(&mut lease) {
                self.pass(forward, lease.split_to(len));
                continue;
            }
            let next = self.conn.with_session(self.core, |session, cx| session.next(&lease, cx))?;
            match next.forward {
                None if next.done => return Ok(()),
                None => lease.advance(next.used),
                Some(forward) => {
                    let len = forward.payload.payload_bytes() as usize;
                    lease.advance(next.used - len);
                    self.pass(forward, lease.split_to(len));
                }
            }
        }
    }

    /// Looks how many receive buffers are left, which the turn itself may have used up.
    pub(super) fn look_for_shortage(&mut self) {
        self.short = Shortage::of(self.driver.buffers_free(), self.core.config.engine.receive_buffers.into());
    }

    /// Goes on where the last turn ended.
    fn read_leftover(&mut self, leftover: Leftover) -> Result<(), Leaving> {
        self.brought = leftover.lease.len() + leftover.rx_pipe.as_ref().map_or(0, |rx_pipe| rx_pipe.len());
        self.rx_pipe = leftover.rx_pipe.map(|rx_pipe| *rx_pipe);
        self.read(leftover.lease)?;
        self.read_rx_pipe()
    }

    /// The turn is over: decides when and in which way the connection is read next.
    fn settle(&mut self) -> Result<(), Leaving> {
        self.settle_pace();
        let Self { conn, core, .. } = self;
        let slowed = match conn.session.settle_turn(core.now, &core.settings) {
            Verdict::Fine => None,
            Verdict::Slow { until } => Some(until),
            Verdict::Flooding => return Err(Leaving::Flooding),
        };
        conn.slowed_until = slowed;
        if slowed.is_some() {
            // It is not to hold one of the pipes that others could use.
            conn.bulk = false;
        }
        // It is not read until it is known whether it has the name that it wants.
        conn.pauses += u32::from(conn.session.is_contesting());
        conn.leftover = self.left.take().map(|lease| Leftover { lease, rx_pipe: self.rx_pipe.take().map(Box::new) });
        // What waits for longer than a tick must not keep a buffer from others.
        if conn.leftover.is_some() && (slowed.is_some() || core.sender.is_congested()) {
            conn.leftover.iter_mut().for_each(Leftover::detach);
        }
        conn.tell_if_slowed();
        Ok(())
    }

    /// Passes payload on.
    fn pass(&mut self, forward: Forward, bytes: Lease) {
        // Of a body that goes on in a pipe the first bytes go with the others.
        if self.rx_pipe.is_some() && matches!(forward.payload, Payload::Piece { .. }) && self.load(&bytes) {
            return;
        }
        self.dispatch();
        self.note_size(&forward.payload);
        self.core.send(ShardMsg::Payload(forward, bytes, self.short));
    }
}
