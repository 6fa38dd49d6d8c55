//! Messages one way, as fast as they go: what can the relay carry?

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::thread;

use bpmux::{DuplexKeys, Event, HalfKey, Link, Piece, What};

use crate::batch::Batch;
use crate::error::Error;
use crate::phase::{Meter, Outcome, Setting};
use crate::plugin::{Inbound, Pair, Plugin, top_up};
use crate::verifier::{Verdict, Verifier};

/// The shortest message, in bytes, that goes in parts where the credit does not cover all of it. A shorter one waits.
const PARTS_SIZE_MIN: usize = 4096;

/// Bytes of the close payload, which says how many messages were sent.
const CLOSE_LEN: usize = 8;

/// Sends messages of `size` bytes from one plugin to another.
pub(crate) fn run(setting: &Setting<'_>, title: &str, size: usize) -> Result<Outcome, Error> {
    let pair = Pair::connect(setting.address, &format!("flood-{size}"))?;
    let meter = Meter::default();
    thread::scope(|scope| {
        let writing = scope.spawn(|| Writer::new(pair.opener, size).run(&meter));
        let reading = scope.spawn(|| read(pair.acceptor, size, &meter));
        let window = setting.measure(title, &meter, || !writing.is_finished() && !reading.is_finished());
        // The reader first: when it fails, the writer fails for that reason.
        let verdict = reading.join().expect("the reader does not panic")?;
        // Now that all has been read the writer may go.
        writing.join().expect("the writer does not panic")?.leave()?;
        Ok(Outcome { window: window?, verdict })
    })
}

struct Writer {
    plugin: Plugin,
    key: HalfKey,
    batch: Batch,
    size: usize,
    /// Messages that were sent, and the number of the next.
    sent: u64,
}

impl Writer {
    fn new((mut plugin, keys): (Plugin, DuplexKeys), size: usize) -> Self {
        let id = plugin.link().id(keys.writer).expect("the channel was accepted just now");
        Self { plugin, key: keys.writer, batch: Batch::new(id, size), size, sent: 0 }
    }

    /// Writes until it is time to stop, but one message at the least; returns the plugin, which must stay until all has been read.
    fn run(mut self, meter: &Meter) -> Result<Plugin, Error> {
        while self.sent == 0 || !meter.stops() {
            self.send()?;
        }
        self.plugin.await_credit(self.key, CLOSE_LEN, &mut |_, _| {})?;
        self.plugin.link().end(self.key, &self.sent.to_be_bytes());
        self.plugin.send(&[], &mut |_, _| {})?;
        while self.plugin.link().id(self.key).is_some() {
            self.plugin.receive("the acknowledgement of a close", &mut |_, _| {})?;
        }
        Ok(self.plugin)
    }

    /// Sends as many messages as a batch holds and the credit covers, or a part of one.
    fn send(&mut self) -> Result<(), Error> {
        let batch_max = self.batch.messages_max();
        if self.credit() < (batch_max * self.size) as u64 {
            self.plugin.poll_receive(&mut |_, _| {})?;
        }
        if !self.plugin.link().is_open(self.key) {
            return Err(self.plugin.channel_ended());
        }
        let credit = self.credit();
        let count = (credit / self.size as u64).min(batch_max as u64);
        if count > 0 {
            self.plugin.link().spend_on_run(self.key, count * self.size as u64);
            self.plugin.send(self.batch.numbered(self.sent, count as usize), &mut |_, _| {})?;
            self.sent += count;
            Ok(())
        } else if credit > 0 && self.size >= PARTS_SIZE_MIN {
            self.send_in_parts()
        } else {
            self.plugin.receive("credit", &mut |_, _| {})
        }
    }

    fn send_in_parts(&mut self) -> Result<(), Error> {
        self.batch.numbered(self.sent, 1);
        let mut at = 0;
        while at < self.size {
            let len = (self.size - at).min(usize::try_from(self.credit()).unwrap_or(usize::MAX));
            if len > 0 {
                let part = self.batch.payload(at..at + len);
                self.plugin.send_part(self.key, self.size as u64, part, &mut |_, _| {})?;
                at += len;
            } else {
                self.plugin.receive("credit", &mut |_, _| {})?;
            }
            if !self.plugin.link().is_open(self.key) {
                return Err(self.plugin.channel_ended());
            }
        }
        self.sent += 1;
        Ok(())
    }

    fn credit(&mut self) -> u64 {
        self.plugin.link().may_send(self.key)
    }
}

/// Reads and verifies until the writer closes.
fn read((mut plugin, keys): (Plugin, DuplexKeys), size: usize, meter: &Meter) -> Result<Verdict, Error> {
    let id_len = bpmux::varint::len(plugin.link().id(keys.reader).expect("the channel was accepted just now"));
    let mut verifier = Verifier::new(size);
    // What the relay says, and then the payload of the writer's own.
    let mut close = Vec::new();
    let mut state = ControlFlow::Continue(());
    plugin.read_runs_of(keys.reader);
    while state.is_continue() {
        plugin.receive("messages", &mut |link: &mut Link<()>, inbound| match inbound {
            Inbound::Run(run) => {
                verifier.run(run, id_len);
                top_up(link, keys.reader);
            }
            Inbound::Event(Event::Piece(key, (), piece), bytes) if key == keys.reader => {
                if piece.what == What::End {
                    state = end_piece(&mut close, piece, bytes);
                } else {
                    verifier.piece(&piece, bytes);
                    top_up(link, keys.reader);
                }
            }
            Inbound::Event(..) => {}
        })?;
        meter.messages.store(verifier.received(), Ordering::Relaxed);
    }
    // What the relay puts in front says that the end is the writer's.
    match close.split_first() {
        Some((0x00, sent)) if sent.len() == CLOSE_LEN => {
            plugin.leave()?;
            Ok(verifier.finish(u64::from_be_bytes(sent.try_into().expect("of that length"))))
        }
        _ => Err(plugin.channel_ended()),
    }
}

fn end_piece(close: &mut Vec<u8>, piece: Piece, bytes: &[u8]) -> ControlFlow<()> {
    close.extend_from_slice(bytes);
    if piece.last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
