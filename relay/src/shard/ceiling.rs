//! The memory ceiling: what a relay can take at the most, as a sum of bounds that are all kept elsewhere.
//!
//! It is what the process has resident. Beside it stands what the kernel may hold in buffers of its sockets.

use std::fmt;

use crate::config::{Config, kernel_memory};
use limits::{ENTRY_BYTES_MAX, INBOX_MSGS_MAX, LISTINGS_MAX, OUTGOING_MSGS_MAX};

use super::backlog::BLOCKS_PER_PAYLOAD;
use super::inbox::ShardMsg;
use super::pool::Pool;
use super::relay::ring_settings;

/// What the directory keeps for a plugin, and what is kept for those that are told of it, beside its entry.
const NAME_BYTES: u64 = 256;

/// Code, stacks and what every process has.
const PROCESS_BYTES: u64 = 24 << 20;

/// The allocator keeps memory that was given back, and rounds up: this part of what it has handed out. Measured, see
/// `docs/memory.md`.
const ALLOCATOR_PART: u64 = 8;

/// The bounds of a relay's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// What for, and how many bytes, over all shards.
    pub parts: Vec<(&'static str, u64)>,
    /// Beside all that: what the kernel may hold in buffers of sockets, as far as the relay chooses their sizes.
    pub sockets_bytes: u64,
}

impl Ceiling {
    /// Of a relay with this configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let shards = config.shards.count as u64;
        let ring = ring_settings(config);
        let msgs = INBOX_MSGS_MAX as u64 + OUTGOING_MSGS_MAX as u64 * (shards - 1);
        let names = config.limits.connections_max as u64 * (ENTRY_BYTES_MAX as u64 + NAME_BYTES);
        // What there is now, and what there was before.
        let listings = (1 + LISTINGS_MAX as u64) * config.limits.connections_max as u64 * ENTRY_BYTES_MAX as u64;
        let payload = shards * BLOCKS_PER_PAYLOAD * config.credit.memory_bytes;
        let overhead = shards * config.limits.overhead_memory_bytes as u64;
        let pipes = if config.engine.splice { config.engine.pipes_max } else { 0 };
        let kept = shards * Pool::BYTES_MAX;
        let msg = shards * msgs * size_of::<ShardMsg>() as u64;
        Self {
            parts: vec![
                ("promised payload", payload),
                ("connections and channels", overhead),
                ("names and listings", names + listings),
                ("messages between shards", msg),
                ("memory kept for reuse", kept),
                ("pipes (the kernel's)", pipes as u64 * config.engine.pipe_bytes as u64),
                ("receive buffers", shards * ring.buffers_bytes()),
                ("io_uring queues", shards * ring.queues_bytes()),
                ("allocator", (payload + overhead + names + listings + msg + kept) / ALLOCATOR_PART),
                ("process", PROCESS_BYTES),
            ],
            sockets_bytes: kernel_memory::most_bytes(&config.limits, &config.socket),
        }
    }

    /// All parts together, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// The sum and its parts on one line.
impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} =", Mebibytes(self.total_bytes()))?;
        for (index, (what, bytes)) in self.parts.iter().enumerate() {
            write!(f, "{} {what} {}", if index == 0 { "" } else { " +" }, Mebibytes(*bytes))?;
        }
        write!(f, "; beside it, buffers of sockets (the kernel's) {}", Mebibytes(self.sockets_bytes))
    }
}

/// Rounded up: a bound must not look lower than it is.
struct Mebibytes(u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0.div_ceil(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(text: &str) -> Ceiling {
        Ceiling::of(&Config::of_test(text))
    }

    #[test]
    fn the_defaults_have_a_ceiling_that_a_machine_can_bear() {
        assert!(ceiling("").total_bytes() <= 512 << 20, "{}", ceiling(""));
        assert!(ceiling("[shards]\ncount = 4").total_bytes() <= 2 << 30, "{}", ceiling("[shards]\ncount = 4"));
    }

    #[test]
    fn every_memory_setting_moves_it() {
        let total = |text: &str| ceiling(text).total_bytes();
        for (setting, least) in [
            ("[credit]\nmemory_bytes = \"128 MiB\"", 2 * (64 << 20)),
            ("[limits]\noverhead_memory_bytes = \"256 MiB\"", 128 << 20),
            ("[limits]\nconnections_max = 32_000", 16_000 * 258),
            ("[engine]\nreceive_buffers = 128", 64 * (128 << 10)),
            ("[engine]\nreceive_buffer_bytes = \"1 MiB\"", 64 * (896 << 10)),
            ("[engine]\npipes_max = 64", 32 << 20),
            ("[engine]\nring_entries = 8192", 4_096 * 64),
        ] {
            assert!(total(setting) >= total("") + least, "{setting}: {}", ceiling(setting));
        }
    }

    #[test]
    fn the_line_has_the_sum_first() {
        let text = ceiling("").to_string();
        assert!(text.contains(" MiB = promised payload 128 MiB + connections and channels 128 MiB + "), "{text}");
        assert!(text.ends_with("; beside it, buffers of sockets (the kernel's) 2048 MiB"), "{text}");
        let few = ceiling("[limits]\nconnections_max = 36");
        assert_eq!(few.sockets_bytes, 100 * ((2 << 20) + (68 << 10)));
    }
}
