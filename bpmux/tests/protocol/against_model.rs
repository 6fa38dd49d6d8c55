//! A link and the model side by side under random operations: every chunk that the model takes has the effects that the
//! model says, cut or not; every chunk that it refuses is refused.

use std::collections::HashMap;

use bpmux::{DuplexKeys, HalfKey, Kind, Limits, Link, LinkError, Opened, Over};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::{Half, Model, OurEnd, Owed, Refused, Want};
use crate::support::{Chunk, Seen, chunk, feed, parse};

const LIMITS: Limits = Limits { halves_max: 8, openings_partial_max: 2 };

/// The kinds that a peer opens, and the kinds in which it then speaks of what we opened.
const KINDS: [Kind; 7] =
    [Kind::OutRequest, Kind::OutSink, Kind::OutStream, Kind::Duplex, Kind::InRequest, Kind::InSink, Kind::InStream];

#[derive(Clone, Debug)]
enum Op {
    /// A chunk of the peer's, about a half that is there if `about` says so.
    Peer {
        total: Option<u64>,
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
    // Not id 0: what a link says about an `Out-Sink 0` of the peer looks like what it says about the top level.
    (prop::sample::select(&KINDS[..]), 1..5_u64, fields)
        .prop_map(|(kind, id, (payload, credit, ping, end, ack))| Chunk { kind, id, payload, credit, ping, end, ack })
}

fn ops() -> impl Strategy<Value = Op> {
    let index = any::<Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 0..4);
    let peer = (
        prop::option::weighted(0.25, 1..12_u64),
        chunks(),
        prop::option::weighted(0.75, index()),
        prop::collection::vec(index(), 0..6),
    );
    prop_oneof![
        12 => peer.prop_map(|(total, chunk, about, cuts)| Op::Peer { total, chunk, about, cuts }),
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
    model: Model,
    /// By name.
    keys: Vec<HalfKey>,
    names: HashMap<HalfKey, usize>,
}

impl Trial {
    fn new() -> Self {
        let mut trial = Self {
            link: Link::new(LIMITS),
            cut: Link::new(LIMITS),
            model: Model::new(LIMITS.halves_max, LIMITS.openings_partial_max),
            keys: Vec::new(),
            names: HashMap::new(),
        };
        trial.name(HalfKey::TOP_WRITER);
        trial.name(HalfKey::TOP_READER);
        trial
    }

    fn name(&mut self, key: HalfKey) {
        assert!(self.names.insert(key, self.keys.len()).is_none(), "{key:?} is given again");
        self.keys.push(key);
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Peer { total, mut chunk, about, cuts } => {
                if let Some(about) = about {
                    let half = about.get(&self.model.halves);
                    (chunk.kind, chunk.id) = (half.kind, half.id);
                }
                self.peer(total, &chunk, &cuts);
            }
            Op::Open { kind, opening, later, credit } => self.open(kind, &opening, later, credit),
            Op::Flush { room } => self.flush(room),
            Op::Grant(half, amount) => {
                let name = half.get(&self.model.halves).name;
                self.grant(name, amount);
            }
            Op::Ping(half) => {
                let half = half.index(self.model.halves.len());
                let half = &mut self.model.halves[half];
                half.owed.pings += u32::from(half.is_open());
                let key = self.keys[half.name];
                self.both(|link| link.ping(key));
            }
            Op::Pong(half) => {
                let half = half.index(self.model.halves.len());
                let half = &mut self.model.halves[half];
                let answers = half.our_end == OurEnd::No && !(half.is_top() && half.peer_ended);
                half.owed.pongs += u32::from(answers);
                let key = self.keys[half.name];
                self.both(|link| link.pong(key));
            }
            Op::End(half, payload) => {
                let name = half.get(&self.model.halves).name;
                self.end(name, &payload);
            }
            Op::Part { half, total, len } => {
                let name = half.get(&self.model.halves).name;
                self.part(name, total, len);
            }
        }
        self.compare();
    }

    /// Does the same to both links, which must give the same.
    fn both<T: PartialEq + std::fmt::Debug>(&mut self, mut act: impl FnMut(&mut Link<u32>) -> T) -> T {
        let result = act(&mut self.link);
        assert_eq!(act(&mut self.cut), result);
        result
    }

    fn peer(&mut self, total: Option<u64>, chunk: &Chunk, cuts: &[Index]) {
        let bytes = total.map_or_else(|| chunk.bytes(), |total| chunk.part_of(total));
        let mut model = self.model.clone();
        let wanted = model.chunk(total, chunk);
        let (link, seen) = fed(&self.link, &[&bytes]);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for place in places {
            pieces.push(&bytes[from..place]);
            from = place;
        }
        pieces.push(&bytes[from..]);
        let (cut, seen_cut) = fed(&self.cut, &pieces);
        assert_eq!(seen, seen_cut, "a cut changes nothing: {chunk:?}");
        match (wanted, seen) {
            (Ok(wants), Ok(seen)) => {
                let seen: Vec<Want> = seen.into_iter().map(|seen| self.wanted(seen)).collect();
                assert_eq!(seen, wants, "{total:?} {chunk:?}");
                (self.link, self.cut, self.model) = (link, cut, model);
            }
            // What is refused is as if it had not come.
            (Err(Refused), Err(_)) => {}
            (wanted, seen) => panic!("{total:?} {chunk:?}: the model says {wanted:?}, the link {seen:?}"),
        }
    }

    /// What was seen, in the model's terms.
    fn wanted(&mut self, seen: Seen) -> Want {
        match seen {
            Seen::Opened(opened) => {
                let (kind, keys) = match opened {
                    Opened::Request(key) => (Kind::OutRequest, vec![key]),
                    Opened::Sink(key) => (Kind::OutSink, vec![key]),
                    Opened::Stream(key) => (Kind::OutStream, vec![key]),
                    Opened::Duplex(DuplexKeys { writer, reader }) => (Kind::Duplex, vec![writer, reader]),
                };
                let first = self.keys.len();
                keys.iter().for_each(|&key| self.name(key));
                Want::Opened(kind, (first..self.keys.len()).collect())
            }
            Seen::Payload { key, what, total, first, last, bytes } => {
                Want::Payload { half: self.names[&key], what, total, first, last, bytes }
            }
            Seen::Credit(key, amount) => Want::Credit(self.names[&key], amount),
            Seen::Ping(key) => Want::Ping(self.names[&key]),
            Seen::Pong(key) => Want::Pong(self.names[&key]),
            Seen::Missed(key) => Want::Missed(self.names[&key]),
            Seen::Over(key, over) => Want::Over { half: self.names[&key], crossed: over == Over::Crossed },
        }
    }

    fn open(&mut self, kind: Kind, opening: &[u8], later: u64, credit: u64) {
        let total = opening.len() as u64 + later;
        let mut out = Vec::new();
        let opened = self.both(|link| {
            out.clear();
            if kind == Kind::Duplex {
                link.begin_duplex(1, total, opening, credit, &mut out).map(|keys| vec![keys.writer, keys.reader])
            } else {
                link.open(kind, opening, credit, &mut out).map(|key| vec![key])
            }
        });
        let purse = &mut self.model.halves[0].may_send;
        let Some(left) = purse.checked_sub(opening.len() as u64) else {
            assert_eq!((opened.is_err(), out.len()), (true, 0));
            return;
        };
        *purse = left;
        let keys = opened.expect("there is credit for it");
        let id = self.link.id(keys[0]).expect("it is open");
        let duplex = kind == Kind::Duplex;
        let expected = Chunk {
            payload: Some(opening.into()),
            credit: (duplex && credit > 0).then_some(credit),
            ..chunk(kind, id)
        };
        let in_parts = duplex && later > 0;
        assert_eq!(out, if in_parts { expected.part_of(total) } else { expected.bytes() });
        for &key in &keys {
            self.name(key);
        }
        let credited = match kind {
            Kind::Duplex => {
                self.model.add(Kind::InStream, id, false);
                self.model.add(Kind::InSink, id, false)
            }
            Kind::OutRequest => self.model.add(Kind::InRequest, id, false),
            Kind::OutSink => self.model.add(Kind::InStream, id, false),
            _ => self.model.add(Kind::InSink, id, false),
        };
        let half = self.model.half(credited).expect("it was just added");
        half.may_receive = credit;
        half.owed.credit = if duplex { 0 } else { credit };
        half.outgoing_left = if in_parts { later } else { 0 };
    }

    fn grant(&mut self, name: usize, amount: u64) {
        let half = self.model.half(name).expect("it was just picked");
        if half.is_open() {
            half.may_receive += amount;
            half.owed.credit += amount;
        }
        let key = self.keys[name];
        self.both(|link| link.grant(key, amount));
    }

    fn end(&mut self, name: usize, payload: &[u8]) {
        let key = self.keys[name];
        let done = self.both(|link| link.end(key, payload));
        let Some(half) = self.model.half(name) else { return };
        if half.is_open() {
            match half.may_send.checked_sub(payload.len() as u64) {
                Some(left) => half.may_send = left,
                None => return assert!(!done, "an end payload needs credit"),
            }
            half.owed.credit = 0;
            half.our_end = OurEnd::Noted(payload.into());
        }
        assert!(done);
    }

    fn part(&mut self, name: usize, total: u64, len: u64) {
        let half = self.model.half(name).expect("it was just picked");
        if !half.is_ours_to_write() && half.is_open() {
            return self.more_of_opening(name, len);
        }
        if !half.is_open() {
            return;
        }
        let fresh = half.outgoing_left == 0;
        let total = if fresh { total } else { half.outgoing_left };
        let len = len.min(total).min(half.may_send);
        half.may_send -= len;
        half.outgoing_left = total - len;
        let kind = match half.kind {
            Kind::OutRequest => Kind::InRequest,
            Kind::OutStream => Kind::InSink,
            _ => {
                if half.is_top() {
                    Kind::InSink
                } else {
                    Kind::OutSink
                }
            }
        };
        let message = chunk(kind, half.id);
        let mut expected = Vec::new();
        if half.kind == Kind::OutRequest && half.outgoing_left == 0 {
            for _ in 0..half.owed.pongs.min(8) {
                expected.extend(message.bytes());
            }
            half.owed = Owed::default();
            half.our_end = OurEnd::Sent;
        }
        let message = message.payload(&vec![7; len as usize]);
        expected.extend(if fresh && len < total { message.part_of(total) } else { message.bytes() });
        let key = self.keys[name];
        let mut out = Vec::new();
        self.both(|link| {
            out.clear();
            link.put_part(key, total, len, &mut out);
        });
        out.extend(vec![7; len as usize]);
        assert_eq!(out, expected);
    }

    /// An opening of ours goes on, if it is not whole.
    fn more_of_opening(&mut self, name: usize, len: u64) {
        let credit = self.model.halves[0].may_send;
        let half = self.model.half(name).expect("it was just picked");
        let len = len.min(half.outgoing_left);
        if half.outgoing_left == 0 {
            return;
        }
        let bytes = vec![7; len as usize];
        let expected = chunk(Kind::OutStream, half.id).payload(&bytes).bytes();
        half.outgoing_left -= if len <= credit { len } else { 0 };
        self.model.halves[0].may_send -= if len <= credit { len } else { 0 };
        let key = self.keys[name];
        let mut out = Vec::new();
        let sent = self.both(|link| {
            out.clear();
            link.continue_opening(key, &bytes, &mut out)
        });
        assert_eq!((sent.is_ok(), out), if len <= credit { (true, expected) } else { (false, Vec::new()) });
    }

    fn flush(&mut self, room: usize) {
        let mut out = Vec::new();
        let more = self.both(|link| {
            out.clear();
            link.flush_owed(&mut out, room)
        });
        for (total, chunk) in parse(&out) {
            assert_eq!(total, None);
            self.flushed(&chunk);
        }
        if !more {
            assert!(!self.link.owes());
            for half in &self.model.halves {
                let owes_end = matches!(half.our_end, OurEnd::Noted(_)) && !half.peer_ended;
                let owes_ack = half.peer_ended && !half.is_top();
                assert!(half.owed == Owed::default() && !owes_end && !owes_ack, "not flushed: {half:?}");
            }
        }
    }

    /// A chunk that a flush wrote.
    fn flushed(&mut self, chunk: &Chunk) {
        let at = |half: &&mut Half| (inverted(half.kind, half.is_top()), half.id) == (chunk.kind, chunk.id);
        let half = self.model.halves.iter_mut().find(at).expect("what is written is about a half");
        assert_eq!(chunk.payload, None);
        if chunk.credit.is_some() || chunk.ping {
            assert_eq!((chunk.credit.unwrap_or(0), chunk.ping), (half.owed.credit, half.owed.pings > 0));
            half.owed.credit = 0;
            half.owed.pings -= u32::from(chunk.ping);
            return;
        }
        assert_eq!((half.owed.credit, half.owed.pings), (0, 0), "credit and pings go first");
        if chunk.end.is_none() && !chunk.ack {
            half.owed.pongs = half.owed.pongs.checked_sub(1).expect("a pong is owed");
            return;
        }
        assert_eq!(half.owed.pongs, 0, "pongs go before the end or the ack");
        if chunk.ack {
            assert!(half.peer_ended && !half.is_top() && chunk.end.is_none());
            let name = half.name;
            self.model.forget(name);
        } else {
            assert!(!half.peer_ended);
            assert_eq!(half.our_end, OurEnd::Noted(chunk.end.clone().expect("it is an end")));
            half.our_end = OurEnd::Sent;
        }
    }

    fn compare(&self) {
        for link in [&self.link, &self.cut] {
            assert_eq!(link.peer_halves(), self.model.peer_halves());
            for (name, &key) in self.keys.iter().enumerate() {
                let Some(half) = self.model.halves.iter().find(|half| half.name == name) else {
                    assert_eq!(link.id(key), None, "half {name} is forgotten");
                    continue;
                };
                assert_eq!(link.id(key), Some(half.id));
                assert_eq!(link.is_open(key), half.is_open());
                assert_eq!((link.may_send(key), link.may_receive(key)), (half.may_send, half.may_receive));
                assert_eq!(link.outgoing_left(key), half.outgoing_left);
            }
        }
    }

    /// Everything is ended from this side, and the peer acks.
    fn finish(&mut self) {
        self.flush(usize::MAX);
        let names: Vec<usize> = self.model.halves.iter().filter(|half| !half.is_top()).map(|half| half.name).collect();
        names.iter().for_each(|&name| self.end(name, b""));
        self.flush(usize::MAX);
        for name in names {
            if let Some(half) = self.model.half(name) {
                let ack = chunk(half.kind, half.id).ack();
                self.peer(None, &ack, &[]);
            }
        }
        self.compare();
        assert_eq!(self.link.peer_halves(), 0);
        assert_eq!(self.model.halves.iter().filter(|half| !half.is_top()).count(), 0);
        // No partial opening is still counted.
        for id in 1..=u64::from(LIMITS.openings_partial_max) {
            self.peer(Some(1), &chunk(Kind::OutSink, id).payload(b""), &[]);
        }
        assert_eq!(self.link.peer_halves(), LIMITS.openings_partial_max);
    }
}

/// A copy of `link` that was fed `pieces`, and what it saw.
fn fed(link: &Link<u32>, pieces: &[&[u8]]) -> (Link<u32>, Result<Vec<Seen>, LinkError>) {
    let mut link = link.clone();
    let mut seen = Vec::new();
    let result = pieces.iter().try_for_each(|piece| feed(&mut link, piece, &mut seen));
    (link, result.map(|()| seen))
}

/// The kind in which we speak of what the peer calls `kind`.
fn inverted(kind: Kind, is_top: bool) -> Kind {
    match kind {
        Kind::OutRequest => Kind::InRequest,
        Kind::InRequest => Kind::OutRequest,
        Kind::OutSink => Kind::InStream,
        Kind::InSink if is_top => Kind::InStream,
        Kind::InSink => Kind::OutStream,
        Kind::InStream if is_top => Kind::InSink,
        Kind::InStream => Kind::OutSink,
        _ => Kind::InSink,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_chunk_does_what_the_model_says(ops in prop::collection::vec(ops(), 1..120)) {
        let mut trial = Trial::new();
        trial.grant(1, 100);
        for op in ops {
            trial.run(op);
        }
        trial.finish();
    }
}
