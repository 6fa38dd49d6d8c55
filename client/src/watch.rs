//! Who is there, who comes and who goes.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::error::{BusError, RecvError, WatchError};
use crate::name::Plugin;
use crate::session::{ChannelConfig, ReaderId};
use crate::shared::Handle;

/// Something that a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// These were there when the watch began, in the order of their names. It comes first, and once.
    Present(Vec<Plugin>),
    /// A plugin has connected.
    Joined(Plugin),
    /// A plugin has left.
    Left(Plugin),
}

/// A stream of who is there, comes and goes. It ends when the relay ends it; dropping it ends it too.
///
/// ```no_run
/// # async fn run(bus: minbus::Bus) -> Result<(), Box<dyn std::error::Error>> {
/// use minbus::Presence;
///
/// let mut watch = bus.watch().await?;
/// while let Some(presence) = watch.next().await {
///     match presence? {
///         Presence::Present(plugins) => println!("{} plugins are there", plugins.len()),
///         Presence::Joined(plugin) => println!("{plugin} has come"),
///         Presence::Left(plugin) => println!("{plugin} has gone"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    handle: Handle,
    reader: ReaderId,
    /// The first item, which shows that the relay grants the watch.
    present: Option<Vec<Plugin>>,
    /// Whether the stream has given its error.
    failed: bool,
}

impl Watch {
    pub(crate) async fn open(handle: &Handle, channels: ChannelConfig) -> Result<Self, WatchError> {
        // The relay may tell of any number of plugins at once, whatever the program expects of other plugins.
        let channels = ChannelConfig { message_len_max: usize::MAX, ..channels };
        let reader = handle.with(|session| session.open_watch(channels))?;
        let mut watch = Self { handle: Arc::clone(handle), reader, present: None, failed: false };
        let first = poll_fn(|cx| watch.poll_message(cx)).await?.ok_or(WatchError::Refused)?;
        let present = Plugin::parse_all(&first);
        watch.present =
            Some(present.ok_or(BusError::Misbehaved("the first message of a watch is no list of entries"))?);
        Ok(watch)
    }

    /// The next message; nothing when the relay has ended the watch.
    fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Result<Option<bytes::Bytes>, BusError>> {
        Poll::Ready(match ready!(self.handle.with(|session| session.poll_recv(self.reader, cx))) {
            Ok(message) => Ok(message),
            Err(RecvError::Bus(error)) => Err(error),
            // The relay's end of a watch has no code to it.
            Err(_) => Ok(None),
        })
    }

    /// What happens next; nothing when the relay has ended the watch.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Presence, BusError>> {
        poll_fn(|cx| self.poll_presence(cx)).await
    }

    fn poll_presence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Presence, BusError>>> {
        if let Some(present) = self.present.take() {
            return Poll::Ready(Some(Ok(Presence::Present(present))));
        }
        if self.failed {
            return Poll::Ready(None);
        }
        let presence = match ready!(self.poll_message(cx)) {
            Ok(Some(message)) => parse(&message),
            Ok(None) => return Poll::Ready(None),
            Err(error) => Err(error),
        };
        self.failed = presence.is_err();
        Poll::Ready(Some(presence))
    }
}

/// Reads a message that is not the first.
fn parse(message: &[u8]) -> Result<Presence, BusError> {
    let presence = match message.split_first() {
        Some((&wire::watch::JOINED, entry)) => Plugin::parse(entry).map(Presence::Joined),
        Some((&wire::watch::LEFT, entry)) => Plugin::parse(entry).map(Presence::Left),
        _ => None,
    };
    presence.ok_or(BusError::Misbehaved("a message of a watch is neither a coming nor a going"))
}

impl Stream for Watch {
    type Item = Result<Presence, BusError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_presence(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.with(|session| session.release_reader(self.reader));
    }
}
