//! How large an io_uring and its receive buffers are made, and how much memory that takes.

use io_uring::cqueue;
use io_uring::squeue::Entry;

use super::buffers::Buffers;

/// Completions that a connection can have at once: a receive, a send, a hang-up, a cancellation.
const COMPLETIONS_PER_CONNECTION: u32 = 4;
/// The most completions that a queue can hold (twice `IORING_MAX_ENTRIES`).
const COMPLETIONS_MAX: u32 = 65_536;

/// How large a ring is made.
#[derive(Clone, Copy, Debug)]
pub struct RingSettings {
    /// Operations that can be queued before one system call must start them.
    pub entries: u32,
    /// Connections that the shard is meant to have at most; sizes the completion queue.
    pub connections: u32,
    /// Receive buffers, up to 32768.
    pub receive_buffers: u16,
    /// Bytes of each receive buffer.
    pub receive_buffer_bytes: u32,
}

impl RingSettings {
    /// How many completions the queue for them has room for, before the kernel rounds it up.
    pub(super) fn completions(&self) -> u32 {
        let of_connections = self.connections.saturating_mul(COMPLETIONS_PER_CONNECTION);
        of_connections.max(self.entries.saturating_mul(2)).min(COMPLETIONS_MAX)
    }

    /// The memory of the two queues, in bytes.
    #[must_use]
    pub fn queues_bytes(&self) -> u64 {
        let (entries, completions) = (self.entries.next_power_of_two(), self.completions().next_power_of_two());
        let entry = size_of::<Entry>() + size_of::<u32>();
        u64::from(entries) * entry as u64 + u64::from(completions) * size_of::<cqueue::Entry>() as u64
    }

    /// The memory of the receive buffers and what is kept about them, in bytes.
    #[must_use]
    pub fn buffers_bytes(&self) -> u64 {
        u64::from(self.receive_buffers) * (u64::from(self.receive_buffer_bytes) + Buffers::BYTES_BESIDE)
    }
}
