//! The relays that all is measured on: a process with one shard on a CPU of its own, the plugins on another.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::floors::cpu;
use crate::floors::raise_descriptors;
use crate::floors::sample::Setting;
use crate::floors::server::{Program, Server, Transport};

/// Time before each window, and the time within which a cap is to have found its size.
pub(super) const WARM_UP: Duration = Duration::from_millis(100);

/// What is the same for all measurements.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) setting: Setting,
    /// Whether the figures do not matter.
    pub(super) quick: bool,
    server_cpu: usize,
    /// Holds configurations and logs.
    directory: TempDir,
}

impl Scene {
    /// To measure for so long each time.
    pub(super) fn new(window: Duration) -> Result<Self> {
        let scene = Self::with(WARM_UP, window, false)?;
        let apart = !scene.setting.plugin_cpus.contains(&scene.server_cpu);
        ensure!(apart, "there is one CPU only: relay and plugins need one each");
        Ok(scene)
    }

    /// To see whether it works.
    pub(super) fn quick() -> Result<Self> {
        Self::with(Duration::from_millis(20), Duration::from_millis(50), true)
    }

    fn with(warm_up: Duration, window: Duration, quick: bool) -> Result<Self> {
        let allowed = cpu::allowed()?;
        let (server_cpu, plugins_cpu) = (allowed[0], allowed[allowed.len() - 1]);
        cpu::pin(&[plugins_cpu])?;
        raise_descriptors()?;
        let setting = Setting { plugin_cpus: vec![plugins_cpu], warm_up, window, counts: false, config: None };
        Ok(Self { setting, quick, server_cpu, directory: TempDir::with_prefix("minbus-bench-")? })
    }

    /// A fresh relay with this configuration.
    pub(super) fn relay(&self, config: &str) -> Result<Server> {
        self.start(config, None)
    }

    /// The same, and the file to which it writes its log.
    pub(super) fn relay_logged(&self, config: &str) -> Result<(Server, PathBuf)> {
        let path = self.directory.path().join("log");
        Ok((self.start(config, Some(File::create(&path)?))?, path))
    }

    fn start(&self, config: &str, log: Option<File>) -> Result<Server> {
        // The one before has read its own long ago.
        let path = self.directory.path().join("minbusd.toml");
        fs::write(&path, config)?;
        let program = Program::Relay { shards: 1, credit_memory: None };
        Server::start_logged(program, Transport::Unix, &[self.server_cpu], Some(&path), log)
    }

    /// So many times as long as is measured each time.
    pub(super) fn windows(&self, times: f64) -> Duration {
        self.setting.window.mul_f64(if self.quick { 1.0 } else { times })
    }
}
