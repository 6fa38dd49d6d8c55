//! The io_uring of a thread: how large it is, and what to do while there is no memory for it.

use std::thread;
use std::time::Duration;

use engine::probe::RingError;
use engine::registry::RingRegistry;
use engine::ring::Ring;
use engine::ring_settings::RingSettings;

use crate::error::Error;

/// Receive buffers: as many sockets as that can have bytes at once. Those used last are used first, and memory that is never
/// used is never there.
const RECEIVE_BUFFERS: u16 = 256;

/// How often and how long a new ring waits for the memory of those before, which count against the locked memory of the user
/// until the kernel has let go of them, some time after their threads have ended.
const MEMORY_TRIES: u32 = 40;
const MEMORY_WAIT: Duration = Duration::from_millis(50);

/// Builds the ring of the calling thread, for so many connections.
pub(super) fn build(connections: u32) -> Result<Ring, Error> {
    let settings = RingSettings {
        entries: limits::RING_ENTRIES as u32,
        connections,
        receive_buffers: RECEIVE_BUFFERS,
        receive_buffer_bytes: limits::RECEIVE_BUFFER_BYTES as u32,
    };
    let mut tries = 0;
    loop {
        // No other thread wakes it: each has a registry of its own.
        let registry = RingRegistry::new(1).map_err(|source| Error::Ring { source })?;
        match Ring::new(settings, 0, &registry) {
            Err(RingError::LockedMemory { .. } | RingError::NoMemory) if tries < MEMORY_TRIES => {
                tries += 1;
                thread::sleep(MEMORY_WAIT);
            }
            built => return built.map_err(Error::NoRing),
        }
    }
}
