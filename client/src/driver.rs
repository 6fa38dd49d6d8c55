//! The task of a connection: it owns the socket, carries bytes between it and the session, and watches the clock.
//!
//! While one batch of output is written the handles fill the next, so that many small messages leave in one write and
//! nobody is woken for each of them. Reading never waits for writing: else two peers could wait for each other.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::BusError;
use crate::heartbeat::{Due, Heartbeat, HeartbeatConfig};
use crate::patience::Patience;
use crate::session::{Session, Standing};
use crate::shared::Shared;

/// Bytes that are read at once: about what stays in a core's cache until it is looked at.
const READ_LEN_MAX: usize = 64 * 1024;

/// The clock's part of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) heartbeat: HeartbeatConfig,
    /// How long closing may take.
    pub(crate) linger: Duration,
}

/// How the connection is doing.
#[derive(Debug)]
enum Phase {
    Running,
    /// All is written and the socket is to be shut down.
    ShuttingDown(BusError),
    /// Nothing is written any more. What the relay still says is read: it may be a reason, and a socket that is closed
    /// with bytes unread may take with it what the relay has not read.
    Draining(BusError),
}

/// The task.
pub(crate) struct Driver<S> {
    socket: S,
    shared: Arc<Shared>,
    linger: Duration,
    heartbeat: Heartbeat,
    phase: Phase,
    read_buffer: Box<[u8]>,
    /// What is being written; empty when all of it has reached the socket.
    output: Vec<u8>,
    written: usize,
    /// Whether `output` is the last.
    output_ended: bool,
    /// Whether it holds the question of the heartbeat.
    output_asks: bool,
    /// How long closing may still take.
    closing: Option<Patience>,
    /// Whether it had not, so that something queued was given up.
    unsent: bool,
    timer: Pin<Box<Sleep>>,
    wakes: Vec<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(crate) fn new(socket: S, shared: Arc<Shared>, timing: Timing) -> Self {
        let now = Instant::now();
        let heartbeat = Heartbeat::new(timing.heartbeat, now);
        Self {
            socket,
            shared,
            linger: timing.linger,
            heartbeat,
            phase: Phase::Running,
            read_buffer: vec![0; READ_LEN_MAX].into(),
            output: Vec::new(),
            written: 0,
            output_ended: false,
            output_asks: false,
            closing: None,
            unsent: false,
            timer: Box::pin(sleep_until(heartbeat.deadline())),
            wakes: Vec::new(),
        }
    }

    /// Goes on until the connection is over, and returns why it is.
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<BusError> {
        loop {
            match self.step(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(error) => return Poll::Ready(error),
            }
        }
    }

    /// One turn of writing, reading and looking at the clock. Returns whether something came of it.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<bool, BusError> {
        let wrote = match self.phase {
            Phase::Running => self.write(cx),
            Phase::ShuttingDown(_) => self.shut_down(cx),
            Phase::Draining(_) => false,
        };
        let read = self.read(cx)?;
        Ok(wrote || read || self.check_clock(cx)?)
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        if self.output.is_empty() {
            let fetched = self.shared.take_output(&mut self.output, &mut self.wakes, cx.waker());
            self.output_asks = fetched.asks;
            self.heed(fetched.standing);
            if self.output.is_empty() {
                return self.output_ended && self.end_output();
            }
        }
        match self.poll_write_output(cx) {
            Poll::Pending => {
                let standing = self.shared.wait_for_closing(cx.waker());
                self.heed(standing);
                false
            }
            Poll::Ready(Ok(())) if self.output_ended => self.end_output(),
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(error)) => {
                // The relay reads no more. Perhaps it has said why.
                self.drain(error.into());
                true
            }
        }
    }

    /// Writes the output in hand, and sees to it that none of it stays in the stream, which may keep some where it is not a
    /// bare socket.
    fn poll_write_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let len = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.output[self.written..]))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += len;
            self.heartbeat.handle_taken();
        }
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.output.clear();
        self.written = 0;
        if std::mem::take(&mut self.output_asks) {
            self.heartbeat.handle_asked(Instant::now());
        }
        Poll::Ready(Ok(()))
    }

    /// The last word is written. From this moment on the relay may hang up, and nothing is lost by it.
    fn end_output(&mut self) -> bool {
        self.shared.with_task(&mut self.wakes, Session::handle_written);
        self.phase = Phase::ShuttingDown(if self.unsent { BusError::Unsent } else { BusError::Closed });
        true
    }

    /// Looks whether the program has closed the connection.
    fn heed(&mut self, standing: Standing) {
        self.output_ended = standing == Standing::Ended;
        if standing != Standing::Open && self.closing.is_none() {
            self.closing = Some(Patience::new(self.linger, Instant::now()));
        }
    }

    fn drain(&mut self, outcome: BusError) {
        self.phase = Phase::Draining(outcome);
        self.closing.get_or_insert_with(|| Patience::new(self.linger, Instant::now()));
    }

    fn shut_down(&mut self, cx: &mut Context<'_>) -> bool {
        // Whether that works or not, reading to the end is all that is left to do.
        if Pin::new(&mut self.socket).poll_shutdown(cx).is_pending() {
            return false;
        }
        let outcome = self.outcome();
        self.drain(outcome);
        true
    }

    /// What the program gets to know when the relay's side of the socket is over.
    fn outcome(&self) -> BusError {
        match &self.phase {
            Phase::Running => BusError::Lost,
            Phase::ShuttingDown(outcome) | Phase::Draining(outcome) => outcome.clone(),
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, BusError> {
        let mut buffer = ReadBuf::new(&mut self.read_buffer);
        match Pin::new(&mut self.socket).poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(error)) => {
                return Err(if matches!(self.phase, Phase::Running) { error.into() } else { self.outcome() });
            }
            Poll::Ready(Ok(())) => {}
        }
        let input = buffer.filled();
        if input.is_empty() {
            return Err(self.outcome());
        }
        self.heartbeat.handle_heard(Instant::now());
        let result = self.shared.with_task(&mut self.wakes, |session| session.handle_input(input));
        match (result, self.outcome()) {
            (Ok(()), _) => Ok(true),
            // The program has closed the connection: nothing that the relay says can go wrong for it.
            (Err(_), outcome @ (BusError::Closed | BusError::Unsent)) => Err(outcome),
            (Err(error), _) => Err(error),
        }
    }

    /// When something may be due next.
    fn deadline(&self) -> Instant {
        self.closing.as_ref().map_or_else(|| self.heartbeat.deadline(), Patience::deadline)
    }

    fn check_clock(&mut self, cx: &mut Context<'_>) -> Result<bool, BusError> {
        let due = self.deadline();
        // What was heard moves the deadline with each read; the timer is set again only when it has run out.
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Ok(false);
        }
        let now = Instant::now();
        match self.closing.as_mut().map(|patience| patience.is_over(now)) {
            Some(true) => self.give_up_closing(now)?,
            Some(false) => {}
            None => match self.heartbeat.poll(now) {
                Due::Nothing => {}
                Due::Ping => self.shared.with_task(&mut self.wakes, Session::ask_for_life),
                Due::GiveUp => return Err(BusError::Silent(self.heartbeat.timeout())),
            },
        }
        let due = self.deadline();
        self.timer.as_mut().reset(due);
        Ok(true)
    }

    /// Closing has taken too long. Once, what waits for the peers' credit is given up and the last word said instead;
    /// the second time there is nobody to hear it.
    fn give_up_closing(&mut self, now: Instant) -> Result<(), BusError> {
        if !matches!(self.phase, Phase::Running) {
            return Err(self.outcome());
        }
        if self.unsent || !self.output.is_empty() {
            return Err(BusError::Unsent);
        }
        self.unsent = self.shared.with_task(&mut self.wakes, Session::close_now);
        self.closing = Some(Patience::new(self.linger, now));
        Ok(())
    }

    /// Tells the relay why it is left, if that is for something that it did. There is no waiting for it to hear that.
    fn say_why(&mut self, error: &BusError, cx: &mut Context<'_>) {
        if matches!(error, BusError::Violation(_) | BusError::Misbehaved(_) | BusError::Silent(_)) {
            let Self { shared, wakes, output, .. } = self;
            shared.with_task(wakes, |session| session.say_farewell(&error.to_string(), output));
            let _ = self.poll_write_output(cx);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.poll_run(cx).map(|error| {
            this.say_why(&error, cx);
            this.shared.with_task(&mut this.wakes, |session| session.handle_gone(error));
        })
    }
}

impl<S> Drop for Driver<S> {
    /// The runtime may stop the task at any time; nobody shall wait for it then.
    fn drop(&mut self) {
        self.shared.with_task(&mut self.wakes, |session| session.handle_gone(BusError::Lost));
    }
}
