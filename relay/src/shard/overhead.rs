//! What connections cost besides payload: themselves, their channels, heads of messages, answers, names that are to be told.
//!
//! No credit pays for that, so it has a budget of its own for each shard. Whatever costs something is bounded for each
//! connection; but many of them together may cost more than there is, and then the one that costs most has to go.

use std::mem::size_of;

use crate::bus::session::Leaving;
use crate::engine::driver::{Driver, Token};

use super::life::Life;
use super::port::Port;
use super::shard::Shard;

/// What the allocator and the tables of all connections take for one, beside what is counted. Measured with 1,000 idle
/// connections, and rounded up.
const CONNECTION_BYTES: usize = 1 << 10;

impl Port {
    /// What the connection costs now, in bytes.
    pub(super) fn overhead_bytes(&self) -> usize {
        CONNECTION_BYTES + size_of::<Self>() + self.session.overhead_bytes() + self.waiting_overhead_bytes()
    }
}

impl<D: Driver> Shard<D> {
    /// Takes note of what a connection costs now. When all together cost too much, the one that costs most is ended.
    pub(super) fn weigh(&mut self, token: Token) {
        let Some(port) = self.port(token).filter(|port| port.life != Life::Closing) else { return };
        let (before, now) = (port.weighed, port.overhead_bytes());
        port.weighed = now;
        self.core.overhead_bytes = self.core.overhead_bytes - before + now;
        if self.core.overhead_bytes > self.core.config.limits.overhead_memory_bytes {
            self.shed();
        }
    }

    #[cold]
    fn shed(&mut self) {
        let ports = self.ports.iter().flatten().filter(|port| port.life != Life::Closing);
        if let Some(token) = ports.max_by_key(|port| port.weighed).map(|port| port.token) {
            self.leave(token, &Leaving::Overhead);
            self.close(token);
            // It takes a tick until its memory is free; nobody else is to go for that.
            let weighed = self.port(token).map_or(0, |port| std::mem::take(&mut port.weighed));
            self.core.overhead_bytes -= weighed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that does nothing is mostly this, in bytes.
    const PORT_BYTES_MAX: usize = 776;

    #[test]
    fn ports_are_small() {
        assert!(size_of::<Port>() <= PORT_BYTES_MAX, "{}", size_of::<Port>());
    }
}
