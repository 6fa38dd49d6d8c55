//! The bus: one connection to a relay, and all that can be asked of it.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::error::{BusError, ListError, StatsError, WatchError};
use crate::incoming::Incoming;
use crate::name::Plugin;
use crate::open::Open;
use crate::query;
use crate::session::ChannelConfig;
use crate::shared::Handle;
use crate::stats::Stats;
use crate::watch::Watch;

/// A connection to a bus, as a plugin or as a client.
///
/// Clones share the connection. It stays open as long as a clone, a channel or anything else that came of it is there;
/// then what is queued is sent, and the relay is told. That happens in a task, so before the runtime is left call
/// [`Bus::close`], which waits for it.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use minbus::Bus;
///
/// let bus = Bus::register("echo", 1).await?;
/// loop {
///     let mut channel = bus.incoming().await?.accept();
///     tokio::spawn(async move {
///         while let Ok(Some(message)) = channel.recv().await {
///             if channel.send(message).await.is_err() {
///                 break;
///             }
///         }
///     });
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: Handle,
    plugin: Plugin,
    address: Option<Address>,
    channels: ChannelConfig,
}

impl Bus {
    pub(crate) fn new(handle: Handle, plugin: Plugin, address: Option<Address>, channels: ChannelConfig) -> Self {
        Self { inner: Arc::new(Inner { handle, plugin, address, channels }) }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.inner.handle
    }

    /// As what this connection is registered; a client has an empty name.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        &self.inner.plugin
    }

    /// Where the bus is, unless the connection was made over a stream of the program's own.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        self.inner.address.as_ref()
    }

    /// The plugins that are connected, but this one, in the order of their names.
    ///
    /// Dropping the future takes the question back.
    ///
    /// # Errors
    /// The relay declines, or the connection is over.
    pub async fn list(&self) -> Result<Vec<Plugin>, ListError> {
        query::list(self.handle()).await
    }

    /// What the relay tells of itself: its shards, and for both directions of each channel how much has gone through and
    /// what it waits for. By default only processes of the relay's user, and of root, may ask, and only over a unix
    /// socket.
    ///
    /// Times and counts are since the channel was opened: for what happens now, ask twice and compare.
    ///
    /// ```no_run
    /// # async fn run(bus: minbus::Bus) -> Result<(), minbus::StatsError> {
    /// for flow in bus.stats().await?.flows {
    ///     println!("{} -> {}: {} bytes, {}", flow.writer.name, flow.reader.name, flow.bytes, flow.state.name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Dropping the future takes the question back.
    ///
    /// # Errors
    /// The relay does not tell this connection, or the connection is over.
    pub async fn stats(&self) -> Result<Stats, StatsError> {
        query::stats(self.handle()).await
    }

    /// Follows who comes and goes. There may be only one watch at a time on each connection.
    ///
    /// Dropping the future or the watch ends it.
    ///
    /// # Errors
    /// There is a watch already, or the connection is over.
    pub async fn watch(&self) -> Result<Watch, WatchError> {
        Watch::open(self.handle(), self.inner.channels).await
    }

    /// Opens a channel to another plugin, once it is awaited.
    ///
    /// There may be one at a time from this plugin or client to the other; another one is refused with
    /// [`OpenError::AlreadyOpen`](crate::OpenError::AlreadyOpen) until the first is over in both directions, as the relay
    /// sees it. One that the other plugin has opened does not count. This is a limit of the protocol, which an extension is
    /// going to lift: until then a program that wants several at once, as HTTP clients with a pool of connections do, either
    /// bounds its pool to one, or makes a [`Bus`] of its own for each connection, as a client.
    ///
    /// ```no_run
    /// # async fn run(bus: minbus::Bus) -> Result<(), minbus::OpenError> {
    /// let channel = bus.open("echo").version_min(2).window(1 << 20).await?;
    /// # drop(channel);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "it opens only when it is awaited"]
    pub fn open(&self, name: impl AsRef<[u8]>) -> Open {
        Open::new(Arc::clone(self.handle()), name.as_ref(), self.inner.channels)
    }

    /// The next channel that another plugin asks for, to be accepted or denied. They wait here until they are taken,
    /// up to [`Builder::backlog_max`](crate::Builder::backlog_max).
    ///
    /// Several tasks may wait. Dropping the future loses no channel.
    ///
    /// # Errors
    /// The connection to the bus is over.
    pub async fn incoming(&self) -> Result<Incoming, BusError> {
        let offer = poll_fn(|cx| self.handle().with(|session| session.poll_offer(cx))).await?;
        Ok(Incoming::new(Arc::clone(self.handle()), offer, self.inner.channels))
    }

    /// Measures the way to the relay and back.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn ping(&self) -> Result<Duration, BusError> {
        let start = Instant::now();
        let ticket = self.handle().with(|session| session.ping_top())?;
        poll_fn(|cx| self.handle().with(|session| session.poll_top_pong(ticket, cx))).await?;
        Ok(start.elapsed())
    }

    /// Closes the connection, whatever other handles there are: sends what is queued, tells the relay, and waits until the
    /// relay has hung up in turn, or the [linger time](crate::Builder::linger) is over. What was sent, closed, cancelled,
    /// denied or dropped before this is written to the socket when it returns, and nothing is left to do before the program
    /// ends.
    ///
    /// Dropping the future does not stop it.
    ///
    /// # Errors
    /// The connection was over before the last word to the relay was written, or not all that was queued could be sent within
    /// the linger time: then [`BusError::Unsent`].
    pub async fn close(&self) -> Result<(), BusError> {
        self.handle().with(|session| session.close());
        match self.closed().await {
            BusError::Closed => Ok(()),
            error => Err(error),
        }
    }

    /// Waits until the connection is over, and tells why. Dropping the future is harmless.
    pub async fn closed(&self) -> BusError {
        poll_fn(|cx| self.handle().with(|session| session.poll_gone(cx))).await
    }
}
