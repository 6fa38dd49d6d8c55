//! What a socket can make the kernel hold, by the size of its send buffer.
//!
//! The kernel counts what it allocates for a socket, heads and all, and takes more as long as that is below the buffer
//! size that `SO_SNDBUF` tells, which is twice what was asked for. So what it holds is that, and one part more: as much as
//! one write may put into a piece, which is half the buffer and no more than 48 KiB, or the 16 pages that one splice moves.
//! Splices go only to sockets for which that is no more than half their buffer as well ([`takes_splices`]).

use limits::{REFUSED_MAX, SEND_BUFFER_BYTES_MIN};

use super::{Limits, Socket};

/// What one splice moves at most: as many pages as `splice` gathers in the kernel.
const SPLICED_BYTES_MAX: u64 = 64 << 10;

/// The head of that part, and what its memory is rounded up by.
const PART_HEAD_BYTES: u64 = 4 << 10;

/// What a socket can make the kernel hold whose `SO_SNDBUF` tells `buffer_bytes`.
#[must_use]
pub const fn held_bytes(buffer_bytes: u64) -> u64 {
    let half = buffer_bytes / 2;
    buffer_bytes + if half < SPLICED_BYTES_MAX { half } else { SPLICED_BYTES_MAX } + PART_HEAD_BYTES
}

/// The largest buffer with which a socket does not make the kernel hold more than `bytes`.
#[must_use]
pub const fn buffer_bytes(bytes: u64) -> u64 {
    let bytes = bytes.saturating_sub(PART_HEAD_BYTES);
    if bytes < 3 * SPLICED_BYTES_MAX { bytes / 3 * 2 } else { bytes - SPLICED_BYTES_MAX }
}

/// Whether payload may be spliced into a socket with such a buffer.
#[must_use]
pub const fn takes_splices(buffer_bytes: u64) -> bool {
    buffer_bytes / 2 >= SPLICED_BYTES_MAX
}

/// What the kernel may hold for each connection in any case, and so for all of them if they come.
pub(super) fn least_bytes(limits: &Limits) -> u64 {
    (limits.connections_max + REFUSED_MAX) as u64 * held_bytes(2 * SEND_BUFFER_BYTES_MIN)
}

/// What the kernel can hold for all connections whose buffers are of a size that we choose.
#[must_use]
pub fn most_bytes(limits: &Limits, socket: &Socket) -> u64 {
    let asked = socket.unix_send_buffer_bytes.max(socket.tcp_send_buffer_bytes) as u64;
    // Left to the kernel, nobody knows before there is one.
    let each = if socket.unix_send_buffer_bytes == 0 { u64::MAX } else { held_bytes(2 * asked) };
    each.saturating_mul((limits.connections_max + REFUSED_MAX) as u64).min(socket.kernel_memory_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_chosen_for_so_many_bytes_keeps_to_them() {
        for bytes in [4_608, 10_000, 52 << 10, 191 << 10, 192 << 10, 200 << 10, 1 << 20, 3 << 20] {
            let buffer = buffer_bytes(bytes);
            assert!(held_bytes(buffer) <= bytes, "{buffer} for {bytes}");
            assert!(held_bytes(buffer + 6) > bytes, "{buffer} for {bytes}");
        }
        assert_eq!(held_bytes(2 << 20), (2 << 20) + (68 << 10));
        assert_eq!(held_bytes(32 << 10), 52 << 10);
        assert_eq!(buffer_bytes(0), 0);
        assert_eq!(buffer_bytes(held_bytes(128 << 10)), 128 << 10, "from there on splices are taken");
        assert!(takes_splices(2 << 20) && takes_splices(128 << 10) && !takes_splices(32 << 10));
    }
}
