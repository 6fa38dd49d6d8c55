//! Bytes between a channel and the world, one direction each.

use std::sync::atomic::Ordering;

use minbus::{ByteReader, RecvError, SendError, Sender};

use crate::failure::Failure;
use crate::progress::Counters;
use crate::sink::Sink;
use crate::source::Source;

/// Why a direction has stopped before its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The source or the sink failed.
    World(std::io::Error),
    /// The other plugin has left, or refused the rest.
    Peer(String),
    /// The bus is gone.
    Bus(minbus::BusError),
}

impl Stopped {
    /// What the command ends with when this happens to its standard input and output.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::World(error) => Failure::stdout(&error),
            Self::Peer(message) => Failure::incomplete(message),
            Self::Bus(error) => error.into(),
        }
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::World(error) => error.fmt(f),
            Self::Peer(message) => message.fmt(f),
            Self::Bus(error) => error.fmt(f),
        }
    }
}

impl From<SendError> for Stopped {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Bus(error) => Self::Bus(error),
            SendError::Cancelled { payload } => {
                Self::Peer(format!("the other plugin refuses the rest: {}", payload.escape_ascii()))
            }
            error => Self::Peer(error.to_string()),
        }
    }
}

impl From<RecvError> for Stopped {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Bus(error) => Self::Bus(error),
            error => Self::Peer(error.to_string()),
        }
    }
}

/// Sends what the source has, and closes the half. That the other plugin wants no more, and has no more to say about it,
/// is an end like any other: so it is with a pipe.
pub(crate) async fn outgoing(mut source: Source, sender: &mut Sender, counters: &Counters) -> Result<(), Stopped> {
    match send_all(&mut source, sender, counters).await {
        Err(SendFailure::Channel(SendError::Cancelled { payload })) if payload.is_empty() => Ok(()),
        Err(SendFailure::Channel(error)) => Err(error.into()),
        Err(SendFailure::Source(error)) => Err(Stopped::World(error)),
        Ok(()) => Ok(()),
    }
}

enum SendFailure {
    Channel(SendError),
    Source(std::io::Error),
}

async fn send_all(source: &mut Source, sender: &mut Sender, counters: &Counters) -> Result<(), SendFailure> {
    loop {
        let read = tokio::select! {
            biased;
            read = source.next() => read.map_err(SendFailure::Source)?,
            error = sender.over() => return Err(SendFailure::Channel(error)),
        };
        let Some(bytes) = read else { break };
        let len = bytes.len() as u64;
        sender.send(bytes).await.map_err(SendFailure::Channel)?;
        counters.sent.fetch_add(len, Ordering::Relaxed);
    }
    sender.close("").await.map_err(SendFailure::Channel)
}

/// Takes what the channel brings to the sink, until the other plugin closes it.
pub(crate) async fn incoming(reader: &mut ByteReader, mut sink: Sink, counters: &Counters) -> Result<(), Stopped> {
    while let Some(bytes) = reader.read_bytes().await? {
        let len = bytes.len() as u64;
        sink.write(bytes).await.map_err(Stopped::World)?;
        counters.received.fetch_add(len, Ordering::Relaxed);
    }
    sink.finish().await.map_err(Stopped::World)
}
