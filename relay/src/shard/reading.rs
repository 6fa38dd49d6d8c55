//! From a receive buffer to the sessions: what a plugin has sent is read in place, and payload goes on in the very buffer
//! unless buffers are short.

use crate::bus::session::Leaving;
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
        port.session.read_off(full, now);
        if port.life != Life::Served {
            return;
        }
        match received {
            Received::Data(lease) => {
                let Some((port, core)) = self.served(token) else { return };
                port.session.heard(core.now);
                match read(port, core, lease, short) {
                    Ok(()) => {
                        self.unarmed.push(token);
                        self.touch(token);
                    }
                    Err(why) => self.leave(token, &why),
                }
            }
            Received::Eof => self.leave(token, &Leaving::Eof),
            Received::NoBuffers => self.starved.push(token),
            Received::Failed(error) => self.leave(token, &Leaving::Broken(error.to_string())),
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
            if port.armed || port.pauses > 0 || stopping {
                continue;
            }
            port.armed = true;
            port.session.read_on(core.now);
            self.driver.receive(token);
        }
        self.unarmed = unarmed;
    }
}

/// Lets the session read all of `lease`.
fn read(port: &mut Port, core: &mut Core, mut lease: Lease, short: bool) -> Result<(), Leaving> {
    // Not until the bytes are used up, but until nothing more happens: a flag takes effect without a byte of its own.
    loop {
        if let Some((len, relay)) = port.session.next_run(&mut lease) {
            core.send(Mail::Cargo(relay, lease.split_to(len), short));
            continue;
        }
        let next = port.with_session(core, |session, cx| session.next(&lease, cx))?;
        match next.relay {
            None => return Ok(()),
            Some(relay) => {
                let len = relay.cargo.payload_bytes() as usize;
                lease.advance(next.used - len);
                core.send(Mail::Cargo(relay, lease.split_to(len), short));
            }
        }
    }
}
