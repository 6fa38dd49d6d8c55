//! The relays that all is measured on: a process with one shard on a CPU of its own, the plugins on another.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::baseline::sample::Setting;
use crate::baseline::server::{Program, Server, Transport};
use crate::rounds::Bench;

/// What is the same for all measurements.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) setting: Setting,
    /// Whether the figures do not matter.
    pub(crate) quick: bool,
    server_cpu: usize,
    /// The CPU of those who are not to be taken for the relay or for whom it is measured: a third one, if there is one.
    pub(crate) others_cpu: usize,
    /// Holds configurations and logs.
    directory: TempDir,
}

impl Scene {
    /// On the CPUs of this bench, and for as long as it says each time.
    pub(crate) fn new(bench: &Bench, quick: bool) -> Result<Self> {
        let directory = TempDir::with_prefix("minbus-bench-")?;
        let Bench { server_cpu, others_cpu, .. } = *bench;
        Ok(Self { setting: bench.setting.clone(), quick, server_cpu, others_cpu, directory })
    }

    /// A fresh relay with this configuration.
    pub(crate) fn relay(&self, config: &str) -> Result<Server> {
        self.start(config, Transport::Unix, None)
    }

    /// The same, to be reached by TCP.
    pub(crate) fn relay_on_tcp(&self, config: &str) -> Result<Server> {
        self.start(config, Transport::Tcp, None)
    }

    /// The same, and the file to which it writes its log.
    pub(crate) fn relay_logged(&self, config: &str) -> Result<(Server, PathBuf)> {
        let path = self.directory.path().join("log");
        Ok((self.start(config, Transport::Unix, Some(File::create(&path)?))?, path))
    }

    fn start(&self, config: &str, transport: Transport, log: Option<File>) -> Result<Server> {
        // The one before has read its own long ago.
        let path = self.directory.path().join("minbusd.toml");
        fs::write(&path, config)?;
        let program = Program::Relay { shards: 1, credit_memory: None };
        Server::start_logged(program, transport, &[self.server_cpu], Some(&path), log)
    }

    /// So many times as long as is measured each time.
    pub(crate) fn windows(&self, times: f64) -> Duration {
        self.setting.window.mul_f64(if self.quick { 1.0 } else { times })
    }
}
