//! Connections that this program asks for.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::channel::Channel;
use crate::defaults::ChannelDefaults;
use crate::error::OpenError;
use crate::name::{Name, NameTooLong};
use crate::payload;
use crate::shared::Handle;

/// A channel that is opened when this is awaited. See [`Bus::open`](crate::Bus::open).
#[derive(Debug)]
#[must_use = "it opens only when it is awaited"]
pub struct Open {
    handle: Handle,
    name: Result<Name, NameTooLong>,
    version_min: Option<u16>,
    channels: ChannelDefaults,
}

impl Open {
    pub(crate) fn new(handle: Handle, name: &[u8], channels: ChannelDefaults) -> Self {
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
        let version_min = self.version_min;
        let state = match self.name {
            Ok(name) if name.is_empty() => State::Wrong(OpenError::NoName),
            Ok(name) => State::Asking { opening: payload::connect(&name, version_min), name },
            Err(error) => State::Wrong(error.into()),
        };
        Opening { handle: self.handle, channels: self.channels, state }
    }
}

/// Waits until the other plugin has accepted. Dropping it takes the channel back.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Opening {
    handle: Handle,
    channels: ChannelDefaults,
    state: State,
}

#[derive(Debug)]
enum State {
    Wrong(OpenError),
    /// The relay was not asked yet, for want of credit.
    Asking {
        name: Name,
        opening: Vec<u8>,
    },
    /// Dropping the channel takes back what was asked for.
    Waiting {
        name: Name,
        channel: Channel,
    },
    Done,
}

impl Future for Opening {
    type Output = Result<Channel, OpenError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let State::Asking { name, opening } = &mut this.state {
            let ChannelDefaults { window, message_len_max } = this.channels;
            let (writer, reader) =
                ready!(this.handle.with(|session| session.poll_open(opening, window, message_len_max, cx)))?;
            let channel = Channel::new(&Arc::clone(&this.handle), writer, reader);
            this.state = State::Waiting { name: std::mem::take(name), channel };
        }
        if let State::Waiting { name, channel } = &mut this.state {
            ready!(channel.poll_accepted(name, cx))?;
        }
        match std::mem::replace(&mut this.state, State::Done) {
            State::Wrong(error) => Poll::Ready(Err(error)),
            State::Waiting { channel, .. } => Poll::Ready(Ok(channel)),
            State::Asking { .. } | State::Done => panic!("polled after it was done"),
        }
    }
}
