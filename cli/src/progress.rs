//! Progress of a long transfer, on the standard error when it is a terminal.

use std::io::{IsTerminal, stderr, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressFinish, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Transfers shorter than this show nothing.
const DELAY: Duration = Duration::from_secs(1);

/// Between two looks at the counters.
const INTERVAL: Duration = Duration::from_millis(200);

/// Bytes so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

/// Shows the counters as long as it lives.
pub(crate) struct Progress {
    task: Option<JoinHandle<()>>,
}

impl Progress {
    /// Data on a terminal is its own progress, and would be garbled by ours.
    pub(crate) fn start(quiet: bool, counters: Arc<Counters>) -> Self {
        let shown = !quiet && stderr().is_terminal() && !stdout().is_terminal();
        Self { task: shown.then(|| tokio::spawn(show(counters))) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn show(counters: Arc<Counters>) {
    let start = Instant::now();
    sleep(DELAY).await;
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is valid");
    // It is removed when the task ends.
    let bar = ProgressBar::new_spinner().with_style(style).with_finish(ProgressFinish::AndClear);
    loop {
        let (sent, received) = (counters.sent.load(Ordering::Relaxed), counters.received.load(Ordering::Relaxed));
        let elapsed = start.elapsed();
        let rate = (sent + received) as f64 / elapsed.as_secs_f64();
        bar.set_message(format!(
            "{} sent, {} received in {} s ({}/s)",
            HumanBytes(sent),
            HumanBytes(received),
            elapsed.as_secs(),
            HumanBytes(rate as u64)
        ));
        bar.tick();
        sleep(INTERVAL).await;
    }
}
