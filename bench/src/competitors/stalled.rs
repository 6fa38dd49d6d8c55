//! A reader that stands still while somebody writes to it: what becomes of a healthy pair beside, of the messages, and of
//! the server's memory.

use std::io;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use rustix::net::{Shutdown, shutdown};

use super::figures::{Fate, Figures, STALLED_SIZE, Stalled};
use crate::traffic::end::End;
use crate::traffic::sample::{RoundTrip, Setting, no_times};
use crate::traffic::trips;

/// The reader is sent one message in each write, with a pause between them.
const PAUSE: Duration = Duration::from_micros(50);

/// How much longer than the window of other cases it is written to the reader: so that what a server is ready to keep is
/// filled.
const WINDOWS: u32 = 4;

/// Nothing taken for so long: the writer was held.
const HELD_MIN: Duration = Duration::from_millis(100);

/// Nothing more comes to the reader for so long: there is nothing more.
const QUIET: Duration = Duration::from_millis(500);

/// Measures a healthy pair, and then again beside one of which the reader does not read until the end.
pub(super) fn measure(
    healthy: &mut [End; 2],
    stalled: &mut [End; 2],
    setting: &Setting,
    memory: impl Fn() -> io::Result<u64>,
) -> Result<Figures> {
    trips::prepare(healthy)?;
    let [writer, reader] = stalled;
    writer.prepare(reader, STALLED_SIZE, Some(1))?;
    let [asker, echo] = healthy;
    let is_over = AtomicBool::new(false);
    let window = setting.window;
    let (alone, beside, flood, received, is_cut_off, growth) = thread::scope(|scope| -> Result<_> {
        let echoing = scope.spawn(|| answer(echo, &is_over));
        let measured = (|| {
            ask(asker, Instant::now() + setting.warm_up)?;
            let alone = ask(asker, Instant::now() + window)?;
            let before = memory()?;
            let end = Instant::now() + window * WINDOWS;
            let writing = scope.spawn(move || {
                // Wakes in time: by default the kernel may be as late as the pause is long.
                rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
                writer.flood(end, PAUSE)
            });
            let beside = ask(asker, end)?;
            let growth = memory()? as f64 - before as f64;
            let (received, is_cut_off) = drain(reader, || writing.is_finished());
            let flood = writing.join().expect("the writer does not panic")?;
            Ok((alone, beside, flood, received, is_cut_off, growth))
        })();
        is_over.store(true, Ordering::Release);
        // It may wait for a request.
        let _ = shutdown(asker.as_fd(), Shutdown::Both);
        echoing.join().expect("the echo does not panic");
        measured
    })?;
    let fate = match flood {
        _ if flood.is_cut_off || is_cut_off => Fate::CutOff,
        _ if flood.held > HELD_MIN => Fate::Held,
        _ => Fate::Free,
    };
    let stalled = Stalled {
        alone: RoundTrip::of(&alone),
        alone_per_s: alone.len() as f64 / window.as_secs_f64(),
        beside: RoundTrip::of(&beside),
        beside_per_s: beside.len() as f64 / (window * WINDOWS).as_secs_f64(),
        taken_bytes: (flood.messages * STALLED_SIZE as u64) as f64,
        fate,
        memory_growth_bytes: growth,
    };
    Ok(Figures::stalled(stalled, flood.messages.saturating_sub(received)))
}

/// Asks, one request at a time, until then. A request that is not answered by then counts as long as it has waited; the
/// answer is awaited when all else is over.
fn ask(asker: &mut End, end: Instant) -> Result<Histogram<u64>> {
    let mut times = no_times();
    while Instant::now() < end {
        let begun = Instant::now();
        asker.write()?;
        let mut came = 0;
        while came == 0 && asker.is_readable(end.saturating_duration_since(Instant::now()))? {
            came = asker.read()?;
        }
        times.saturating_record(begun.elapsed().as_nanos() as u64);
    }
    Ok(times)
}

/// Answers requests until it is over.
fn answer(echo: &mut End, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        match echo.is_readable(Duration::from_millis(20)) {
            Ok(false) => {}
            Ok(true) => {
                // It may be over by now, and the connection with it: whoever asks notices.
                let Ok(count) = echo.read() else { return };
                if (0..count).any(|_| echo.write().is_err()) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// The reader reads at last, all that there is. Returns how many messages, and whether it was cut off.
fn drain(reader: &mut End, is_all_written: impl Fn() -> bool) -> (u64, bool) {
    let mut received = 0;
    loop {
        match reader.is_readable(QUIET) {
            Ok(true) => match reader.read() {
                Ok(count) => received += count,
                Err(_) => return (received, true),
            },
            Ok(false) if is_all_written() => return (received, false),
            Ok(false) => {}
            Err(_) => return (received, true),
        }
    }
}
