//! Bytes between a channel and the world, one direction each.

use std::future::ready;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use minbus::{BusError, ByteReader, RecvError, SendError, Sender, escape};
use tokio::sync::Notify;

use crate::failure::{Code, Failure};
use crate::progress::Counters;
use crate::sink::Sink;
use crate::source::Source;

/// Why a direction has stopped before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The source or the sink failed.
    #[error(transparent)]
    World(#[from] std::io::Error),
    /// The other plugin wants no more, and says why. It may still have something to say itself.
    #[error("{0}")]
    Refused(String),
    /// The other plugin has left.
    #[error("{0}")]
    Left(String),
    /// The bus is gone.
    #[error(transparent)]
    Bus(BusError),
}

impl Stopped {
    /// What the command ends with when this happens to its standard output.
    pub(crate) fn of_output(self) -> Failure {
        self.into_failure(|error| Failure::stdout(&error))
    }

    /// The same of its standard input.
    pub(crate) fn of_input(self) -> Failure {
        self.into_failure(|error| Failure::runtime(format!("cannot read the standard input: {error}")))
    }

    fn into_failure(self, of_world: impl FnOnce(std::io::Error) -> Failure) -> Failure {
        match self {
            Self::World(error) => of_world(error),
            Self::Refused(message) | Self::Left(message) => Failure::new(Code::Incomplete, message),
            Self::Bus(error) => error.into(),
        }
    }
}

impl From<SendError> for Stopped {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Bus(error) => Self::Bus(error),
            SendError::Cancelled { payload } => {
                Self::Refused(format!("the other plugin refuses the rest: {}", escape(&payload)))
            }
            error => Self::Left(error.to_string()),
        }
    }
}

impl From<RecvError> for Stopped {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Bus(error) => Self::Bus(error),
            error => Self::Left(error.to_string()),
        }
    }
}

/// Sends what the source has, and closes the half. That the other plugin wants no more, and has no more to say about it,
/// is an end like any other: so it is with a pipe.
pub(crate) async fn outgoing(mut source: Source, sender: &mut Sender, counters: &Counters) -> Result<(), Stopped> {
    let ended = loop {
        let read = tokio::select! {
            biased;
            read = source.next() => read?,
            error = sender.over() => break Err(error),
        };
        let Some(bytes) = read else { break sender.close("").await };
        let len = bytes.len() as u64;
        if let Err(error) = sender.send(bytes).await {
            break Err(error);
        }
        counters.sent.fetch_add(len, Ordering::Relaxed);
    };
    match ended {
        Err(SendError::Cancelled { payload }) if payload.is_empty() => Ok(()),
        ended => Ok(ended?),
    }
}

/// Takes what the channel brings to the sink, until the other plugin closes it, or until what has come so far is
/// `enough`. All that has come is written when this returns, however it does, unless the sink itself has failed.
pub(crate) async fn incoming(
    reader: &mut ByteReader,
    mut sink: Sink<'_>,
    counters: &Counters,
    enough: &Notify,
) -> Result<(), Stopped> {
    let mut stopped = false;
    let ended = loop {
        let read = tokio::select! {
            read = reader.read_bytes() => Some(read),
            error = sink.failed() => return Err(Stopped::World(error)),
            () = enough.notified() => {
                stopped = true;
                at_hand(reader).await
            }
        };
        match read {
            Some(Ok(Some(bytes))) => {
                let len = bytes.len() as u64;
                sink.write(bytes).await?;
                counters.received.fetch_add(len, Ordering::Relaxed);
            }
            Some(Ok(None)) => break Some(Ok(())),
            Some(Err(error)) => break Some(Err(error)),
            None => break None,
        }
        if stopped {
            break None;
        }
    };
    sink.finish(matches!(ended, Some(Ok(())))).await?;
    ended.transpose().map(drop).map_err(Stopped::from)
}

/// What has come, if anything has.
async fn at_hand(reader: &mut ByteReader) -> Option<Result<Option<Bytes>, RecvError>> {
    tokio::select! {
        biased;
        read = reader.read_bytes() => Some(read),
        () = ready(()) => None,
    }
}
