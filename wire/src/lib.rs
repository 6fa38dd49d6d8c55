//! The wire format of Min-Bus: what stands in the payloads that plugins and the relay exchange (protocol, sections 2 and 4).
//!
//! One place for both ends: the relay, the plugin library, the load generator. Chunks, credit and halves are `bpmux`'s.

#![forbid(unsafe_code)]

mod connect;
mod entry;
pub mod stats;

pub use connect::Connect;
pub use entry::{ENTRY_BYTES_MAX, Entry, NAME_BYTES_MAX, put_text};

/// Codes of an end payload of the relay (protocol, section 2, Connect).
pub mod end {
    /// There is no memory for the channel.
    pub const NO_MEMORY: u8 = 0x00;
    /// The plugin is not connected, denies, or has left.
    pub const NOT_THERE: u8 = 0x01;
    /// The plugin's version is lower than asked for.
    pub const VERSION: u8 = 0x02;
    /// On a channel that has been accepted: the other plugin has ended it, and its own payload follows.
    pub const BY_PLUGIN: u8 = 0x00;
}

/// Codes of a message of a watch, before the entry that it is about.
pub mod watch {
    /// A plugin has connected.
    pub const JOINED: u8 = 0x00;
    /// A plugin has left.
    pub const LEFT: u8 = 0x01;
}
