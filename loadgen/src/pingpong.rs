//! One message there and one back, over and over: how long does a round trip take?

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use bpmux::{DuplexKeys, Event, HalfKey, Link, Piece, What};
use hdrhistogram::Histogram;

use crate::error::Error;
use crate::payload;
use crate::phase::{Meter, Outcome, Setting};
use crate::plugin::{Inbound, Pair, Plugin, top_up};
use crate::verifier::{Verdict, Verifier};

/// The longest round trip that is told from longer ones, in nanoseconds, and how many digits are kept.
const HISTOGRAM: (u64, u8) = (60_000_000_000, 3);

/// Sends messages of `size` bytes there and back; returns the times of the round trips, in nanoseconds, too.
pub(crate) fn run(setting: &Setting<'_>, title: &str, size: usize) -> Result<(Outcome, Histogram<u64>), Error> {
    let pair = Pair::connect(setting.address, &format!("ping-pong-{size}"))?;
    let meter = Meter::default();
    thread::scope(|scope| {
        let asking = scope.spawn(|| Asker::new(pair.opener, size).run(&meter));
        let echoing = scope.spawn(|| echo(pair.acceptor));
        let window = setting.measure(title, &meter, || !asking.is_finished() && !echoing.is_finished());
        // The echo first: when it fails, the asker fails for that reason.
        echoing.join().expect("the echo does not panic")?;
        let (verdict, times) = asking.join().expect("the asker does not panic")?;
        Ok((Outcome { window: window?, verdict }, times))
    })
}

struct Asker {
    plugin: Plugin,
    keys: DuplexKeys,
    payload: Vec<u8>,
    verifier: Verifier,
    times: Histogram<u64>,
}

impl Asker {
    fn new((plugin, keys): (Plugin, DuplexKeys), size: usize) -> Self {
        let mut payload = vec![0; size];
        payload::fill(&mut payload);
        let times = Histogram::new_with_bounds(1, HISTOGRAM.0, HISTOGRAM.1).expect("valid bounds");
        Self { plugin, keys, payload, verifier: Verifier::new(size), times }
    }

    /// Asks until it is time to stop, but once at the least, and closes.
    fn run(mut self, meter: &Meter) -> Result<(Verdict, Histogram<u64>), Error> {
        let mut sent = 0;
        while sent == 0 || !meter.stops() {
            let measured = meter.measures();
            payload::put_stamps(sent, &mut self.payload);
            sent += 1;
            let begun = Instant::now();
            self.round_trip()?;
            if measured {
                self.times.saturating_record(begun.elapsed().as_nanos() as u64);
            }
            meter.messages.store(sent, Ordering::Relaxed);
        }
        self.plugin.link().end(self.keys.writer, &[]);
        self.plugin.send(&[], &mut |_, _| {})?;
        while self.plugin.link().id(self.keys.writer).is_some() {
            self.plugin.receive("the acknowledgement of a close", &mut |_, _| {})?;
        }
        self.plugin.leave()?;
        Ok((self.verifier.finish(sent), self.times))
    }

    /// Sends the payload and waits for a message that comes back, whichever it is.
    fn round_trip(&mut self) -> Result<(), Error> {
        let Self { plugin, keys, payload, verifier, .. } = self;
        let answered = Cell::new(false);
        let hear = &mut |link: &mut Link<()>, inbound: Inbound<'_>| {
            if let Some((piece, bytes)) = message_piece(&inbound, keys.reader) {
                verifier.piece(piece, bytes);
                top_up(link, keys.reader);
                answered.set(answered.get() | piece.last);
            }
        };
        send_message(plugin, keys.writer, payload, hear)?;
        while !answered.get() {
            if !plugin.link().is_open(keys.reader) {
                return Err(plugin.channel_ended());
            }
            plugin.receive("an answer", hear)?;
        }
        Ok(())
    }
}

/// Sends each message back until the asker closes.
fn echo((mut plugin, keys): (Plugin, DuplexKeys)) -> Result<(), Error> {
    let mut message = Vec::new();
    let complete = Cell::new(false);
    while plugin.link().is_open(keys.reader) {
        plugin.receive("a question", &mut |link: &mut Link<()>, inbound| {
            if let Some((piece, bytes)) = message_piece(&inbound, keys.reader) {
                message.extend_from_slice(bytes);
                complete.set(piece.last);
                top_up(link, keys.reader);
            }
        })?;
        if complete.take() {
            // The asker says nothing until it has this.
            send_message(&mut plugin, keys.writer, &message, &mut |_, _| {})?;
            message.clear();
        }
    }
    plugin.leave()
}

/// Sends a message, in parts if the credit comes in parts.
fn send_message(
    plugin: &mut Plugin,
    key: HalfKey,
    message: &[u8],
    hear: &mut impl FnMut(&mut Link<()>, Inbound<'_>),
) -> Result<(), Error> {
    let mut rest = message;
    while !rest.is_empty() {
        plugin.await_credit(key, 1, hear)?;
        let len = rest.len().min(usize::try_from(plugin.link().may_send(key)).unwrap_or(usize::MAX));
        plugin.send_part(key, message.len() as u64, &rest[..len], hear)?;
        rest = &rest[len..];
    }
    Ok(())
}

/// The piece of a message on the half `key`, if it is one.
fn message_piece<'a>(inbound: &'a Inbound<'a>, key: HalfKey) -> Option<(&'a Piece, &'a [u8])> {
    match inbound {
        Inbound::Event(Event::Piece(at, (), piece), bytes) if *at == key && piece.what == What::Message => {
            Some((piece, bytes))
        }
        _ => None,
    }
}
