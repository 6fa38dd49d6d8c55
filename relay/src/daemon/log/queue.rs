//! Lines on their way to stderr: a bounded queue between those who log, who never wait, and the thread that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use limits::LOG_LINES_WAITING_MAX;

/// What waits to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A line, with its end.
    Line(Vec<u8>),
    /// Here so many lines found no room.
    Lost(u64),
}

/// What the writer is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Write this.
    Write(Entry),
    /// Look whether something is due: it is time, or it was poked.
    Look,
    /// All has been taken, and nothing more is to come.
    Close,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something has come, or the queue is to be closed.
    filled: Condvar,
    /// The writer has written, or is done.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    poked: bool,
    closing: bool,
    /// Whether the writer has written all that was there when it was closed.
    done: bool,
    /// Bytes that were written so far.
    written_bytes: u64,
}

/// How long a flush may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without a byte that is taken.
    pub(super) stall: Duration,
    /// In all.
    pub(super) total: Duration,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a line wait to be written. Where there is no room it is counted instead, and told of in its place.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.done {
            return;
        }
        if state.entries.len() < LOG_LINES_WAITING_MAX {
            state.entries.push_back(Entry::Line(line.to_vec()));
        } else if let Some(Entry::Lost(lines)) = state.entries.back_mut() {
            *lines += 1;
        } else {
            state.entries.push_back(Entry::Lost(1));
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Whether there is no room for a line.
    #[cfg(test)]
    pub(super) fn is_full(&self) -> bool {
        self.state().entries.len() >= LOG_LINES_WAITING_MAX
    }

    /// Something else than a line may be due sooner than the writer knows.
    pub(super) fn poke(&self) {
        self.state().poked = true;
        self.filled.notify_one();
    }

    /// Waits for what is to be done next, until `until` at the most.
    pub(super) fn next(&self, until: Option<Instant>) -> Next {
        let mut state = self.state();
        loop {
            if let Some(entry) = state.entries.pop_front() {
                return Next::Write(entry);
            }
            if state.closing {
                return Next::Close;
            }
            if std::mem::take(&mut state.poked) {
                return Next::Look;
            }
            state = match until {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Next::Look;
                    }
                    self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// So many bytes have been written.
    pub(super) fn progress(&self, bytes: usize) {
        self.state().written_bytes += bytes as u64;
        self.written.notify_all();
    }

    /// Nothing more is written from now on.
    pub(super) fn done(&self) {
        self.state().done = true;
        self.written.notify_all();
    }

    /// Has all written that waits, and nothing after that. Waits for it for as long as somebody reads, but no longer than
    /// `patience`.
    pub(super) fn close(&self, patience: Patience) {
        let mut state = self.state();
        state.closing = true;
        self.filled.notify_one();
        let end = Instant::now() + patience.total;
        let mut seen = (state.written_bytes, Instant::now());
        while !state.done {
            let now = Instant::now();
            if state.written_bytes != seen.0 {
                seen = (state.written_bytes, now);
            }
            let left = end.min(seen.1 + patience.stall).saturating_duration_since(now);
            if left.is_zero() {
                return;
            }
            state = self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn line(number: usize) -> Entry {
        Entry::Line(number.to_string().into_bytes())
    }

    #[test]
    fn what_finds_no_room_is_counted_in_its_place() {
        const LOST: usize = 5;
        let queue = Queue::default();
        (0..LOG_LINES_WAITING_MAX + LOST).for_each(|number| queue.push(number.to_string().as_bytes()));
        for number in 0..LOG_LINES_WAITING_MAX {
            assert_eq!(queue.next(None), Next::Write(line(number)));
            if number == 1 {
                queue.push(b"9");
            }
        }
        assert_eq!(queue.next(None), Next::Write(Entry::Lost(LOST as u64)));
        assert_eq!(queue.next(None), Next::Write(line(9)), "there was room for it again, behind what was lost");
        assert_eq!(queue.next(Some(Instant::now())), Next::Look);
    }

    #[test]
    fn a_poke_is_not_missed() {
        let queue = Queue::default();
        queue.poke();
        assert_eq!(queue.next(None), Next::Look);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.next(None));
            queue.poke();
            assert_eq!(waiting.join().expect("no panic"), Next::Look);
        });
    }

    #[test]
    fn closing_waits_for_who_reads_and_not_for_who_does_not() {
        let (stall, total) = (Duration::from_millis(200), Duration::from_secs(60));
        let queue = Queue::default();
        queue.push(b"0");
        // Nobody takes it.
        queue.close(Patience { stall, total });
        let began = Instant::now();
        queue.close(Patience { stall: total, total: stall });
        assert!(began.elapsed() >= stall);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(queue.next(None), Next::Write(line(0)));
                // Slowly: each is in time, all together are not.
                for _ in 0..10 {
                    thread::sleep(stall / 4);
                    queue.progress(1);
                }
                assert_eq!(queue.next(None), Next::Close);
                queue.done();
            });
            queue.close(Patience { stall: total, total });
            assert!(queue.state().done);
        });
        queue.push(b"after that");
        assert_eq!(queue.next(None), Next::Close);
    }
}
