//! All shards, from outside: start them, stop them, wait for them.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use crate::config::Config;
use crate::error::Fatal;
use engine::affinity;
use engine::driver::Driver;
use engine::listener::{Address, Listener, SocketFile};
use engine::registry::{RingRegistry, Waker};
use engine::ring::Ring;
use engine::ring_settings::RingSettings;
use limits::REFUSED_MAX;

use super::acceptor::{Acceptor, ListenSocket};
use super::core::{Core, Shared};
use super::shard::Shard;

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    /// Kept until the end: each gives up its path when it is dropped.
    files: Vec<Arc<SocketFile>>,
    threads: Vec<JoinHandle<Result<(), Fatal>>>,
    stopper: Stopper,
}

/// Stops a relay from anywhere.
#[derive(Clone, Debug)]
pub struct Stopper {
    shared: Arc<Shared>,
    wakers: Arc<[Waker]>,
}

impl Stopper {
    /// Begins a graceful stop: no new connections, what has been accepted is delivered. Doing it again changes nothing.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.wakers.iter().for_each(Waker::wake);
    }
}

/// Stops the relay when a shard's thread ends, whatever the reason: a shard that is missing would be missed.
struct StopAtEnd(Stopper);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Relay {
    /// Starts the shards; all of them run when it returns.
    ///
    /// # Errors
    /// [`Fatal`]: a ring or a thread is not to be had, and what to do about it.
    pub fn start(config: Config, listeners: Vec<Listener>) -> Result<Self, Fatal> {
        let shards = config.shards.count;
        let shared = Arc::new(Shared::new(config));
        let engine_error = |shard, source: Box<dyn std::error::Error + Send + Sync>| Fatal::Engine { shard, source };
        let registry = RingRegistry::new(shards).map_err(|error| engine_error(0, error.into()))?;
        let wakers = (0..shards).map(|shard| registry.waker(shard)).collect();
        let stopper = Stopper { shared: shared.clone(), wakers };
        let (ready, started) = mpsc::channel();
        let (mut sockets, files) = open_up(listeners);
        let mut relay = Self { files, threads: Vec::new(), stopper };
        for shard in 0..shards {
            // The first shard has them all, and deals out what comes in.
            let sockets = std::mem::take(&mut sockets);
            let (shared, registry, ready) = (shared.clone(), registry.clone(), ready.clone());
            let stop_at_end = StopAtEnd(relay.stopper.clone());
            let serve = move || {
                let _stop_at_end = stop_at_end;
                serve(shard, &shared, &registry, sockets, &ready)
            };
            let thread = Builder::new()
                .name(format!("shard-{shard}"))
                .spawn(serve)
                .map_err(|source| Fatal::Thread { shard, source })?;
            relay.threads.push(thread);
        }
        drop(ready);
        // Every shard says that it has its ring, or why not.
        let failed = (0..shards).find_map(|shard| match started.recv() {
            Ok(result) => result.err(),
            Err(mpsc::RecvError) => Some(Fatal::Panicked { shard, message: "while it was starting".to_owned() }),
        });
        match failed {
            None => Ok(relay),
            Some(fatal) => {
                relay.stopper.stop();
                Err(fatal)
            }
        }
    }

    /// A handle that stops the relay.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until the relay has stopped.
    ///
    /// # Errors
    /// [`Fatal`]: what ended it, when it was not a stop.
    pub fn join(self) -> Result<(), Fatal> {
        let mut first = Ok(());
        for (shard, thread) in self.threads.into_iter().enumerate() {
            let panicked = |panic: Box<dyn Any + Send>| Err(Fatal::Panicked { shard, message: message(&*panic) });
            first = first.and(thread.join().unwrap_or_else(panicked));
        }
        drop(self.files);
        first
    }
}

/// What a shard needs of the listeners, and what must last as long as the relay.
fn open_up(listeners: Vec<Listener>) -> (Vec<ListenSocket>, Vec<Arc<SocketFile>>) {
    let mut files = Vec::new();
    let open = |listener: Listener| {
        let tcp = matches!(listener.address(), Address::Tcp(_));
        let (socket, file) = listener.into_parts();
        files.extend(file);
        ListenSocket { socket, tcp }
    };
    (listeners.into_iter().map(open).collect(), files)
}

/// One shard's thread.
fn serve(
    index: usize,
    shared: &Arc<Shared>,
    registry: &Arc<RingRegistry>,
    sockets: Vec<ListenSocket>,
    ready: &mpsc::Sender<Result<(), Fatal>>,
) -> Result<(), Fatal> {
    let config = &shared.config;
    let cpus = &config.shards.cpus;
    if config.shards.pin
        && let Some(cpu) = cpus.get(index % cpus.len().max(1))
        && let Err(error) = affinity::pin(*cpu)
    {
        tracing::warn!(shard = index, cpu, %error, "cannot pin the shard");
    }
    let ring = match Ring::new(ring_settings(config), index, registry) {
        Ok(ring) => ring,
        Err(error) => {
            let _ = ready.send(Err(Fatal::Engine { shard: index, source: error.into() }));
            return Ok(());
        }
    };
    let core = Core::new(index as u16, shared.clone(), ring.now());
    let mut shard = Shard::new(ring, core, Acceptor::new(sockets));
    let _ = ready.send(Ok(()));
    shard.run().map_err(|error| Fatal::Engine { shard: index, source: error.into() })
}

/// How large the ring of each shard is.
pub(super) fn ring_settings(config: &Config) -> RingSettings {
    RingSettings {
        entries: config.engine.ring_entries,
        connections: u32::try_from(config.limits.connections_max + REFUSED_MAX).unwrap_or(u32::MAX),
        receive_buffers: config.engine.receive_buffers,
        receive_buffer_bytes: u32::try_from(config.engine.receive_buffer_bytes).unwrap_or(u32::MAX),
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
