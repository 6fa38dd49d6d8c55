//! From a receive buffer to the sessions: what a plugin has sent is read in place, and payload goes on in the very buffer
//! unless buffers are short. A plugin that has much to say that is not payload has its turn for a while only; the rest of
//! what it has said waits for the next tick, or longer when it floods.

use crate::bus::session::{Cargo, Leaving, Relay, Verdict};
use crate::engine::buffers::Lease;
use crate::engine::driver::{Driver, Received, Token};
use crate::engine::pipes::Pipe;

use super::bulk::Convoy;
use super::core::Core;
use super::life::Life;
use super::mailbox::Mail;
use super::outbox::Shortage;
use super::port::{HangUp, Port};
use super::shard::Shard;

impl<D: Driver> Shard<D> {
    pub(super) fn received(&mut self, token: Token, received: Received) {
        let short = self.shortage();
        let (now, buffer_bytes) = (self.core.now, self.core.config.engine.receive_buffer_bytes);
        let Some(port) = self.port(token) else { return };
        port.armed = false;
        let full = matches!(&received, Received::Data(lease) if lease.len() >= buffer_bytes);
        if !port.life.is_served() {
            return self.received_late(token, &received);
        }
        port.session.stopped_reading(full, now);
        if let HangUp::Since(at) = &mut port.hang_up {
            *at = now;
        }
        match received {
            Received::Data(lease) => {
                port.session.heard(now);
                self.read_with(token, short, |reader| {
                    reader.brought = lease.len();
                    reader.read(lease)
                });
            }
            Received::Ready => {
                port.session.heard(now);
                self.read_with(token, short, |reader| reader.take_in());
            }
            Received::Eof => self.leave(token, &Leaving::Eof),
            Received::NoBuffers => {
                port.held_up = true;
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
    pub(super) fn read_rests(&mut self) {
        for token in std::mem::take(&mut self.unread) {
            let Some((port, _)) = self.served(token) else { continue };
            if let Some(rest) = port.rest.take() {
                let short = self.shortage();
                self.read_with(token, short, |reader| reader.read_rest(rest));
                self.handle_local();
            }
        }
    }

    /// Lets a port read in some way, and sees to it that it goes on reading.
    fn read_with(
        &mut self,
        token: Token,
        short: Shortage,
        read: impl FnOnce(&mut Reader<'_, D>) -> Result<(), Leaving>,
    ) {
        let Self { ports, core, driver, .. } = self;
        let Some(port) = ports.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        let mut reader = Reader { port, core, driver, short, brought: 0, left: None, intake: None, convoy: None };
        match read(&mut reader).and_then(|()| reader.settle()) {
            Ok(()) => {
                self.note_registered(token);
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
        self.congested = self.core.office.is_congested();
        if self.unarmed.is_empty() || self.congested {
            // Whoever writes more than another shard takes in waits until it has.
            return;
        }
        let stopping = self.stop.is_some();
        // Emptied and put back, so that its memory is used again.
        let mut unarmed = std::mem::take(&mut self.unarmed);
        for token in unarmed.drain(..) {
            let Self { ports, core, driver, unread, .. } = self;
            let port = ports.get_mut(token.slot()).and_then(Option::as_deref_mut);
            let Some(port) = port.filter(|port| port.token == token && port.life != Life::Closing) else { continue };
            let ending = port.life.is_ending();
            // What has been received before a stop is accepted, and read to its end.
            let stopped = stopping && port.rest.is_none();
            port.held_up = !ending && !port.armed && (port.pauses > 0 || stopped);
            if port.armed || port.held_up || (!ending && port.slowed_until.is_some()) {
                port.rest.iter_mut().for_each(Rest::detach);
                if port.pauses > 0 && port.hang_up == HangUp::Unknown {
                    // Its end comes behind bytes that may not be read for as long as others like.
                    port.hang_up = HangUp::Awaited;
                    driver.await_hang_up(token);
                }
                continue;
            }
            if port.rest.is_some() {
                unread.push(token);
                continue;
            }
            port.armed = true;
            port.session.reads_again(core.now);
            if port.bulk { driver.await_bytes(token) } else { driver.receive(token) }
        }
        self.unarmed = unarmed;
    }
}

/// What has been received and not been read, because the turn was over.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) lease: Lease,
    /// What comes behind it. Boxed, since it is hardly ever there and would make every port larger.
    pub(super) intake: Option<Box<Pipe>>,
}

impl Rest {
    /// How many bytes it holds, those in a pipe not counted.
    pub(super) fn bytes(&self) -> usize {
        self.lease.len()
    }

    /// Lets go of the receive buffer and the pipe that hold it: it is not read soon, and others want them.
    fn detach(&mut self) {
        if self.intake.is_none() && !self.lease.is_of_a_driver() {
            return;
        }
        let mut bytes = self.lease.to_vec();
        if let Some(mut intake) = self.intake.take() {
            intake.copy_to(&mut bytes);
        }
        *self = Self { lease: Lease::from_vec(bytes), intake: None };
    }
}

/// A port that is being read.
pub(super) struct Reader<'a, D> {
    pub(super) port: &'a mut Port,
    pub(super) core: &'a mut Core,
    pub(super) driver: &'a mut D,
    /// For whom payload is to be copied out of receive buffers now.
    pub(super) short: Shortage,
    /// How many bytes were there to be read.
    pub(super) brought: usize,
    /// What is left of what was being read when the turn was over, even if that is nothing.
    pub(super) left: Option<Lease>,
    /// What is in a pipe, behind what is being read.
    pub(super) intake: Option<Pipe>,
    pub(super) convoy: Option<Convoy>,
}

impl<D: Driver> Reader<'_, D> {
    /// Lets the session read `lease`, all of it unless the turn is over before.
    pub(super) fn read(&mut self, mut lease: Lease) -> Result<(), Leaving> {
        // Not until the bytes are used up, but until nothing more happens: a flag takes effect without a byte of its own.
        loop {
            if self.port.session.is_turn_over() || self.core.office.is_full() {
                self.left = Some(lease);
                return Ok(());
            }
            if let Some((len, relay)) = self.port.session.next_run(&mut lease) {
                self.pass(relay, lease.split_to(len));
                continue;
            }
            let next = self.port.with_session(self.core, |session, cx| session.next(&lease, cx))?;
            match next.relay {
                None if next.done => return Ok(()),
                None => lease.advance(next.used),
                Some(relay) => {
                    let len = relay.cargo.payload_bytes() as usize;
                    lease.advance(next.used - len);
                    self.pass(relay, lease.split_to(len));
                }
            }
        }
    }

    /// Looks how many receive buffers are left, which the turn itself may have used up.
    pub(super) fn look_for_shortage(&mut self) {
        self.short = Shortage::of(self.driver.buffers_free(), self.core.config.engine.receive_buffers.into());
    }

    /// Goes on where the last turn ended.
    fn read_rest(&mut self, rest: Rest) -> Result<(), Leaving> {
        self.brought = rest.lease.len() + rest.intake.as_ref().map_or(0, |intake| intake.len());
        self.intake = rest.intake.map(|intake| *intake);
        self.read(rest.lease)?;
        self.read_intake()
    }

    /// The turn is over: decides when and in which way the port is read next.
    fn settle(&mut self) -> Result<(), Leaving> {
        self.settle_pace();
        let Self { port, core, .. } = self;
        let (slowed, first) = match port.session.settle_turn(&core.context()) {
            Verdict::Fine => (None, false),
            Verdict::Slow { until, first } => (Some(until), first),
            Verdict::Flooding => return Err(Leaving::Flooding),
        };
        port.slowed_until = slowed;
        if slowed.is_some() {
            // It is not to hold one of the pipes that others could use.
            port.bulk = false;
        }
        // It is not read until it is known whether it has the name that it wants.
        port.pauses += u32::from(port.session.is_contesting());
        port.rest = self.left.take().map(|lease| Rest { lease, intake: self.intake.take().map(Box::new) });
        // What waits for longer than a tick must not keep a buffer from others.
        if port.rest.is_some() && (slowed.is_some() || core.office.is_congested()) {
            port.rest.iter_mut().for_each(Rest::detach);
        }
        if first {
            port.tell_slowed();
        }
        Ok(())
    }

    /// Passes payload on.
    fn pass(&mut self, relay: Relay, bytes: Lease) {
        // Of a body that goes on in a pipe the first bytes go with the others.
        if self.intake.is_some() && matches!(relay.cargo, Cargo::Piece { .. }) && self.load(&bytes) {
            return;
        }
        self.dispatch();
        self.note_size(&relay.cargo);
        self.core.send(Mail::Cargo(relay, bytes, self.short));
    }
}
