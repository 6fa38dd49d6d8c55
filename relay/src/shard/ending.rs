//! Teardown of a connection, when a plugin leaves, dies or is ended, be it in the middle of a message: the other plugins get
//! `ChannelMsg::Gone` (`Channels::leave`), what is queued for this one is dropped and its credit released (`Conn::abandon`),
//! its peer hears why, and the socket is closed when the peer has taken all of it.
//!
//! A TCP socket that is closed while bytes of the peer wait unread is reset, and with that everything is lost that the peer
//! has not taken. So a socket is closed in two steps: its sending direction first, and the rest when the peer has closed
//! its own, or has had time for it. What comes in between is read and dropped. See [`Life`] for the states.

use std::time::Instant;

use bus::session::Leaving;
use engine::driver::{Driver, Received, Token};
use limits::FAREWELL_BYTES_MAX;

use super::admission::Place;
use super::conn::HangUp;
use super::life::{FAREWELL_TIMEOUT, Life};
use super::shard::Shard;

impl<D: Driver> Shard<D> {
    /// The session is over: everyone concerned is told, and the plugin itself as far as it listens.
    pub(super) fn leave(&mut self, token: Token, why: &Leaving) {
        let Some((conn, core)) = self.served(token) else { return };
        let name = conn.session.name().cloned();
        let plugin = name.as_ref().map_or_else(|| "(unregistered)".to_owned(), ToString::to_string);
        // Those are told of when they are refused.
        let told = conn.place == Place::Refused;
        if why.is_our_will() && !told {
            tracing::warn!(peer = %conn.peer, %plugin, kind = why.kind(), reason = %why, "connection ended");
        } else {
            tracing::debug!(peer = %conn.peer, %plugin, reason = %why, "connection over");
        }
        conn.with_session(core, |session, cx| session.leave(why, cx));
        let hears = why.is_our_will() || *why == Leaving::Goodbye;
        if hears && conn.life == Life::Served {
            if *why == Leaving::Goodbye {
                // "What was on its way to the plugin that left is dropped."
                conn.abandon(core);
            }
            (conn.leftover, conn.bulk) = (None, false);
            let timer_at = conn.timer_at.take();
            self.timers.clear(timer_at, token);
            let stop = self.stop.as_ref().map(|stop| stop.deadline);
            let until = self.core.now + FAREWELL_TIMEOUT;
            self.let_finish(token, Life::Flushing(stop.map_or(until, |at| at.max(until))));
        } else {
            self.close(token);
        }
    }

    /// All that was for the peer is with the kernel: it reads the end behind that.
    pub(super) fn linger(&mut self, token: Token, until: Instant) {
        self.driver.finish(token);
        self.let_finish(token, Life::Lingering(until));
    }

    /// What the peer says is dropped from now on.
    fn let_finish(&mut self, token: Token, life: Life) {
        let Some(conn) = self.conn(token) else { return };
        conn.life = life;
        if !conn.armed {
            self.unarmed.push(token);
        }
        self.mark_dirty(token);
    }

    /// Something has come of a peer that is not heard any more.
    pub(super) fn handle_late_bytes(&mut self, token: Token, received: &Received) {
        let Some(conn) = self.conn(token) else { return };
        match (conn.life, received) {
            (Life::Flushing(_) | Life::Lingering(_), Received::Data(lease)) => {
                conn.late_bytes = conn.late_bytes.saturating_add(lease.len() as u32);
                if conn.late_bytes > FAREWELL_BYTES_MAX { self.close(token) } else { self.unarmed.push(token) }
            }
            (Life::Flushing(_) | Life::Lingering(_), Received::Ready) => self.unarmed.push(token),
            (Life::Flushing(_) | Life::Lingering(_), Received::NoBuffers) => self.starved.push(token),
            // It may still read. It is asked again when all is out.
            (Life::Flushing(_), Received::Eof) | (Life::Closing, _) => {}
            (Life::Lingering(_), Received::Eof) | (_, Received::Failed(_)) => self.close(token),
            (Life::Served | Life::ReadOnly(_), _) => {}
        }
    }

    /// Some time has passed since all was out: the peer has had its time, or more of it takes as long as the network does.
    pub(super) fn handle_lingered(&mut self, token: Token, until: Instant) {
        if self.core.now >= until || self.driver.untaken_bytes(token) == 0 {
            self.close(token);
        } else {
            self.mark_dirty(token);
        }
    }

    /// The peer of a connection has hung up that was not read when it was last looked at.
    pub(super) fn handle_hung_up(&mut self, token: Token) {
        let Some((conn, core)) = self.served(token) else { return };
        conn.hang_up = HangUp::Since(core.now);
        self.mark_dirty(token);
    }

    /// Closes the socket, whatever still waits for it.
    pub(super) fn close(&mut self, token: Token) {
        let Self { conns, core, driver, .. } = self;
        let Some(conn) = conns.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        if conn.token == token && conn.life != Life::Closing {
            conn.life = Life::Closing;
            conn.abandon(core);
            driver.close(token);
        }
    }

    pub(super) fn handle_closed(&mut self, token: Token) {
        if self.conn(token).is_some() {
            self.vacate(token.slot());
        }
        self.acceptor.handle_closed(token);
    }

    /// Makes sure that there is no connection in a slot. The driver may give a slot to a new socket before we have heard that
    /// the old one is closed.
    pub(super) fn vacate(&mut self, slot: usize) {
        if let Some(conn) = self.conns.get_mut(slot).and_then(Option::take) {
            self.served -= 1;
            self.timers.clear(conn.timer_at, conn.token);
            self.ranks.forget(conn.token, conn.rank_kib);
            self.core.overhead_bytes -= conn.weighed;
            self.core.shared.admission.leave(conn.place);
        }
    }
}
