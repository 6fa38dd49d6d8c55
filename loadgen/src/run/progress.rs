//! The live line: what is going on, on stderr, if that is a terminal.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressFinish, ProgressStyle};

/// The progress of one step.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// When the rate was shown last, and the count then.
    shown: (Instant, u64),
}

impl Progress {
    /// A step that takes `total` once it has begun.
    pub(crate) fn new(title: String, total: Duration) -> Self {
        let style = ProgressStyle::with_template("{prefix:28} {bar:24.cyan/dim} {msg}").expect("a valid template");
        let bar = ProgressBar::new(total.as_millis() as u64).with_style(style).with_prefix(title);
        let bar = bar.with_finish(ProgressFinish::AndClear);
        Self { bar, shown: (Instant::now(), 0) }
    }

    /// So many of so many channels are open.
    pub(crate) fn connecting(&self, done: u64, total: u64) {
        self.bar.set_message(format!("connecting {} of {}", HumanCount(done), HumanCount(total)));
    }

    /// It has been going on for `elapsed`, and so many messages have arrived.
    pub(crate) fn running(&mut self, elapsed: Duration, messages: u64) {
        self.bar.set_position(elapsed.as_millis() as u64);
        let since = self.shown.0.elapsed();
        if since < Duration::from_millis(200) {
            return;
        }
        let rate = (messages.saturating_sub(self.shown.1)) as f64 / since.as_secs_f64();
        self.shown = (Instant::now(), messages);
        let left = Duration::from_millis(self.bar.length().unwrap_or(0)).saturating_sub(elapsed);
        let left = HumanDuration(left);
        self.bar.set_message(format!(
            "{:>12}/s, {} in all, {left:#} left",
            HumanCount(rate as u64),
            HumanCount(messages)
        ));
    }

    /// The time is over, and the rest is awaited.
    pub(crate) fn draining(&self) {
        self.bar.set_position(self.bar.length().unwrap_or(0));
        self.bar.set_message("waiting for what is on its way");
    }
}
