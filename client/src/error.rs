//! What can go wrong, one type for each operation.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bpmux::LinkError;
use bytes::Bytes;

use crate::address::{Address, AddressError};
use crate::escape::escape;
use crate::name::{Name, NameTooLong};

/// Why the connection to the bus is over. Each handle on that connection gets the same.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// This program has closed it.
    #[error("the connection to the bus was closed here")]
    Closed,
    /// This program has closed it, but not all that was queued could be sent within the linger time.
    #[error("the connection to the bus was closed before all that was queued could be sent")]
    Unsent,
    /// The relay has ended it and said why, in its own words: to print them, [`escape`] them.
    #[error("the bus has ended the connection: {}", escape(.0.as_bytes()))]
    Ended(String),
    /// The relay has ended it, or is gone, without a word.
    #[error("the bus has ended the connection and did not say why")]
    Lost,
    /// The relay was pinged, and nothing was heard of it for so long after that; or the ping had to wait for so long behind
    /// what it did not take.
    #[error("the bus has given no sign of life for {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    /// Reading or writing failed.
    #[error("the connection to the bus failed: {0}")]
    Io(Arc<io::Error>),
    /// The relay has broken a rule of bpmux/rel.
    #[error("the bus broke the protocol: {0}")]
    Violation(#[from] LinkError),
    /// The relay has broken a rule of Min-Bus.
    #[error("the bus broke the protocol: {0}")]
    Misbehaved(&'static str),
}

impl From<io::Error> for BusError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Lost,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

/// Why there is no connection to the bus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is wrong, or there is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No plugin can have such a name.
    #[error(transparent)]
    Name(#[from] NameTooLong),
    /// A plugin was to be registered under the empty name.
    #[error(
        "a plugin needs a name that is not empty; without one connect as a client (Bus::client, or a Builder without name)"
    )]
    NoName,
    /// Nobody answers there.
    #[error("no bus at {address}: {error}")]
    Unreachable {
        /// Where it was looked for.
        address: Address,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The relay refuses the registration, for instance because the name is taken. To print its reason, [`escape`] it.
    #[error("the bus refuses the registration: {}", escape(.0.as_bytes()))]
    Refused(String),
    /// The relay did not answer in time.
    #[error("the bus did not answer within {} seconds", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The connection broke.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Why the plugins could not be listed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The relay declined.
    #[error("the bus declined to list its plugins")]
    Declined,
    /// The connection to the bus is over.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Why a query was not answered.
#[derive(Clone, Debug)]
pub(crate) enum AskError {
    /// The relay declined with this payload.
    Declined(Vec<u8>),
    Bus(BusError),
}

impl From<BusError> for AskError {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

/// Why the relay tells nothing of itself.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// It is configured to tell others, or nobody.
    #[error("the bus does not tell this connection about itself (bus.stats in its configuration says whom it does)")]
    NotAllowed,
    /// It knows how to, but not in a way that is understood here.
    #[error("the bus tells about itself in versions {lowest} to {highest}, and this library understands 1")]
    Version {
        /// The lowest version that it knows.
        lowest: u8,
        /// The highest.
        highest: u8,
    },
    /// It declined for another reason, or does not know how to.
    #[error("the bus does not know how to tell about itself")]
    Declined,
    /// The connection to the bus is over.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl StatsError {
    pub(crate) fn declined(payload: &[u8]) -> Self {
        match *payload {
            [wire::stats::declined::VERSION, lowest, highest] => Self::Version { lowest, highest },
            [wire::stats::declined::RIGHT] => Self::NotAllowed,
            _ => Self::Declined,
        }
    }
}

/// Why the plugins cannot be watched.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// There is a watch already, and a plugin may have only one at a time; or the relay has none to offer.
    #[error("the bus refuses the watch: there may be only one at a time on each connection")]
    Refused,
    /// The connection to the bus is over.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Why a channel to another plugin was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No such plugin is connected, or it denied the channel (the protocol tells the two not apart), or it is this
    /// plugin itself.
    #[error("{0} is not connected to the bus, or denies the channel")]
    Unavailable(Name),
    /// This plugin has opened a channel to that one which is not over in both directions yet, and may have only one at
    /// a time: see [`Bus::open`](crate::Bus::open).
    #[error("there is already a channel to {0}, and there may be one at a time from a plugin or client to another")]
    AlreadyOpen(Name),
    /// The relay has no memory for another channel.
    #[error("the bus has no memory for a channel to {0}")]
    NoMemory(Name),
    /// The plugin is there, but its version is lower than the minimum asked for.
    #[error("the version of {0} is too old")]
    VersionTooOld(Name),
    /// No plugin can have such a name.
    #[error(transparent)]
    Name(#[from] NameTooLong),
    /// The name is empty: clients have none, and nobody can connect to them.
    #[error("say which plugin to connect to: its name cannot be empty")]
    NoName,
    /// The connection to the bus is over.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// What the other plugin has said, for the end of a sentence.
fn said(payload: &Bytes) -> String {
    if payload.is_empty() { String::new() } else { format!(": {}", escape(payload)) }
}

/// Why nothing more can be sent on a channel.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// This program has closed it, or has given up a message in the middle, which closes it too.
    #[error("the channel was closed here")]
    Closed,
    /// The other plugin wants no more.
    #[error("the other plugin has cancelled the channel{}", said(payload))]
    Cancelled {
        /// What it says about it, in its own words or bytes: to print them, [`escape`] them.
        payload: Bytes,
    },
    /// The other plugin has left the bus.
    #[error("the other plugin has left the bus")]
    PeerLeft,
    /// The relay has ended the channel and could not say why.
    #[error("the bus has ended the channel and did not say why")]
    Unexplained,
    /// A closing payload is limited to [`END_PAYLOAD_LEN_MAX`](crate::END_PAYLOAD_LEN_MAX).
    #[error("a closing payload of {0} bytes is too long")]
    PayloadTooLong(usize),
    /// The connection to the bus is over.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Why nothing more can be received from a channel.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// This program has cancelled it.
    #[error("the channel was cancelled here")]
    Cancelled,
    /// The next message is longer than the channel's maximum. It can still be received in parts
    /// ([`Receiver::recv_part`](crate::Receiver::recv_part)); when the receiver is dropped instead, the other plugin gets
    /// these words with the cancellation. [`Builder::message_len_max`](crate::Builder::message_len_max) raises the maximum.
    #[error("a message of {len} bytes is too large: the reader's maximum, message_len_max, is {len_max}")]
    TooLarge {
        /// Its length, in bytes.
        len: u64,
        /// The maximum, in bytes.
        len_max: usize,
    },
    /// The other plugin has closed the channel in the middle of a message of which parts were received.
    #[error("the channel was closed in the middle of a message")]
    Truncated,
    /// The other plugin has left the bus without closing the channel.
    #[error("the other plugin has left the bus")]
    PeerLeft,
    /// The relay has ended the channel and could not say why.
    #[error("the bus has ended the channel and did not say why")]
    Unexplained,
    /// A cancelling payload is limited to [`END_PAYLOAD_LEN_MAX`](crate::END_PAYLOAD_LEN_MAX).
    #[error("a cancelling payload of {0} bytes is too long")]
    PayloadTooLong(usize),
    /// The connection to the bus is over.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Why a ping was not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PingError {
    /// The half of the channel that would carry the answer is over.
    #[error("the channel has ended")]
    Ended,
    /// The connection to the bus is over.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::Closed | SendError::Cancelled { .. } => io::ErrorKind::BrokenPipe,
            SendError::PeerLeft | SendError::Unexplained => io::ErrorKind::ConnectionReset,
            SendError::PayloadTooLong(_) => io::ErrorKind::InvalidInput,
            SendError::Bus(_) => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}

impl From<RecvError> for io::Error {
    fn from(error: RecvError) -> Self {
        let kind = match error {
            RecvError::Cancelled => io::ErrorKind::NotConnected,
            RecvError::TooLarge { .. } => io::ErrorKind::InvalidData,
            RecvError::Truncated => io::ErrorKind::UnexpectedEof,
            RecvError::PeerLeft | RecvError::Unexplained => io::ErrorKind::ConnectionReset,
            RecvError::PayloadTooLong(_) => io::ErrorKind::InvalidInput,
            RecvError::Bus(_) => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}
