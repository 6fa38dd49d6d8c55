//! Any order of what programs and a relay may do: the session keeps the rules, breaks at nothing, and forgets all of it.

use std::collections::HashMap;
use std::task::{Context, Poll, Waker};

use bpmux::{DuplexKeys, Event, HalfKey, Kind, Limits, Link, Opened, What};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Offer, QueryId, Question, ReaderId, Session, SessionConfig, WriterId};

/// Something that the program or the relay does. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Act {
    Open,
    Accept(usize),
    Deny(usize),
    Watch,
    Ask,
    Forget(usize),
    Send(usize, usize),
    Write(usize, usize),
    Begin(usize, u64),
    Piece(usize, usize),
    Recv(usize, u8),
    Close(usize, usize),
    Cancel(usize, usize),
    DropWriter(usize),
    DropReader(usize),
    PingTop,
    RelayOffers(bool),
    RelaySends(usize, usize, usize),
    RelayGrants(usize, u64),
    RelayEnds(usize, usize),
    RelayPings(usize),
    RelayPongs(usize),
    RelayOpensStrange(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let one = || 0usize..64;
    prop_oneof![
        1 => Just(Act::Open),
        1 => one().prop_map(Act::Accept),
        1 => one().prop_map(Act::Deny),
        1 => Just(Act::Watch),
        1 => Just(Act::Ask),
        1 => one().prop_map(Act::Forget),
        4 => (one(), 0usize..3000).prop_map(|(which, len)| Act::Send(which, len)),
        1 => (one(), 0usize..3000).prop_map(|(which, len)| Act::Write(which, len)),
        1 => (one(), 0u64..3000).prop_map(|(which, len)| Act::Begin(which, len)),
        2 => (one(), 0usize..3000).prop_map(|(which, len)| Act::Piece(which, len)),
        4 => (one(), 0u8..4).prop_map(|(which, how)| Act::Recv(which, how)),
        1 => (one(), 0usize..1100).prop_map(|(which, len)| Act::Close(which, len)),
        1 => (one(), 0usize..1100).prop_map(|(which, len)| Act::Cancel(which, len)),
        1 => one().prop_map(Act::DropWriter),
        1 => one().prop_map(Act::DropReader),
        1 => Just(Act::PingTop),
        2 => any::<bool>().prop_map(Act::RelayOffers),
        4 => (one(), 0usize..3000, 0usize..3000).prop_map(|(which, total, len)| Act::RelaySends(which, total, len)),
        4 => (one(), 1u64..5000).prop_map(|(which, amount)| Act::RelayGrants(which, amount)),
        1 => (one(), 0usize..3).prop_map(|(which, len)| Act::RelayEnds(which, len)),
        1 => one().prop_map(Act::RelayPings),
        1 => one().prop_map(Act::RelayPongs),
        1 => (0u8..3).prop_map(Act::RelayOpensStrange),
    ]
}

/// A session, the handles of its program, and a relay.
struct World {
    session: Session,
    offers: Vec<Offer>,
    writers: Vec<WriterId>,
    readers: Vec<ReaderId>,
    queries: Vec<QueryId>,
    relay: Link<()>,
    relay_out: Vec<u8>,
    /// Halves that the relay knows of, and what is left of its message under way on each.
    halves: Vec<HalfKey>,
    under_way: HashMap<HalfKey, (u64, u64)>,
}

fn pick<T: Copy>(of: &[T], which: usize) -> Option<T> {
    (!of.is_empty()).then(|| of[which % of.len()])
}

fn take<T>(of: &mut Vec<T>, which: usize) -> Option<T> {
    (!of.is_empty()).then(|| of.swap_remove(which % of.len()))
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl World {
    fn new() -> Self {
        let config = SessionConfig { send_queue_max: 4000, backlog_max: 3 };
        let mut world = Self {
            session: Session::new(config, b"\x01a\0\0".to_vec()),
            offers: Vec::new(),
            writers: Vec::new(),
            readers: Vec::new(),
            queries: Vec::new(),
            relay: Link::new(Limits { halves_max: 1 << 20, openings_partial_max: 10 }),
            relay_out: Vec::new(),
            halves: vec![HalfKey::TOP_WRITER, HalfKey::TOP_READER],
            under_way: HashMap::new(),
        };
        world.relay.grant(HalfKey::TOP_READER, 1 << 20);
        world.exchange();
        world
    }

    /// Carries bytes both ways until nobody has any.
    fn exchange(&mut self) {
        loop {
            let mut output = Vec::new();
            self.session.take_output(&mut output);
            self.session.take_wakes(&mut Vec::new());
            self.relay_reads(&output);
            self.relay.flush_owed(&mut self.relay_out, usize::MAX);
            let input = std::mem::take(&mut self.relay_out);
            self.session.handle_input(&input).expect("this relay keeps the rules");
            if output.is_empty() && input.is_empty() {
                break;
            }
        }
    }

    fn relay_reads(&mut self, mut bytes: &[u8]) {
        loop {
            let step = self.relay.next(bytes).expect("the session keeps the rules");
            bytes = &bytes[step.used..];
            match step.event {
                None => break,
                Some(Event::Opened(Opened::Duplex(DuplexKeys { writer, reader }))) => {
                    self.halves.extend([writer, reader]);
                    // Everybody accepts at once.
                    self.relay.put_part(writer, 0, 0, &mut self.relay_out);
                }
                Some(Event::Opened(Opened::Request(key) | Opened::Sink(key) | Opened::Stream(key))) => {
                    self.halves.push(key);
                }
                Some(Event::Piece(_, (), piece)) => assert!(piece.what != What::End || piece.total <= 1024),
                Some(_) => {}
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Open | Act::Accept(_) | Act::Deny(_) | Act::Watch | Act::Ask | Act::Forget(_) => self.begin(act),
            Act::RelayOffers(_)
            | Act::RelaySends(..)
            | Act::RelayGrants(..)
            | Act::RelayEnds(..)
            | Act::RelayPings(_)
            | Act::RelayPongs(_)
            | Act::RelayOpensStrange(_) => self.relay_acts(act),
            act => self.use_handle(act),
        }
    }

    fn see_offers(&mut self) {
        while let Poll::Ready(Ok(offer)) = self.session.poll_offer(&context()) {
            self.offers.push(offer);
        }
    }

    fn begin(&mut self, act: Act) {
        match act {
            Act::Open => {
                if let Poll::Ready(Ok((writer, reader))) = self.session.poll_open(b"\0\x01b", 5000, 2000, &context()) {
                    self.writers.push(writer);
                    self.readers.push(reader);
                }
            }
            Act::Accept(which) => {
                if let Some(offer) = take(&mut self.offers, which) {
                    self.session.accept(&offer, 5000, 2000);
                    self.writers.push(offer.writer);
                    self.readers.push(offer.reader);
                }
            }
            Act::Deny(which) => {
                if let Some(offer) = take(&mut self.offers, which) {
                    self.session.deny(&offer);
                }
            }
            Act::Watch => self.readers.extend(self.session.open_watch(5000, usize::MAX)),
            Act::Ask => {
                if let Poll::Ready(Ok(query)) = self.session.poll_ask(Question::Plugins, &context()) {
                    self.queries.push(query);
                }
            }
            Act::Forget(which) => {
                if let Some(query) = take(&mut self.queries, which) {
                    let _ = self.session.poll_answer(query, &context());
                    self.session.release_query(query);
                }
            }
            act => unreachable!("{act:?} begins nothing"),
        }
    }

    /// What a handle's methods may be told: that the half is over is as good an answer as any.
    fn use_handle(&mut self, act: Act) {
        let (session, cx) = (&mut self.session, &context());
        let (writers, readers) = (&mut self.writers, &mut self.readers);
        let bytes = |len| Bytes::from(vec![b'x'; len]);
        match act {
            Act::Send(which, len) => {
                if let Some(id) = pick(writers, which)
                    && let Poll::Ready(Ok(())) = session.poll_ready(id, cx)
                {
                    let _ = session.push_message(id, bytes(len));
                }
            }
            Act::Write(which, len) => {
                let _ = pick(writers, which).map(|id| session.poll_write(id, &bytes(len), cx));
            }
            Act::Begin(which, total) => {
                let _ = pick(writers, which).map(|id| session.begin_message(id, total));
            }
            Act::Piece(which, len) => {
                let _ = pick(writers, which).map(|id| session.push_piece(id, &bytes(len)));
            }
            Act::Recv(which, how) => {
                let Some(id) = pick(readers, which) else { return };
                match how {
                    0 => drop(session.poll_recv(id, cx)),
                    1 => drop(session.poll_recv_part(id, cx)),
                    2 => drop(session.poll_recv_bytes(id, cx)),
                    _ => drop(session.poll_read(id, &mut [0; 700], cx)),
                }
            }
            Act::Close(which, len) => {
                let _ = pick(writers, which).map(|id| session.poll_close(id, &bytes(len), cx));
            }
            Act::Cancel(which, len) => {
                let _ = pick(readers, which).map(|id| session.poll_cancel(id, &bytes(len), cx));
            }
            Act::DropWriter(which) => {
                if let Some(id) = take(writers, which) {
                    session.abandon_message(id);
                    session.release_writer(id);
                }
            }
            Act::DropReader(which) => {
                if let Some(id) = take(readers, which) {
                    session.release_reader(id);
                }
            }
            Act::PingTop => {
                let _ = session.ping_top();
            }
            act => unreachable!("{act:?} needs no handle"),
        }
    }

    fn relay_acts(&mut self, act: Act) {
        let halves = &self.halves;
        let relay = &mut self.relay;
        let open = |relay: &Link<()>, which| pick(halves, which).filter(|&key| relay.is_open(key));
        match act {
            Act::RelayOffers(sound) => {
                let opening: &[u8] = if sound { b"\0\x01c\0\x01" } else { b"\0\x09c" };
                if let Ok(keys) = relay.open_duplex(1, opening, 0, &mut self.relay_out) {
                    self.halves.extend([keys.writer, keys.reader]);
                }
            }
            Act::RelaySends(which, total, len) => {
                // An empty top-level message would be the end of it all.
                let Some(key) = open(relay, which).filter(|&key| key != HalfKey::TOP_WRITER) else { return };
                let (total, left) = self.under_way.get(&key).copied().unwrap_or((total as u64, total as u64));
                let len = left.min(len as u64).min(relay.may_send(key));
                let sound = match kind(relay, key) {
                    Kind::OutSink | Kind::InSink => len > 0 || total == 0,
                    // These bytes are no list of entries, but an empty one is.
                    Kind::InRequest => total == 0,
                    _ => false,
                };
                if !sound {
                    return;
                }
                relay.put_part(key, total, len, &mut self.relay_out);
                self.relay_out.resize(self.relay_out.len() + len as usize, b'y');
                match left - len {
                    0 => self.under_way.remove(&key),
                    left => self.under_way.insert(key, (total, left)),
                };
            }
            Act::RelayGrants(which, amount) => {
                if let Some(key) = pick(halves, which) {
                    relay.grant(key, amount);
                }
            }
            Act::RelayEnds(which, len) => {
                let top = [HalfKey::TOP_WRITER, HalfKey::TOP_READER];
                if let Some(key) = pick(halves, which).filter(|key| !top.contains(key))
                    && relay.end(key, &b"\0!"[..len])
                {
                    self.under_way.remove(&key);
                }
            }
            Act::RelayPings(which) => drop(pick(halves, which).map(|key| relay.ping(key))),
            Act::RelayPongs(which) => drop(pick(halves, which).map(|key| relay.pong(key))),
            Act::RelayOpensStrange(kind) => {
                let kind = [Kind::OutRequest, Kind::OutSink, Kind::OutStream][usize::from(kind)];
                let _ = relay.open(kind, b"?", 0, &mut self.relay_out);
            }
            act => unreachable!("{act:?} is not the relay's"),
        }
    }

    /// The program drops all its handles and the relay gives credit: nothing may be left.
    fn drop_all(&mut self) {
        self.exchange();
        self.see_offers();
        let all = 0..self.writers.len().max(self.readers.len()).max(self.offers.len()).max(self.queries.len());
        for _ in all {
            for act in [Act::DropWriter(0), Act::DropReader(0), Act::Deny(0), Act::Forget(0)] {
                self.act(act);
            }
        }
        for which in 0..self.halves.len() {
            self.relay_acts(Act::RelayGrants(which, 1 << 20));
        }
        self.exchange();
        let left = (self.session.writers.len(), self.session.readers.len(), self.session.queries.len());
        assert_eq!(left, (0, 0, 0), "writers, readers and queries that nobody has");
        self.session.close();
        self.exchange();
        assert_eq!(self.session.standing(), super::Standing::Ended);
    }
}

/// What the relay writes on this half, as its chunks say: messages, a response, or nothing, because it reads there.
fn kind(relay: &Link<()>, key: HalfKey) -> Kind {
    let mut out = Vec::new();
    relay.clone().put_part(key, 0, 0, &mut out);
    Kind::of_tag(out[0])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_are_kept_and_nothing_is_left(acts in vec((act(), any::<bool>()), 1..200)) {
        let mut world = World::new();
        for (act, exchange) in acts {
            world.act(act);
            if exchange {
                world.exchange();
                world.see_offers();
            }
        }
        world.drop_all();
    }

    #[test]
    fn arbitrary_input_breaks_nothing(input in vec(any::<u8>(), 0..400), cut in 1usize..50) {
        let config = SessionConfig { send_queue_max: 4000, backlog_max: 3 };
        let mut session = Session::new(config, b"\x01a\0\0".to_vec());
        let _ = session.open_watch(5000, 2000);
        let _ = session.poll_ask(Question::Plugins, &context());
        let _ = session.poll_ask(Question::Page { shard: 0, cursor: 0 }, &context());
        for piece in input.chunks(cut) {
            if session.handle_input(piece).is_err() {
                break;
            }
            session.take_output(&mut Vec::new());
        }
    }
}
