//! What can go wrong beside a relay that delivers something else than was sent, which is a result and no error.

use std::io;
use std::process::ExitStatus;

use bpmux::LinkError;

use crate::address::Address;

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot reach a relay at {address}: {source}")]
    Unreachable { address: Address, source: io::Error },
    #[error("the relay ended the connection of plugin {plugin}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    Disconnected { plugin: String, reason: String },
    #[error("plugin {plugin}: {source}")]
    Socket { plugin: String, source: io::Error },
    #[error("plugin {plugin}: the relay broke the protocol: {source}")]
    Protocol { plugin: String, source: LinkError },
    #[error("plugin {plugin}: nothing came from the relay in {seconds} s while waiting for {what}")]
    Silent { plugin: String, what: &'static str, seconds: u64 },
    #[error("the relay refused to connect to {peer}, with code {code:?}")]
    Refused { peer: String, code: Option<u8> },
    #[error("plugin {plugin}: the channel was ended before its time")]
    ChannelEnded { plugin: String },
    #[error("cannot start the embedded relay: {0}")]
    Start(io::Error),
    #[error("the embedded relay was not reachable within {seconds} s")]
    NotReady { seconds: u64 },
    #[error("the embedded relay ended by itself ({0})")]
    RelayDied(ExitStatus),
    #[error("the embedded relay did not stop within {seconds} s of SIGTERM and was killed")]
    NotStopped { seconds: u64 },
    #[error("the embedded relay failed when it was stopped ({0})")]
    StoppedBadly(ExitStatus),
    #[error("cannot read what the relay used from {path}: {source}")]
    Proc { path: String, source: io::Error },
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    #[error("cannot write the report: {0}")]
    Report(io::Error),
}
