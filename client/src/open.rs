//! Connections that this program asks for.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use wire::Connect;

use crate::channel::Channel;
use crate::error::OpenError;
use crate::name::{Name, NameTooLong};
use crate::session::ChannelConfig;
use crate::shared::Handle;

/// A channel that is opened when this is awaited. See [`Bus::open`](crate::Bus::open).
#[derive(Debug)]
#[must_use = "it opens only when it is awaited"]
pub struct Open {
    handle: Handle,
    name: Result<Name, NameTooLong>,
    version_min: Option<u16>,
    channels: ChannelConfig,
}

impl Open {
    pub(crate) fn new(handle: Handle, name: &[u8], channels: ChannelConfig) -> Self {
        Self { handle, name: Name::new(name), version_min: None, channels }
    }

    /// Refuses plugins of a lower version.
    pub fn version_min(mut self, version: u16) -> Self {
        self.version_min = Some(version);
        self
    }

    /// Another receive window than that of the [`Builder`](crate::Builder), in bytes.
    pub fn window(mut self, window: u64) -> Self {
        self.channels.window = window;
        self
    }

    /// Another longest message than that of the [`Builder`](crate::Builder), in bytes.
    pub fn message_len_max(mut self, message_len_max: usize) -> Self {
        self.channels.message_len_max = message_len_max;
        self
    }
}

impl IntoFuture for Open {
    type Output = Result<Channel, OpenError>;
    type IntoFuture = Opening;

    fn into_future(self) -> Opening {
        let Self { handle, name, version_min, channels } = self;
        Opening(Box::pin(async move {
            let name = name?;
            if name.is_empty() {
                return Err(OpenError::NoName);
            }
            let opening = Connect { name: name.as_bytes(), version_min }.to_bytes();
            let opened = poll_fn(|cx| handle.with(|session| session.poll_open(&opening, channels, cx))).await;
            let (writer, reader) = opened?;
            // Dropping it takes back what was asked for.
            let mut channel = Channel::new(&handle, writer, reader);
            poll_fn(|cx| channel.poll_accepted(&name, cx)).await?;
            Ok(channel)
        }))
    }
}

/// Waits until the other plugin has accepted. Dropping it takes the channel back.
#[must_use = "futures do nothing unless polled"]
pub struct Opening(Pin<Box<dyn Future<Output = Result<Channel, OpenError>> + Send + Sync>>);

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}

impl Future for Opening {
    type Output = Result<Channel, OpenError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}
