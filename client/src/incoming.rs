//! Channels that other plugins ask for.

use crate::channel::Channel;
use crate::name::Plugin;
use crate::session::{ChannelConfig, Offer};
use crate::shared::Handle;

/// A channel that another plugin asks for. Dropping it denies it.
///
/// Both answers are only begun, and given by the connection's task: a program that ends after it waits for
/// [`Bus::close`](crate::Bus::close), or for [`Channel::flush`] when it has accepted.
#[derive(Debug)]
#[must_use = "dropping it denies the channel"]
pub struct Incoming {
    handle: Handle,
    /// Taken when it was accepted.
    offer: Option<Offer>,
    channels: ChannelConfig,
}

impl Incoming {
    pub(crate) fn new(handle: Handle, offer: Offer, channels: ChannelConfig) -> Self {
        Self { handle, offer: Some(offer), channels }
    }

    /// Who asks. The name is empty for a client, and for everybody where the relay keeps them anonymous.
    #[must_use]
    pub fn peer(&self) -> &Plugin {
        &self.offer.as_ref().expect("only accepting takes it").peer
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

    /// Accepts the channel. When the other plugin is gone by now, that shows on the channel.
    #[must_use]
    pub fn accept(mut self) -> Channel {
        let offer = self.offer.take().expect("only accepting takes it");
        self.handle.with(|session| session.accept(&offer, self.channels));
        Channel::new(&self.handle, offer.writer, offer.reader)
    }

    /// Denies the channel. The other plugin cannot tell that from one that is not there; the protocol carries no reason.
    pub fn deny(self) {}
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(offer) = self.offer.take() {
            self.handle.with(|session| session.deny(&offer));
        }
    }
}
