//! How large the send buffer of a new connection may be, so that all of them together do not make the kernel hold more than
//! `socket.kernel_memory_bytes`.
//!
//! The least is set aside for every connection that there may be. Of what is left each new one may get a fixed part, up to
//! what is wished for: so nothing changes for the first few hundred, and there is something for every further one. A buffer
//! is never changed afterwards; nothing of this is on the way of payload.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::kernel_memory::{buffer_bytes, held_bytes, takes_splices};
use crate::config::{Config, Socket};
use engine::socket;
use limits::{KERNEL_MEMORY_SHARES, REFUSED_MAX, SEND_BUFFER_BYTES_MIN};

/// What is set aside for each connection.
const LEAST_BYTES: u64 = held_bytes(2 * SEND_BUFFER_BYTES_MIN);

/// What may be given beyond that, and how much of it is.
#[derive(Debug)]
pub(super) struct KernelMemory {
    most_bytes: u64,
    given_bytes: AtomicU64,
}

impl KernelMemory {
    pub(super) fn of(config: &Config) -> Self {
        let places = (config.limits.connections_max + REFUSED_MAX) as u64;
        let most_bytes = config.socket.kernel_memory_bytes.saturating_sub(places * LEAST_BYTES);
        Self { most_bytes, given_bytes: AtomicU64::new(0) }
    }

    /// What a new connection may make the kernel hold: as much as this, if it can be had.
    fn grant(self: &Arc<Self>, wanted_bytes: u64) -> Grant {
        let mut more = 0;
        let _ = self.given_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |given| {
            let share = self.most_bytes.saturating_sub(given) / KERNEL_MEMORY_SHARES;
            more = wanted_bytes.saturating_sub(LEAST_BYTES).min(share);
            Some(given + more)
        });
        Grant { memory: self.clone(), bytes: wanted_bytes.min(LEAST_BYTES) + more }
    }
}

/// What one connection may make the kernel hold. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Grant {
    memory: Arc<KernelMemory>,
    bytes: u64,
}

impl Grant {
    /// The buffer has turned out to be this large.
    fn settle(&mut self, buffer_bytes: u64) {
        let held = held_bytes(buffer_bytes);
        let (before, after) = (self.bytes.saturating_sub(LEAST_BYTES), held.saturating_sub(LEAST_BYTES));
        self.memory.given_bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        self.bytes = held;
    }

    /// Whether payload may be spliced into the socket.
    pub(super) fn takes_splices(&self) -> bool {
        takes_splices(buffer_bytes(self.bytes))
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.memory.given_bytes.fetch_sub(self.bytes.saturating_sub(LEAST_BYTES), Ordering::Relaxed);
    }
}

/// Gives a new socket its send buffer: of the size that is set, or less when many have theirs. Nothing for a TCP socket
/// whose buffer is left to the kernel.
pub(super) fn set_send_buffer(
    new: &OwnedFd,
    tcp: bool,
    settings: &Socket,
    memory: &Arc<KernelMemory>,
) -> io::Result<Option<Grant>> {
    let asked = if tcp { settings.tcp_send_buffer_bytes } else { settings.unix_send_buffer_bytes };
    if tcp && asked == 0 {
        return Ok(None);
    }
    let wanted = if asked == 0 { socket::send_buffer_bytes(new)? } else { 2 * asked } as u64;
    let mut grant = memory.grant(held_bytes(wanted));
    if grant.bytes < held_bytes(wanted) {
        socket::set_buffer_bytes(new, buffer_bytes(grant.bytes) as usize / 2, 0)?;
    } else {
        socket::set_buffer_bytes(new, asked, 0)?;
    }
    // Less than that where the system allows no more, and more where it allows no less.
    grant.settle(socket::send_buffer_bytes(new)? as u64);
    Ok(Some(grant))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn all_connections_together_keep_to_it_and_the_first_notice_nothing() {
        let wanted = held_bytes(2 << 20);
        let config = Config::of_test("");
        let memory = Arc::new(KernelMemory::of(&config));
        let places = config.limits.connections_max + REFUSED_MAX;
        let grants: Vec<_> = (0..places).map(|_| memory.grant(wanted)).collect();
        let whole = grants.iter().take_while(|grant| grant.bytes == wanted).count();
        assert!(whole >= 300, "only {whole} have what is wished for");
        assert!(grants.is_sorted_by(|one, next| one.bytes >= next.bytes));
        assert!(grants.iter().all(|grant| grant.bytes >= LEAST_BYTES));
        let sum: u64 = grants.iter().map(|grant| grant.bytes).sum();
        assert!(sum <= config.socket.kernel_memory_bytes, "{sum}");
        drop(grants);
        assert_eq!(memory.grant(wanted).bytes, wanted, "all of it is given back");
    }

    #[test]
    fn sockets_get_what_is_counted_for_them() {
        for (text, expected) in [
            ("", 0),
            ("[socket]\nunix_send_buffer_bytes = 0", 0),
            ("[socket]\nunix_send_buffer_bytes = 5000", 10_000),
            ("[limits]\nconnections_max = 1\n[socket]\nkernel_memory_bytes = \"4 MiB\"", 0),
        ] {
            let config = Config::of_test(text);
            let memory = Arc::new(KernelMemory::of(&config));
            let mut granted = Vec::new();
            for _ in 0..3 {
                let socket: OwnedFd = UnixStream::pair().expect("sockets").0.into();
                let grant = set_send_buffer(&socket, false, &config.socket, &memory).expect("a socket takes it");
                let grant = grant.expect("unix sockets are counted");
                let buffer = socket::send_buffer_bytes(&socket).expect("it tells") as u64;
                assert_eq!(grant.bytes, held_bytes(buffer));
                assert!(expected == 0 || buffer == expected, "{buffer} for {text}");
                assert!(buffer >= 4_608, "{buffer} for {text}");
                granted.push(grant);
            }
            let sum: u64 = granted.iter().map(|grant| grant.bytes.saturating_sub(LEAST_BYTES)).sum();
            assert_eq!(memory.given_bytes.load(Ordering::Relaxed), sum);
            drop(granted);
            assert_eq!(memory.given_bytes.load(Ordering::Relaxed), 0, "{text}");
        }
    }
}
