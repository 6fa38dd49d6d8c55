//! From a receive buffer to the sessions: what a plugin has sent is read in place, and payload goes on in the very buffer
//! unless buffers are short. A plugin that has much to say that is not payload has its turn for a while only; the rest of
//! what it has said waits for the next tick, or longer when it floods.

use crate::bus::session::{Leaving, Verdict};
use crate::engine::buffers::Lease;
use crate::engine::driver::{Driver, Received, Token};

use super::core::Core;
use super::mailbox::Mail;
use super::port::{Life, Port};
use super::shard::Shard;

impl<D: Driver> Shard<D> {
    pub(super) fn received(&mut self, token: Token, received: Received) {
        // With few buffers left, payload is copied out, so that those who are behind do not hold what all receive into.
        let short = self.driver.buffers_free() <= usize::from(self.core.config.engine.receive_buffers) / 4;
        let (now, buffer_bytes) = (self.core.now, self.core.config.engine.receive_buffer_bytes);
        let Some(port) = self.port(token) else { return };
        port.armed = false;
        let full = matches!(&received, Received::Data(lease) if lease.len() >= buffer_bytes);
        port.session.stopped_reading(full, now);
        if port.life != Life::Served {
            return;
        }
        match received {
            Received::Data(lease) => {
                let Some((port, core)) = self.served(token) else { return };
                port.session.heard(core.now);
                self.read_on(token, lease, short);
            }
            Received::Eof => self.leave(token, &Leaving::Eof),
            Received::NoBuffers => self.starved.push(token),
            Received::Failed(error) => self.leave(token, &Leaving::Broken(error.to_string())),
        }
    }

    /// Reads what is left from the ticks before.
    pub(super) fn read_rests(&mut self) {
        for token in std::mem::take(&mut self.unread) {
            let Some((port, _)) = self.served(token) else { continue };
            if let Some(rest) = port.rest.take() {
                self.read_on(token, rest, false);
                self.handle_local();
            }
        }
    }

    fn read_on(&mut self, token: Token, lease: Lease, short: bool) {
        let Some((port, core)) = self.served(token) else { return };
        let read = read(port, core, lease, short).and_then(|rest| {
            let verdict = port.session.settle_turn(&core.context());
            let (slowed, first) = match verdict {
                Verdict::Fine => (None, false),
                Verdict::Slow { until, first } => (Some(until), first),
                Verdict::Flooding => return Err(Leaving::Flooding),
            };
            port.slowed_until = slowed;
            // What waits for longer than a tick must not keep a buffer from others.
            let waits = slowed.is_some() || core.office.is_full();
            port.rest = rest.map(|rest| if waits { Lease::from_vec(rest.to_vec()) } else { rest });
            if first {
                let plugin = port.session.name().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(peer = %port.peer, %plugin, "slowed: it sends much that no payload pays for");
            }
            Ok(())
        });
        match read {
            Ok(()) => {
                self.unarmed.push(token);
                self.touch(token);
            }
            Err(why) => self.leave(token, &why),
        }
    }

    /// Arms the receives of ports that are to be read on.
    pub(super) fn arm(&mut self) {
        if !self.starved.is_empty() && self.driver.buffers_free() > 0 {
            self.unarmed.append(&mut self.starved);
        }
        if self.unarmed.is_empty() || self.core.office.is_congested() {
            // Whoever writes more than another shard takes in waits until it has.
            return;
        }
        let stopping = self.stop.is_some();
        // Emptied and put back, so that its memory is used again.
        let mut unarmed = std::mem::take(&mut self.unarmed);
        for token in unarmed.drain(..) {
            let Some((port, core)) = self.served(token) else { continue };
            if port.armed || port.pauses > 0 || port.slowed_until.is_some() || stopping {
                continue;
            }
            if port.rest.is_some() {
                self.unread.push(token);
                continue;
            }
            port.armed = true;
            port.session.reads_again(core.now);
            self.driver.receive(token);
        }
        self.unarmed = unarmed;
    }
}

/// Lets the session read `lease`; returns what is left of it when the turn is over, even if that is nothing.
fn read(port: &mut Port, core: &mut Core, mut lease: Lease, short: bool) -> Result<Option<Lease>, Leaving> {
    // Not until the bytes are used up, but until nothing more happens: a flag takes effect without a byte of its own.
    loop {
        if port.session.is_turn_over() || core.office.is_full() {
            return Ok(Some(lease));
        }
        if let Some((len, relay)) = port.session.next_run(&mut lease) {
            core.send(Mail::Cargo(relay, lease.split_to(len), short));
            continue;
        }
        let next = port.with_session(core, |session, cx| session.next(&lease, cx))?;
        match next.relay {
            None if next.done => return Ok(None),
            None => lease.advance(next.used),
            Some(relay) => {
                let len = relay.cargo.payload_bytes() as usize;
                lease.advance(next.used - len);
                core.send(Mail::Cargo(relay, lease.split_to(len), short));
            }
        }
    }
}
