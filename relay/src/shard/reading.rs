//! From a receive buffer to the sessions: what a plugin has sent is read in place, and payload goes on in the very buffer
//! unless buffers are short.

use crate::bus::session::{Cargo, Leaving, Relay};
use crate::engine::buffers::Lease;
use crate::engine::driver::{Driver, Received, Token};
use crate::engine::pipes::Pipe;

use super::bulk::Convoy;
use super::core::Core;
use super::mailbox::Mail;
use super::port::{Life, Port};
use super::shard::Shard;

impl<D: Driver> Shard<D> {
    pub(super) fn received(&mut self, token: Token, received: Received) {
        // With few buffers left, payload is copied out, so that those who are behind do not hold what all receive into.
        let short = self.driver.buffers_free() <= usize::from(self.core.config.engine.receive_buffers) / 4;
        let Some(port) = self.port(token) else { return };
        port.armed = false;
        if port.life != Life::Served {
            return;
        }
        match received {
            Received::Data(lease) => self.read_with(token, short, |reader| {
                reader.brought = lease.len();
                reader.read(lease)
            }),
            Received::Ready => self.read_with(token, short, |reader| reader.take_in()),
            Received::Eof => self.leave(token, &Leaving::Eof),
            Received::NoBuffers => self.starved.push(token),
            Received::Failed(error) => self.leave(token, &Leaving::Broken(error.to_string())),
        }
    }

    /// Lets a port read in some way, and arms it again.
    fn read_with(&mut self, token: Token, short: bool, read: impl FnOnce(&mut Reader<'_, D>) -> Result<(), Leaving>) {
        let Self { ports, core, driver, .. } = self;
        let Some(port) = ports.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        port.session.heard(core.now);
        let mut reader = Reader { port, core, driver, short, brought: 0, intake: None, convoy: None };
        match read(&mut reader) {
            Ok(()) => {
                reader.settle_pace();
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
            let Some((port, _)) = self.served(token) else { continue };
            if port.armed || port.pauses > 0 || stopping {
                continue;
            }
            port.armed = true;
            if port.bulk { self.driver.await_bytes(token) } else { self.driver.receive(token) }
        }
        self.unarmed = unarmed;
    }
}

/// A port that is being read.
pub(super) struct Reader<'a, D> {
    pub(super) port: &'a mut Port,
    pub(super) core: &'a mut Core,
    pub(super) driver: &'a mut D,
    /// Whether receive buffers are wanted back at once.
    short: bool,
    /// How many bytes were there to be read.
    pub(super) brought: usize,
    /// Those of them that are in a pipe, behind what is being read.
    pub(super) intake: Option<Pipe>,
    pub(super) convoy: Option<Convoy>,
}

impl<D: Driver> Reader<'_, D> {
    /// Lets the session read all of `lease`.
    pub(super) fn read(&mut self, mut lease: Lease) -> Result<(), Leaving> {
        // Not until the bytes are used up, but until nothing more happens: a flag takes effect without a byte of its own.
        loop {
            if let Some((len, relay)) = self.port.session.next_run(&mut lease) {
                self.pass(relay, lease.split_to(len));
                continue;
            }
            let next = self.port.with_session(self.core, |session, cx| session.next(&lease, cx))?;
            match next.relay {
                None => return Ok(()),
                Some(relay) => {
                    let len = relay.cargo.payload_bytes() as usize;
                    lease.advance(next.used - len);
                    self.pass(relay, lease.split_to(len));
                }
            }
        }
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
