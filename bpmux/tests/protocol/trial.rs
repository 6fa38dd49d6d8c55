//! Two links side by side, one of them fed in pieces, and the oracle's model: whatever is done to the links is done to
//! the model, and every chunk that the model takes has the effects that the model says; every one that it refuses is refused.

use std::collections::HashMap;

use bpmux::{DuplexKeys, HalfKey, Limits, Link, LinkError, Opened, Over, What};
use oracle::audit::{Audit, Half, OwnEnd, Part, Purpose, State, TOP_WRITE, What as Said, seen_by_other};
use oracle::wire::{self, Chunk, Kind, Rule, parse, parse_all};

use crate::support::{Seen, feed, kind as core_kind};

/// What a chunk should mean to a link, which drops what comes on a half that it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Opened(Kind),
    Did(Said),
    /// A message was dropped.
    Missed,
}

/// What the next flush must write about a half, besides an ack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Owed {
    credit: u64,
    pings: u32,
    pongs: u32,
    end: Option<Vec<u8>>,
}

/// Two links that get the same input, one of them cut, and the model.
pub(crate) struct Trial {
    pub(crate) link: Link<u32>,
    cut: Link<u32>,
    pub(crate) model: Audit,
    /// What both links have written.
    pub(crate) written: Vec<u8>,
    /// By name, as the next one.
    keys: Vec<HalfKey>,
    owed: Vec<Owed>,
    names: HashMap<HalfKey, usize>,
}

impl Trial {
    pub(crate) fn new(limits: Limits) -> Self {
        let mut trial = Self {
            link: Link::new(limits),
            cut: Link::new(limits),
            model: Audit::new(limits.halves_max as usize, limits.openings_partial_max as usize),
            written: Vec::new(),
            keys: Vec::new(),
            owed: Vec::new(),
            names: HashMap::new(),
        };
        trial.name(HalfKey::TOP_WRITER);
        trial.name(HalfKey::TOP_READER);
        trial
    }

    fn name(&mut self, key: HalfKey) {
        assert!(self.names.insert(key, self.keys.len()).is_none(), "{key:?} is given again");
        self.keys.push(key);
        self.owed.push(Owed::default());
    }

    /// Does the same to both links, which must give the same.
    fn both<T: PartialEq + std::fmt::Debug>(&mut self, mut act: impl FnMut(&mut Link<u32>) -> T) -> T {
        let result = act(&mut self.link);
        assert_eq!(act(&mut self.cut), result);
        result
    }

    /// Lets both links write the same.
    fn write<T: PartialEq + std::fmt::Debug>(
        &mut self,
        mut act: impl FnMut(&mut Link<u32>, &mut Vec<u8>) -> T,
    ) -> (T, Vec<u8>) {
        self.both(|link| {
            let mut out = Vec::new();
            (act(link, &mut out), out)
        })
    }

    /// The peer sends a chunk, which one of the links gets cut at these places: what it means, if it is valid.
    pub(crate) fn peer(&mut self, chunk: &Chunk, mut places: Vec<usize>) -> Option<Vec<(usize, Want)>> {
        let bytes = chunk.bytes();
        let mut model = self.model.clone();
        let wanted = wanted(&mut model, chunk, &bytes);
        let (link, seen) = fed(&self.link, &[&bytes]);
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        let (cut, seen_cut) = fed(&self.cut, &pieces);
        assert_eq!(seen, seen_cut, "a cut changes nothing: {chunk:?}");
        match (wanted, seen) {
            (Ok(wants), Ok(seen)) => {
                let seen: Vec<_> = seen.into_iter().map(|seen| self.seen(seen)).collect();
                assert_eq!(seen, wants, "{chunk:?}");
                (self.link, self.cut, self.model) = (link, cut, model);
                for half in self.model.halves().filter(|half| half.other_ended) {
                    let owed = &mut self.owed[half.name];
                    (owed.credit, owed.pings) = (0, 0);
                }
                self.compare();
                Some(seen)
            }
            // What is refused is as if it had not come.
            (Err(_), Err(_)) => None,
            (wanted, seen) => panic!("{chunk:?}: the model says {wanted:?}, the link {seen:?}"),
        }
    }

    /// What was seen, in the model's terms.
    fn seen(&mut self, seen: Seen) -> (usize, Want) {
        let (key, said) = match seen {
            Seen::Opened(opened) => {
                let (kind, keys) = match opened {
                    Opened::Request(key) => (Kind::OutRequest, vec![key]),
                    Opened::Sink(key) => (Kind::OutSink, vec![key]),
                    Opened::Stream(key) => (Kind::OutStream, vec![key]),
                    Opened::Duplex(DuplexKeys { writer, reader }) => (Kind::Duplex, vec![writer, reader]),
                };
                keys.iter().for_each(|&key| self.name(key));
                return (self.names[&keys[0]], Want::Opened(kind));
            }
            Seen::Missed(key) => return (self.names[&key], Want::Missed),
            Seen::Payload { key, what, total, first, last, bytes } => {
                let purpose = match what {
                    What::Opening => Purpose::Open,
                    What::Message => Purpose::Message,
                    What::End => Purpose::End,
                };
                (key, Said::Part(Part { purpose, total, first, last, bytes }))
            }
            Seen::Credit(key, amount) => (key, Said::Credit(amount)),
            Seen::Ping(key) => (key, Said::Ping),
            Seen::Pong(key) => (key, Said::Pong),
            Seen::Over(key, Over::Acked) => (key, Said::AckEnd),
            Seen::Over(key, Over::Crossed) => (key, Said::Crossed),
        };
        (self.names[&key], Want::Did(said))
    }

    /// Opens something, if there is credit for it: its id.
    pub(crate) fn open(&mut self, kind: Kind, opening: &[u8], later: u64, credit: u64) -> Option<u64> {
        let total = opening.len() as u64 + later;
        let duplex = kind == Kind::Duplex;
        let (opened, out) = self.write(|link, out| {
            if duplex {
                link.begin_duplex(1, total, opening, credit, out).map(|keys| vec![keys.writer, keys.reader])
            } else {
                link.open(core_kind(kind), opening, credit, out).map(|key| vec![key])
            }
        });
        if self.model.credit(TOP_WRITE) < opening.len() as u64 {
            assert_eq!((opened.is_err(), out.len()), (true, 0));
            return None;
        }
        let keys = opened.expect("there is credit for it");
        let id = self.link.id(keys[0]).expect("it is open");
        let expected = Chunk {
            partial: (duplex && later > 0).then_some(total),
            credit: (duplex && credit > 0).then_some(credit),
            ..wire::chunk(kind, id).payload(opening)
        };
        assert_eq!(out, expected.bytes());
        self.model.sent(&expected);
        keys.iter().for_each(|&key| self.name(key));
        if !duplex {
            let half = self.model.state(seen_by_other(kind, id)).clone();
            self.owe_credit(&half, credit);
        }
        self.written.extend(out);
        Some(id)
    }

    pub(crate) fn ping(&mut self, half: &State) {
        self.owed[half.name].pings += u32::from(half.is_open());
        let key = self.keys[half.name];
        self.both(|link| link.ping(key));
    }

    pub(crate) fn pong(&mut self, half: &State) {
        let answers = half.own_end == OwnEnd::No && !(half.is_top() && half.other_ended);
        self.owed[half.name].pongs += u32::from(answers);
        let key = self.keys[half.name];
        self.both(|link| link.pong(key));
    }

    pub(crate) fn grant(&mut self, half: &State, amount: u64) {
        if half.is_open() {
            self.owe_credit(half, amount);
        }
        let key = self.keys[half.name];
        self.both(|link| link.grant(key, amount));
    }

    /// Credit counts from when it is given, and is written later.
    fn owe_credit(&mut self, half: &State, amount: u64) {
        self.model.state(half.half).may_receive += amount;
        self.owed[half.name].credit += amount;
    }

    pub(crate) fn end(&mut self, half: &State, payload: &[u8]) {
        let key = self.keys[half.name];
        let done = self.both(|link| link.end(key, payload));
        if half.is_open() {
            let Some(left) = half.may_send.checked_sub(payload.len() as u64) else {
                return assert!(!done, "an end payload needs credit");
            };
            let state = self.model.state(half.half);
            (state.may_send, state.own_end) = (left, OwnEnd::Noted);
            let owed = &mut self.owed[half.name];
            (owed.credit, owed.end) = (0, Some(payload.into()));
        }
        assert!(done);
    }

    /// Writes on with the message or the opening under way, or begins a message of so many bytes.
    pub(crate) fn part(&mut self, half: &State, total: u64, len: u64) {
        if !half.is_open() {
            return;
        }
        let (kind, id) = half.half;
        if !matches!(kind, Kind::OutRequest | Kind::OutStream | Kind::InStream) {
            return self.more_of_opening(half, len);
        }
        let fresh = half.outgoing_left == 0;
        let total = if fresh { total } else { half.outgoing_left };
        let len = len.min(total).min(half.may_send);
        let message = wire::chunk(kind.inverted(id), id);
        let mut expected = Vec::new();
        if kind == Kind::OutRequest && len == total {
            let owed = std::mem::take(&mut self.owed[half.name]);
            expected = message.bytes().repeat(owed.pongs.min(8) as usize);
        }
        let message =
            Chunk { partial: (fresh && len < total).then_some(total), ..message.payload(vec![7; len as usize]) };
        expected.extend(message.bytes());
        self.model.sent(&message);
        let key = self.keys[half.name];
        let ((), mut out) = self.write(|link, out| link.put_part(key, total, len, out));
        out.extend(vec![7; len as usize]);
        assert_eq!(out, expected);
        self.written.extend(out);
    }

    /// An opening of ours goes on, if it is not whole.
    fn more_of_opening(&mut self, half: &State, len: u64) {
        if half.outgoing_left == 0 {
            return;
        }
        let bytes = vec![7; len.min(half.outgoing_left) as usize];
        let part = wire::out_stream(half.half.1).payload(&bytes);
        let key = self.keys[half.name];
        let (sent, out) = self.write(|link, out| link.continue_opening(key, &bytes, out));
        if bytes.len() as u64 <= self.model.credit(TOP_WRITE) {
            assert_eq!((sent.is_ok(), &out), (true, &part.bytes()));
            self.model.sent(&part);
            self.written.extend(out);
        } else {
            assert_eq!((sent.is_ok(), out), (false, Vec::new()));
        }
    }

    pub(crate) fn flush(&mut self, room: usize) {
        let (more, out) = self.write(|link, out| link.flush_owed(out, room));
        for chunk in parse_all(&out).expect("a link writes whole chunks") {
            assert_eq!((chunk.partial, &chunk.payload), (None, &None));
            self.flushed(&chunk);
        }
        self.written.extend(out);
        if !more {
            assert!(!self.link.owes());
            for half in self.model.halves() {
                let owed = &self.owed[half.name];
                let owed = if half.other_ended { &Owed { end: None, ..owed.clone() } } else { owed };
                let owes_ack = half.other_ended && !half.is_top();
                assert!(*owed == Owed::default() && !owes_ack, "not flushed: {half:?}, {owed:?}");
            }
        }
    }

    /// A chunk that a flush wrote.
    fn flushed(&mut self, chunk: &Chunk) {
        let at = seen_by_other(chunk.kind, chunk.id);
        let half = self.model.halves().find(|half| half.half == at).expect("what is written is about a half").clone();
        let owed = &mut self.owed[half.name];
        if chunk.credit.is_some() || chunk.ping {
            assert_eq!((chunk.credit.unwrap_or(0), chunk.ping), (owed.credit, owed.pings > 0));
            owed.credit = 0;
            owed.pings -= u32::from(chunk.ping);
            return;
        }
        assert_eq!((owed.credit, owed.pings), (0, 0), "credit and pings go first");
        if chunk.end.is_none() && !chunk.ack_end {
            owed.pongs = owed.pongs.checked_sub(1).expect("a pong is owed");
            return;
        }
        assert_eq!(owed.pongs, 0, "pongs go before the end or the ack");
        if chunk.ack_end {
            assert!(half.other_ended && !half.is_top() && chunk.end.is_none());
            self.model.forget(at);
        } else {
            assert!(!half.other_ended && half.own_end == OwnEnd::Noted);
            assert_eq!(owed.end.take(), chunk.end);
            self.model.state(at).own_end = OwnEnd::Sent;
        }
    }

    pub(crate) fn compare(&self) {
        for link in [&self.link, &self.cut] {
            assert_eq!(link.peer_halves() as usize, self.model.halves_of_other());
            for (name, &key) in self.keys.iter().enumerate() {
                let Some(half) = self.model.halves().find(|half| half.name == name) else {
                    assert_eq!(link.id(key), None, "half {name} is forgotten");
                    continue;
                };
                assert_eq!(link.id(key), Some(half.half.1));
                assert_eq!(link.is_open(key), half.is_open());
                assert_eq!((link.may_send(key), link.may_receive(key)), (half.may_send, half.may_receive));
                assert_eq!(link.outgoing_left(key), half.outgoing_left);
            }
        }
    }
}

/// What the model says that a chunk means, by the names of halves.
fn wanted(model: &mut Audit, chunk: &Chunk, bytes: &[u8]) -> Result<Vec<(usize, Want)>, Rule> {
    let half: Half = (if chunk.kind == Kind::Duplex { Kind::OutStream } else { chunk.kind }, chunk.id);
    let known = model.halves().find(|state| state.half == half).map(|state| (state.name, state.own_end));
    assert_eq!(parse(bytes)?, Some((chunk.clone(), bytes.len())));
    let events = model.got(chunk)?;
    let (name, own_end) = known.unwrap_or_else(|| (model.state(half).name, OwnEnd::No));
    let want = |((kind, _), said): (Half, Said)| match said {
        Said::Begun => Some(Want::Opened(kind)),
        Said::AckEnd | Said::Crossed => Some(Want::Did(said)),
        Said::Open(_) | Said::Message(_) | Said::End(_) => None,
        said if own_end == OwnEnd::No => Some(Want::Did(said)),
        Said::Part(part) if part.last && part.purpose == Purpose::Message && kind != Kind::InRequest => {
            Some(Want::Missed)
        }
        Said::Part(_) | Said::Credit(_) | Said::Ping | Said::Pong => None,
    };
    Ok(events.into_iter().filter_map(want).map(|want| (name, want)).collect())
}

/// A copy of `link` that was fed `pieces`, and what it saw.
fn fed(link: &Link<u32>, pieces: &[&[u8]]) -> (Link<u32>, Result<Vec<Seen>, LinkError>) {
    let mut link = link.clone();
    let mut seen = Vec::new();
    let result = pieces.iter().try_for_each(|piece| feed(&mut link, piece, &mut seen));
    (link, result.map(|()| seen))
}
