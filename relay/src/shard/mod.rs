//! Stands in for the shards until they are merged: holds the listeners and waits to be stopped.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::config::Config;
use crate::engine::listener::Listener;
use crate::error::Fatal;

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    listeners: Vec<Listener>,
    stop: SyncSender<()>,
    stopped: Receiver<()>,
}

/// Stops a relay from anywhere.
#[derive(Clone, Debug)]
pub struct Stopper(SyncSender<()>);

impl Stopper {
    /// Begins a graceful stop. Idempotent.
    pub fn stop(&self) {
        let _ = self.0.try_send(());
    }
}

impl Relay {
    /// Starts the shards.
    ///
    /// # Errors
    /// None here.
    pub fn start(_config: Config, listeners: Vec<Listener>) -> Result<Self, Fatal> {
        let (stop, stopped) = sync_channel(1);
        Ok(Self { listeners, stop, stopped })
    }

    /// A handle to stop it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// None here.
    pub fn join(self) -> Result<(), Fatal> {
        let _ = self.stopped.recv();
        drop(self.listeners);
        Ok(())
    }
}
