//! The life of a connection, from its first byte to the closed socket.
//!
//! ```text
//!   Served -- it said goodbye, or we end it ----> Flushing ---- all is out ----> Lingering --+
//!     |                                              |                                       |
//!     | a send failed                                +-- time is up, or the socket failed ---+--> Closing
//!     v                                                                                      |
//!   ReadOnly -------------- read to its end, or time is up ----------------------------------+
//! ```
//!
//! A peer that has closed its end, or whose socket is broken, leads from any of them to `Closing`: nobody is there to hear
//! anything.

use std::time::{Duration, Instant};

use limits::FAREWELL_TIMEOUT_MS;

/// How long a connection that is over may take to hear why, or to be heard.
pub(super) const FAREWELL_TIMEOUT: Duration = Duration::from_millis(FAREWELL_TIMEOUT_MS);

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It is served.
    Served,
    /// Its peer does not listen any more: what is for it is lost, and what it has said is read until then.
    ReadOnly(Instant),
    /// Its session is over; what is owed to the peer may go out until then. What the peer still says is dropped.
    Flushing(Instant),
    /// All that was owed is with the kernel, and the sending direction is shut. What the peer still says is read and
    /// dropped until it closes, or until then: a socket that is closed over unread bytes is reset, and a TCP peer loses
    /// what it has not taken yet.
    Lingering(Instant),
    /// The driver is closing the socket.
    Closing,
}

impl Life {
    /// Whether what the plugin has said is heard.
    pub(super) fn is_served(self) -> bool {
        matches!(self, Self::Served | Self::ReadOnly(_))
    }

    /// Whether the peer is read only so that it can take what is on its way to it.
    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::Flushing(_) | Self::Lingering(_))
    }
}
