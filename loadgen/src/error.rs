//! What can go wrong beside a relay that delivers something else than was sent, which is a result and no error.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use bpmux::LinkError;
use engine::probe::RingError;

use crate::address::Address;

/// Why a run ended before its time.
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
    #[error(
        "plugin {plugin}: a channel was opened by nobody of this run; does the relay hide who opens (bus.initiator)?"
    )]
    UnexpectedOpening { plugin: String },
    #[error("plugin {plugin}: a channel was ended before its time{}", meaning(*code))]
    ChannelEnded { plugin: String, code: Option<u8> },
    #[error("nothing came from the relay in {seconds} s while {what}")]
    Silent { what: &'static str, seconds: u64 },
    #[error(
        "{needed} file descriptors are needed and {limit} is the limit: raise it, as in `ulimit -Hn {needed}` by root, \
         or LimitNOFILE={needed} in a unit"
    )]
    TooFewDescriptors { needed: u64, limit: u64 },
    #[error(
        "the generator's ring: {0}{hint}",
        hint = if matches!(.0, RingError::LockedMemory { .. } | RingError::NoMemory) { FEWER_RINGS } else { "" }
    )]
    NoRing(RingError),
    #[error("io_uring: {source}")]
    Ring { source: io::Error },
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
    #[error("cannot read what was used: {0}")]
    Proc(io::Error),
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    #[error("cannot write {what}: {source}")]
    Output { what: String, source: io::Error },
    #[error("cannot connect the ends of the self-test: {0}")]
    Direct(io::Error),
}

/// What else helps where memory for rings is short.
const FEWER_RINGS: &str = "; the rings of all processes of a user count: use fewer --threads and --shards";

/// What the code means with which the relay ends a channel.
fn meaning(code: Option<u8>) -> &'static str {
    match code {
        Some(0x00) => ": the relay has no memory for it, or the other plugin has ended it",
        Some(0x01) => ": the other plugin has left, or never was there",
        _ => "",
    }
}

/// What was asked for makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{}, line {line}: a histogram has a size and a weight above 0 in each line", path.display())]
    Histogram { path: PathBuf, line: usize },
    #[error("{} is not a report of this program: {source}", path.display())]
    NoReport { path: PathBuf, source: serde_json::Error },
    #[error("each phase says its scenario")]
    NoScenario,
    #[error("a sweep of {0} has no meaning")]
    NoSweep(String),
    #[error("{name} is from 1 (for a mesh 2) to {max}")]
    Count { name: &'static str, max: u32 },
    #[error("{name} is from {min} to {max}")]
    Seconds { name: &'static str, min: f64, max: f64 },
    #[error("the transport is that of --bus: leave it out")]
    TransportOfBus,
    #[error("two results are to be written to {}: give each a file of its own", .0.display())]
    SameFile(PathBuf),
    #[error("the reports have no phase in common")]
    NothingInCommon,
}
