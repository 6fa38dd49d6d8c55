//! The log: tracing events to stderr, written by a thread of their own.
//!
//! A shard must never wait, least of all for whoever reads stderr. When that reader stalls, lines are dropped.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use super::flags::LogFormat;

/// Lines that may wait to be written. Bounds the memory that a stalled reader of stderr costs, at about 2 MiB.
const LINES_WAITING_MAX: usize = 8_192;

/// Writes out what waits, when it is flushed for the first time or the last clone is dropped. Nothing is logged after
/// that.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<Option<WorkerGuard>>>);

impl Log {
    /// Starts to log, in the format asked for, what `RUST_LOG` asks for (default: info).
    pub(super) fn start(format: LogFormat) -> Result<Self, ParseError> {
        let directives = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(directives)?;
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_WAITING_MAX)
            .thread_name("minbusd-log")
            .finish(io::stderr());
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        match format {
            LogFormat::Human => lines.with_ansi(io::stderr().is_terminal()).init(),
            LogFormat::Json => lines.json().flatten_event(true).init(),
        }
        Ok(Self(Arc::new(Mutex::new(Some(guard)))))
    }

    /// Writes out what waits. For one who ends the process on the spot.
    pub(super) fn flush(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
