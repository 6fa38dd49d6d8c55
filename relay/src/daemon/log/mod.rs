//! The log: tracing events to stderr, written by a thread of their own (`writer`), out of a bounded queue (`queue`).
//!
//! A shard must never wait, least of all for whoever reads stderr. When that reader stalls, lines are dropped and counted.
//! And no peer must fill the disk: each kind of line has a rate (`limiter`), and what is beyond it is counted as well.

mod limiter;
mod queue;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, registry};

use self::limiter::{Limit, Limiter};
use self::queue::{Patience, Queue};
use self::writer::{Teller, Writer};
use super::flags::LogFormat;
use limits::{LOG_FLUSH_AT_ONCE_MS, LOG_FLUSH_STALL_MS, LOG_FLUSH_TIMEOUT_MS};

/// How long an orderly end waits for the reader of stderr.
const IN_GOOD_ORDER: Patience =
    Patience { stall: Duration::from_millis(LOG_FLUSH_STALL_MS), total: Duration::from_millis(LOG_FLUSH_TIMEOUT_MS) };

/// How long an end waits for it that is wanted at once.
const AT_ONCE: Patience =
    Patience { stall: Duration::from_millis(LOG_FLUSH_AT_ONCE_MS), total: Duration::from_millis(LOG_FLUSH_AT_ONCE_MS) };

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    /// `RUST_LOG` says what cannot be.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] ParseError),
    /// The thread cannot be started.
    #[error("cannot start the thread of the log: {0}; raise the limit of processes (ulimit -u)")]
    Thread(#[from] io::Error),
}

/// The log of this process.
#[derive(Clone)]
pub(super) struct Log(Arc<Queue>);

impl Log {
    /// Starts to log, in the format asked for, what `RUST_LOG` asks for (default: info).
    pub(super) fn start(format: LogFormat) -> Result<Self, LogError> {
        let directives = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(directives)?;
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let ansi = io::stderr().is_terminal() && !no_colour;
        let queue = Arc::new(Queue::default());
        let limiter = Arc::new(Limiter::new(queue.clone()));
        let writer = Writer::new(io::stderr(), queue.clone(), limiter.clone(), Teller::new(format, ansi));
        thread::Builder::new().name("minbusd-log".into()).spawn(move || writer.run())?;
        registry().with(lines(format, ansi, Push(queue.clone()))).with(Limit(limiter)).with(filter).init();
        std::panic::set_hook(Box::new(tell_panic));
        Ok(Self(queue))
    }

    /// Writes out what waits, and nothing after that. It takes as long as somebody reads, within bounds.
    pub(super) fn flush(&self) {
        self.0.close(IN_GOOD_ORDER);
    }

    /// The same for one who ends the process on the spot.
    pub(super) fn flush_at_once(&self) {
        self.0.close(AT_ONCE);
    }
}

/// What makes events lines of the log.
fn lines<S, W>(format: LogFormat, ansi: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Its own complaints would go to stderr past the queue, and panic where that is closed.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(writer);
    match format {
        LogFormat::Human => lines.with_ansi(ansi).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// The end of the queue at which lines go in, whole.
struct Push(Arc<Queue>);

impl io::Write for &Push {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Push {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// A panic is told as any other line: the usual way waits for stderr.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = thread::current();
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(thread = thread.name(), place, trace, "panicked: {message}");
}
