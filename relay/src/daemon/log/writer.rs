//! The thread that writes the log, and says what is missing in it.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::dispatcher::with_default;
use tracing::{Dispatch, warn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use super::super::flags::LogFormat;
use super::super::stream;
use super::limiter::{LeftOut, Limiter};
use super::lines;
use super::queue::{Entry, Next, Queue};

/// Lines of the writer's own, in the format of all others.
#[derive(Debug)]
pub(super) struct Teller {
    /// Writes into `page`.
    dispatch: Dispatch,
    page: Page,
}

/// Where the teller's lines go.
#[derive(Clone, Debug, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Page {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Teller {
    pub(super) fn new(format: LogFormat, ansi: bool) -> Self {
        let page = Page::default();
        Self { dispatch: Dispatch::new(registry().with(lines(format, ansi, page.clone()))), page }
    }

    /// The line of what `say` logs.
    fn line(&self, say: impl FnOnce()) -> Vec<u8> {
        with_default(&self.dispatch, say);
        std::mem::take(&mut *self.page.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the thread has.
pub(super) struct Writer<T> {
    stream: T,
    queue: Arc<Queue>,
    limiter: Arc<Limiter>,
    teller: Teller,
    /// Lines that the stream has refused since it last took one, and why.
    refused: Option<(u64, io::Error)>,
    /// Whether what was written last ends in the middle of a line.
    torn: bool,
}

impl<T: AsFd> Writer<T> {
    pub(super) fn new(stream: T, queue: Arc<Queue>, limiter: Arc<Limiter>, teller: Teller) -> Self {
        Self { stream, queue, limiter, teller, refused: None, torn: false }
    }

    /// Writes until the log is closed.
    pub(super) fn run(mut self) {
        loop {
            self.tell_left_out(Some(Instant::now()));
            match self.queue.next(self.limiter.due_at()) {
                Next::Write(Entry::Line(line)) => self.write(&line),
                Next::Write(Entry::Lost(lines)) => self.tell_lost(lines, "stderr was not read"),
                Next::Look => {}
                Next::Close => {
                    self.tell_left_out(None);
                    return self.queue.done();
                }
            }
        }
    }

    fn tell_left_out(&mut self, now: Option<Instant>) {
        for LeftOut { line, kind, lines } in self.limiter.take_due(now) {
            let kind = (!kind.is_empty()).then_some(kind);
            let line = self.teller.line(|| {
                warn!(target: "relay::daemon", left_out = lines, kind, line, "there were more lines of this kind");
            });
            self.write(&line);
        }
    }

    /// Says that lines are missing here.
    fn tell_lost(&mut self, lines: u64, why: &str) {
        let line = self.lost(lines, why);
        self.write(&line);
    }

    fn lost(&self, lines: u64, why: &str) -> Vec<u8> {
        self.teller.line(|| {
            warn!(target: "relay::daemon", lost = lines, "{lines} log lines were lost: {why}");
        })
    }

    /// Writes a line; before it, how many the stream has refused before, if it takes that now.
    fn write(&mut self, line: &[u8]) {
        if let Some((lines, error)) = self.refused.take() {
            let told = self.lost(lines, &format!("stderr did not take them: {error}"));
            if self.put(&told).is_err() {
                self.refused = Some((lines + 1, error));
                return;
            }
        }
        if let Err(error) = self.put(line) {
            self.refused = Some((1, error));
        }
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.put_bytes(b"\n")?;
            self.torn = false;
        }
        self.put_bytes(line)
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes.len();
        let result = stream::write_all(self.stream.as_fd(), bytes, |written| {
            left -= written;
            self.queue.progress(written);
        });
        self.torn |= left > 0 && left < bytes.len();
        result
    }
}

#[cfg(test)]
mod tests;
