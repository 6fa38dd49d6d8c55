//! A link and the model side by side under random operations: every chunk that the model takes has the effects that the
//! model says, cut or not; every chunk that it refuses is refused.

use std::collections::HashMap;

use bpmux::{DuplexKeys, HalfKey, Limits, Link, LinkError, Opened, Over, What};
use oracle::audit::{Audit, Half, OwnEnd, Part, Purpose, State, What as Said, seen_by_other};
use oracle::wire::{self, Chunk, Kind, Rule, parse, parse_all};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Seen, feed, kind as core_kind};

const LIMITS: Limits = Limits { halves_max: 8, openings_partial_max: 2 };

/// The kinds that a peer opens, and the kinds in which it then speaks of what we opened.
const KINDS: [Kind; 7] =
    [Kind::OutRequest, Kind::OutSink, Kind::OutStream, Kind::Duplex, Kind::InRequest, Kind::InSink, Kind::InStream];

/// What a chunk should mean to a link, which drops what comes on a half that it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
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

#[derive(Clone, Debug)]
enum Op {
    /// A chunk of the peer's, about a half that is there if `about` says so.
    Peer {
        chunk: Chunk,
        about: Option<Index>,
        cuts: Vec<Index>,
    },
    Open {
        kind: Kind,
        opening: Vec<u8>,
        /// Bytes of the opening payload of a duplex that follow later.
        later: u64,
        credit: u64,
    },
    Grant(Index, u64),
    Ping(Index),
    Pong(Index),
    End(Index, Vec<u8>),
    Part {
        half: Index,
        total: u64,
        len: u64,
    },
    Flush {
        room: usize,
    },
}

fn chunks() -> impl Strategy<Value = Chunk> {
    let payload = || prop::collection::vec(any::<u8>(), 0..6);
    let amount = prop_oneof![9 => 0..20_u64, 1 => Just(u64::MAX)];
    let fields = (
        prop::option::weighted(0.6, payload()),
        prop::option::weighted(0.3, amount),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.15, payload()),
        prop::bool::weighted(0.1),
    );
    let fields = prop_oneof![6 => fields, 1 => Just((None, None, false, None, true))];
    let partial = prop::option::weighted(0.25, 1..12_u64);
    // Not id 0: what a link says about an `Out-Sink 0` of the peer looks like what it says about the top level.
    (partial, prop::sample::select(&KINDS[..]), 1..5_u64, fields).prop_map(
        |(partial, kind, id, (payload, credit, ping, end, ack_end))| Chunk {
            partial,
            kind,
            id,
            payload,
            credit,
            ping,
            end,
            ack_end,
        },
    )
}

fn ops() -> impl Strategy<Value = Op> {
    let index = any::<Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 0..4);
    let peer = (chunks(), prop::option::weighted(0.75, index()), prop::collection::vec(index(), 0..6));
    prop_oneof![
        12 => peer.prop_map(|(chunk, about, cuts)| Op::Peer { chunk, about, cuts }),
        2 => (prop::sample::select(&KINDS[..4]), bytes(), 0..3_u64, 0..20_u64)
            .prop_map(|(kind, opening, later, credit)| Op::Open { kind, opening, later, credit }),
        4 => (index(), 0..30_u64).prop_map(|(half, amount)| Op::Grant(half, amount)),
        1 => index().prop_map(Op::Ping),
        1 => index().prop_map(Op::Pong),
        2 => (index(), bytes()).prop_map(|(half, payload)| Op::End(half, payload)),
        3 => (index(), 0..9_u64, 0..9_u64).prop_map(|(half, total, len)| Op::Part { half, total, len }),
        2 => prop_oneof![1 => Just(usize::MAX), 2 => 0..80_usize].prop_map(|room| Op::Flush { room }),
    ]
}

/// Two links that get the same input, one of them cut, and the model.
struct Trial {
    link: Link<u32>,
    cut: Link<u32>,
    model: Audit,
    /// By name, as the next one.
    keys: Vec<HalfKey>,
    owed: Vec<Owed>,
    names: HashMap<HalfKey, usize>,
}

impl Trial {
    fn new() -> Self {
        let mut trial = Self {
            link: Link::new(LIMITS),
            cut: Link::new(LIMITS),
            model: Audit::new(LIMITS.halves_max as usize, LIMITS.openings_partial_max as usize),
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

    /// One of the halves there are, as the model knows it.
    fn pick(&self, which: &Index) -> State {
        let halves: Vec<&State> = self.model.halves().collect();
        (*which.get(&halves)).clone()
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Peer { mut chunk, about, cuts } => {
                if let Some(about) = about {
                    (chunk.kind, chunk.id) = self.pick(&about).half;
                }
                self.peer(&chunk, &cuts);
            }
            Op::Open { kind, opening, later, credit } => self.open(kind, &opening, later, credit),
            Op::Flush { room } => self.flush(room),
            Op::Grant(half, amount) => self.grant(&self.pick(&half), amount),
            Op::Ping(half) => {
                let half = self.pick(&half);
                self.owed[half.name].pings += u32::from(half.is_open());
                let key = self.keys[half.name];
                self.both(|link| link.ping(key));
            }
            Op::Pong(half) => {
                let half = self.pick(&half);
                let answers = half.own_end == OwnEnd::No && !(half.is_top() && half.other_ended);
                self.owed[half.name].pongs += u32::from(answers);
                let key = self.keys[half.name];
                self.both(|link| link.pong(key));
            }
            Op::End(half, payload) => self.end(&self.pick(&half), &payload),
            Op::Part { half, total, len } => self.part(&self.pick(&half), total, len),
        }
        self.compare();
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

    fn peer(&mut self, chunk: &Chunk, cuts: &[Index]) {
        let bytes = chunk.bytes();
        let mut model = self.model.clone();
        let wanted = wanted(&mut model, chunk, &bytes);
        let (link, seen) = fed(&self.link, &[&bytes]);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
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
            }
            // What is refused is as if it had not come.
            (Err(_), Err(_)) => {}
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

    fn open(&mut self, kind: Kind, opening: &[u8], later: u64, credit: u64) {
        let total = opening.len() as u64 + later;
        let duplex = kind == Kind::Duplex;
        let (opened, out) = self.write(|link, out| {
            if duplex {
                link.begin_duplex(1, total, opening, credit, out).map(|keys| vec![keys.writer, keys.reader])
            } else {
                link.open(core_kind(kind), opening, credit, out).map(|key| vec![key])
            }
        });
        if self.model.credit(oracle::audit::TOP_WRITE) < opening.len() as u64 {
            assert_eq!((opened.is_err(), out.len()), (true, 0));
            return;
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
    }

    fn grant(&mut self, half: &State, amount: u64) {
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

    fn end(&mut self, half: &State, payload: &[u8]) {
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

    fn part(&mut self, half: &State, total: u64, len: u64) {
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
        if bytes.len() as u64 <= self.model.credit(oracle::audit::TOP_WRITE) {
            assert_eq!((sent.is_ok(), out), (true, part.bytes()));
            self.model.sent(&part);
        } else {
            assert_eq!((sent.is_ok(), out), (false, Vec::new()));
        }
    }

    fn flush(&mut self, room: usize) {
        let (more, out) = self.write(|link, out| link.flush_owed(out, room));
        for chunk in parse_all(&out).expect("a link writes whole chunks") {
            assert_eq!((chunk.partial, &chunk.payload), (None, &None));
            self.flushed(&chunk);
        }
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

    fn compare(&self) {
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

    /// The halves beside the top level.
    fn others(&self) -> Vec<State> {
        self.model.halves().filter(|half| !half.is_top()).cloned().collect()
    }

    /// Everything is ended from this side, and the peer acks.
    fn finish(&mut self) {
        self.flush(usize::MAX);
        self.others().iter().for_each(|half| self.end(half, b""));
        self.flush(usize::MAX);
        for half in self.others() {
            self.peer(&wire::chunk(half.half.0, half.half.1).ack_end(), &[]);
        }
        self.compare();
        assert_eq!((self.link.peer_halves(), self.others().len()), (0, 0));
        // No partial opening is still counted.
        for id in 1..=u64::from(LIMITS.openings_partial_max) {
            self.peer(&wire::out_sink(id).payload(b"").partial(1), &[]);
        }
        assert_eq!(self.link.peer_halves(), LIMITS.openings_partial_max);
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_chunk_does_what_the_model_says(ops in prop::collection::vec(ops(), 1..120)) {
        let mut trial = Trial::new();
        let top = trial.model.state(oracle::audit::TOP_READ).clone();
        trial.grant(&top, 100);
        for op in ops {
            trial.run(op);
        }
        trial.finish();
    }
}
