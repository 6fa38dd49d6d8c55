//! What a server asks of the kernel, counted by perf in a further window: its tracepoints would cost time in the first.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

/// What is counted, in the order of the fields of [`Counts`].
const EVENTS: &str = "raw_syscalls:sys_enter,io_uring:io_uring_complete,sched:sched_waking";

/// Things that the server did, for each message.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Counts {
    /// System calls.
    pub(crate) syscalls: f64,
    /// Operations that io_uring has completed.
    pub(crate) completions: f64,
    /// Threads that it woke, its own included.
    pub(crate) wakes: f64,
}

impl Counts {
    /// Counts for a while, in which messages come at this rate. They are not counted again: perf takes its time to begin.
    pub(crate) fn take(server_pid: u32, window: Duration, messages_per_s: f64) -> Result<Self> {
        let output = Command::new("perf")
            .args(["stat", "-x", ",", "-e", EVENTS, "-p", &server_pid.to_string(), "--"])
            .args(["sleep", &window.as_secs_f64().to_string()])
            .stdin(Stdio::null())
            .output()
            .context("cannot start perf, which counts")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "perf has failed: {text}");
        let messages = messages_per_s * window.as_secs_f64();
        let [syscalls, completions, wakes] = parse(&text)?.map(|count| count / messages);
        Ok(Self { syscalls, completions, wakes })
    }
}

/// The counts in what perf prints: a line for each event that begins with the number.
fn parse(text: &str) -> Result<[f64; 3]> {
    let counts: Vec<f64> = text.lines().filter_map(|line| line.split(',').next()?.parse().ok()).collect();
    let Ok(counts) = counts.try_into() else { bail!("perf has not counted {EVENTS}: {text}") };
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_missing_ones_noticed() {
        let line = |count: &str| format!("{count},,some:event,1000,100.00,,\n");
        assert_eq!(parse(&["1", "20", "300"].map(line).concat()).expect("complete"), [1.0, 20.0, 300.0]);
        assert!(parse(&["1", "<not supported>", "300"].map(line).concat()).is_err());
        assert!(parse("").is_err());
    }
}
