//! One end of a channel: it writes and reads as its flow says, counts, and closes when it is time.
//!
//! An end that sends of its own accord is a source; it closes with the number of messages that it has sent, so that the
//! other end knows what is missing. The other end answers, if that is the flow's way, and closes when it has been closed.

use std::collections::VecDeque;
use std::mem;

use bpmux::{DuplexKeys, Link, Piece};
use engine::batch::Batch;

use super::Time;
use super::content::mix;
use super::copies::Copies;
use super::flow::{Direction, Flow, Moment};
use super::verifier::Verifier;
use super::writer::{SEND_BYTES, Writer, Wrote};

/// Bytes of a close payload: how many messages were sent.
const CLOSE_BYTES: usize = 8;

/// Between messages of which latencies are recorded only because it takes time.
const REHEARSED_STEP_NS: f64 = 20.0;

/// How far an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for the other plugin's answer.
    Opening,
    Open,
    /// Both directions are over.
    Done,
}

/// What an end wants after it was given its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing, until something happens.
    Rests,
    /// Another one.
    WantsMore,
    /// It has just come to its end.
    Done,
}

/// One end of a channel.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) flow: u16,
    /// Which channel of the flow it is.
    pub(crate) channel: u32,
    pub(crate) state: State,
    /// Whether it waits for its turn.
    pub(crate) queued: bool,
    /// Whether it sends of its own accord.
    pub(crate) is_source: bool,
    /// Whether the other end is still to be told that we accept.
    accepts: bool,
    pub(crate) keys: DuplexKeys,
    writer: Writer,
    /// Since when it has had no credit, or 0.
    stalled_since: Time,
    /// What stands in front of what we close with, where no relay puts it there.
    prefix: &'static [u8],
    /// Whether we have closed our direction.
    closed: bool,
    verifier: Verifier,
    /// Bytes of tag and id of what comes in.
    head_len: usize,
    /// What the other end closed with, as far as it has come.
    close: Vec<u8>,
    /// Whether the other direction is closed.
    ended: bool,
    /// When the messages that are not answered yet were sent, where there is no schedule.
    sent_at: VecDeque<Time>,
}

impl End {
    /// An end of a channel that we open (then it is the source) or accept.
    pub(crate) fn new(flow: u16, channel: u32, seed: u64, keys: DuplexKeys, id: u64, opens: bool) -> Self {
        let content =
            |from_source: bool| mix(mix(seed ^ u64::from(flow) << 48 ^ u64::from(channel)) ^ u64::from(from_source));
        Self {
            flow,
            channel,
            state: if opens { State::Opening } else { State::Open },
            queued: false,
            is_source: opens,
            accepts: !opens,
            keys,
            writer: Writer::new(keys.writer, opens, content(opens)),
            stalled_since: 0,
            prefix: &[],
            closed: false,
            verifier: Verifier::new(content(!opens)),
            head_len: 1 + bpmux::varint::len(id),
            close: Vec::new(),
            ended: false,
            sent_at: VecDeque::new(),
        }
    }

    /// The same without a relay between the ends.
    pub(crate) fn directly(mut self) -> Self {
        self.prefix = &[wire::end::BY_PLUGIN];
        self
    }

    // Writing.

    /// Writes what is to be written now, and closes when that is all there ever is.
    pub(crate) fn turn(
        &mut self,
        link: &mut Link<u32>,
        out: &mut Batch,
        copies: &mut Copies,
        flow: &mut Flow,
        moment: &Moment,
    ) -> Turn {
        if self.state != State::Open || self.closed {
            return Turn::Rests;
        }
        if mem::take(&mut self.accepts) {
            // An empty message, which needs no credit, in front of all others.
            link.put_part(self.keys.writer, 0, 0, out.staged());
        }
        loop {
            let allowed = self.allowed(flow, moment);
            if allowed == 0 && self.writer.part == 0 {
                break;
            }
            let sizes = if self.is_source { &flow.spec.request } else { &flow.spec.response };
            match self.writer.write(link, sizes, allowed, out, copies) {
                Wrote::NoCredit => {
                    self.note_stall(flow, moment.now);
                    return Turn::Rests;
                }
                Wrote::Messages(messages) => {
                    self.note_sent(messages, flow, moment.now);
                    // Many at once are enough for a turn.
                    if messages > 1 || out.len() >= SEND_BYTES {
                        return Turn::WantsMore;
                    }
                }
            }
        }
        if self.is_finished(flow, moment) { self.close(link, flow, moment) } else { Turn::Rests }
    }

    /// How many messages may be begun now.
    #[inline]
    fn allowed(&self, flow: &Flow, moment: &Moment) -> u64 {
        let (sent, received) = (self.writer.sent, self.verifier.verdict().received);
        if !self.is_source {
            return match flow.spec.direction {
                Direction::OneWay => 0,
                Direction::RoundTrip => received - sent,
            };
        }
        if !moment.begun {
            return 0;
        }
        let left = flow.spec.limit.unwrap_or(u64::MAX) - sent;
        if let Some(schedule) = &flow.schedule {
            let due = schedule.due(self.channel, moment.now.min(moment.stop - 1));
            return if moment.now < moment.give_up { left.min(due.saturating_sub(sent)) } else { 0 };
        }
        // One at the least, so that no channel goes untested.
        if moment.stops() && sent > 0 {
            return 0;
        }
        match flow.spec.direction {
            Direction::OneWay => left,
            Direction::RoundTrip => left.min(u64::from(flow.spec.in_flight).saturating_sub(sent - received)),
        }
    }

    fn note_sent(&mut self, messages: u64, flow: &mut Flow, now: Time) {
        if self.is_source && flow.spec.direction == Direction::RoundTrip && flow.schedule.is_none() {
            self.sent_at.extend(std::iter::repeat_n(now, messages as usize));
        }
        if self.stalled_since > 0 {
            flow.measured.stalled_ns += now - self.stalled_since;
            self.stalled_since = 0;
        }
    }

    fn note_stall(&mut self, flow: &mut Flow, now: Time) {
        if self.stalled_since == 0 && flow.measured.recorder.is_measuring(now) {
            self.stalled_since = now;
            flow.measured.stalls += 1;
        }
    }

    /// Whether nothing more is to be written.
    fn is_finished(&self, flow: &Flow, moment: &Moment) -> bool {
        if !self.is_source {
            return self.ended;
        }
        let answered = flow.spec.direction == Direction::OneWay || self.verifier.verdict().received >= self.writer.sent;
        let at_limit = flow.spec.limit == Some(self.writer.sent);
        answered && (at_limit || moment.stops())
    }

    fn close(&mut self, link: &mut Link<u32>, flow: &mut Flow, moment: &Moment) -> Turn {
        if !link.end(self.keys.writer, &[self.prefix, &self.writer.sent.to_be_bytes()].concat()) {
            return Turn::Rests;
        }
        if let Some(schedule) = flow.schedule.filter(|_| self.is_source) {
            let due = schedule.due(self.channel, moment.stop - 1).min(flow.spec.limit.unwrap_or(u64::MAX));
            let unsent = due.saturating_sub(self.writer.sent);
            flow.measured.unsent += unsent;
            let first = schedule.intended(self.channel, self.writer.sent);
            flow.measured.recorder.record_run(moment.now, first, schedule.step_ns(), unsent);
        }
        self.closed = true;
        self.settle(flow)
    }

    /// Whether both directions are over; then its verdict is the flow's.
    fn settle(&mut self, flow: &mut Flow) -> Turn {
        if !(self.closed && self.ended) || self.state == State::Done {
            return Turn::Rests;
        }
        self.state = State::Done;
        self.give_account(flow);
        Turn::Done
    }

    /// Adds what it knows to what is known of its flow.
    pub(crate) fn give_account(&mut self, flow: &mut Flow) {
        flow.measured.verdict += self.verifier.verdict();
        flow.measured.verdict.sent += self.writer.sent;
    }

    /// Whether what it has read makes it write.
    #[inline]
    pub(crate) fn reacts(&self, flow: &Flow) -> bool {
        flow.spec.direction == Direction::RoundTrip || self.ended
    }

    // Reading.

    /// Takes whole messages with their heads.
    #[inline]
    pub(crate) fn read_run(&mut self, run: &[u8], messages: u64, payload_bytes: u64, flow: &mut Flow, now: Time) {
        let sizes = if self.is_source { &flow.spec.response } else { &flow.spec.request };
        let first = self.verifier.verdict().received;
        self.verifier.run(sizes, run, messages, self.head_len);
        self.arrived(first, messages, payload_bytes, flow, now);
    }

    /// Takes a piece of a message.
    pub(crate) fn read_piece(&mut self, piece: &Piece, bytes: &[u8], flow: &mut Flow, now: Time) {
        let sizes = if self.is_source { &flow.spec.response } else { &flow.spec.request };
        let first = self.verifier.verdict().received;
        self.verifier.piece(sizes, piece, bytes);
        self.arrived(first, u64::from(piece.last), bytes.len() as u64, flow, now);
    }

    /// Counts what has arrived; of a round trip the answer.
    #[inline]
    fn arrived(&mut self, first: u64, messages: u64, payload_bytes: u64, flow: &mut Flow, now: Time) {
        let answers = flow.spec.direction == Direction::RoundTrip;
        if answers && !self.is_source {
            return;
        }
        flow.measured.arrived += messages;
        let recorder = &mut flow.measured.recorder;
        recorder.count(now, messages, payload_bytes);
        if messages == 0 {
            return;
        }
        if let Some(schedule) = flow.schedule {
            recorder.record_run(now, schedule.intended(self.channel, first), schedule.step_ns(), messages);
        } else if answers {
            let sent_at = self.sent_at.drain(..self.sent_at.len().min(messages as usize));
            recorder.record(now, sent_at);
        } else if flow.spec.rehearses {
            let first = now.saturating_sub((messages as f64 * REHEARSED_STEP_NS) as Time);
            recorder.record_run(now, first, REHEARSED_STEP_NS, messages);
        }
    }

    /// Takes a piece of the end payload of the direction that we read; nothing when somebody else has ended the channel.
    pub(crate) fn read_end(&mut self, piece: &Piece, bytes: &[u8], flow: &mut Flow) -> Option<Turn> {
        self.close.extend_from_slice(bytes);
        if !piece.last {
            return Some(Turn::Rests);
        }
        match self.close.split_first() {
            Some((&wire::end::BY_PLUGIN, sent)) if sent.len() == CLOSE_BYTES && self.state == State::Open => {
                self.verifier.finish(u64::from_be_bytes(sent.try_into().expect("of that length")));
                self.ended = true;
                Some(self.settle(flow))
            }
            _ => None,
        }
    }
}
