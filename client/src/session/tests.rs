//! Any order of what programs and a relay may do: the session keeps the rules, breaks at nothing, and forgets all of it.

use std::collections::HashMap;
use std::task::{Context, Poll, Waker};

use bpmux::{DuplexKeys, Event, HalfKey, Kind, Limits, Link, Opened, What};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{ChannelConfig, Offer, QueryId, Question, ReaderId, Session, SessionConfig, WriterId};

/// Something that the program or the relay does. Numbers choose among what there is.
type Act = fn(&mut World, usize, usize, usize);

/// All of them, with how often each is done.
const ACTS: [(u32, &str, Act); 23] = [
    (1, "open", World::open),
    (1, "accept", World::accept),
    (1, "deny", World::deny),
    (1, "watch", World::watch),
    (1, "ask", World::ask),
    (1, "forget", World::forget),
    (4, "send", World::send),
    (1, "write", World::write),
    (1, "begin", World::begin),
    (2, "piece", World::piece),
    (4, "recv", World::recv),
    (1, "close", World::close),
    (1, "cancel", World::cancel),
    (1, "drop writer", World::drop_writer),
    (1, "drop reader", World::drop_reader),
    (1, "ping top", World::ping_top),
    (2, "relay offers", World::relay_offers),
    (4, "relay sends", World::relay_sends),
    (4, "relay grants", World::relay_grants),
    (1, "relay ends", World::relay_ends),
    (1, "relay pings", World::relay_pings),
    (1, "relay pongs", World::relay_pongs),
    (1, "relay opens something strange", World::relay_opens_strange),
];

fn act() -> impl Strategy<Value = (&'static str, Act)> {
    prop::strategy::Union::new_weighted(ACTS.map(|(weight, name, act)| (weight, Just((name, act)))).into())
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

const CHANNELS: ChannelConfig = ChannelConfig { window: 5000, message_len_max: 2000 };

fn pick<T: Copy>(of: &[T], which: usize) -> Option<T> {
    (!of.is_empty()).then(|| of[which % of.len()])
}

fn take<T>(of: &mut Vec<T>, which: usize) -> Option<T> {
    (!of.is_empty()).then(|| of.swap_remove(which % of.len()))
}

fn bytes(len: usize) -> Bytes {
    vec![b'x'; len].into()
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

    fn see_offers(&mut self) {
        while let Poll::Ready(Ok(offer)) = self.session.poll_offer(&context()) {
            self.offers.push(offer);
        }
    }

    fn keep_channel(&mut self, writer: WriterId, reader: ReaderId) {
        self.writers.push(writer);
        self.readers.push(reader);
    }

    fn open(&mut self, _: usize, _: usize, _: usize) {
        if let Poll::Ready(Ok((writer, reader))) = self.session.poll_open(b"\0\x01b", CHANNELS, &context()) {
            self.keep_channel(writer, reader);
        }
    }

    fn accept(&mut self, which: usize, _: usize, _: usize) {
        if let Some(offer) = take(&mut self.offers, which) {
            self.session.accept(&offer, CHANNELS);
            self.keep_channel(offer.writer, offer.reader);
        }
    }

    fn deny(&mut self, which: usize, _: usize, _: usize) {
        if let Some(offer) = take(&mut self.offers, which) {
            self.session.deny(&offer);
        }
    }

    fn watch(&mut self, _: usize, _: usize, _: usize) {
        self.readers.extend(self.session.open_watch(ChannelConfig { message_len_max: usize::MAX, ..CHANNELS }));
    }

    fn ask(&mut self, _: usize, _: usize, _: usize) {
        if let Poll::Ready(Ok(query)) = self.session.poll_ask(Question::Plugins, &context()) {
            self.queries.push(query);
        }
    }

    fn forget(&mut self, which: usize, _: usize, _: usize) {
        if let Some(query) = take(&mut self.queries, which) {
            let _ = self.session.poll_answer(query, &context());
            self.session.release_query(query);
        }
    }

    // What a handle's methods may be told: that the half is over is as good an answer as any.

    fn send(&mut self, which: usize, len: usize, _: usize) {
        if let Some(id) = pick(&self.writers, which)
            && let Poll::Ready(Ok(())) = self.session.poll_ready(id, &context())
        {
            let _ = self.session.push_message(id, bytes(len));
        }
    }

    fn write(&mut self, which: usize, len: usize, _: usize) {
        let _ = pick(&self.writers, which).map(|id| self.session.poll_write(id, &bytes(len), &context()));
    }

    fn begin(&mut self, which: usize, total: usize, _: usize) {
        let _ = pick(&self.writers, which).map(|id| self.session.begin_message(id, total as u64));
    }

    fn piece(&mut self, which: usize, len: usize, _: usize) {
        let _ = pick(&self.writers, which).map(|id| self.session.push_piece(id, &bytes(len)));
    }

    fn recv(&mut self, which: usize, how: usize, _: usize) {
        let Some(id) = pick(&self.readers, which) else { return };
        match how % 4 {
            0 => drop(self.session.poll_recv(id, &context())),
            1 => drop(self.session.poll_recv_part(id, &context())),
            2 => drop(self.session.poll_recv_bytes(id, &context())),
            _ => drop(self.session.poll_read(id, &mut [0; 700], &context())),
        }
    }

    fn close(&mut self, which: usize, len: usize, _: usize) {
        let _ = pick(&self.writers, which).map(|id| self.session.poll_close(id, &bytes(len % 1100), &context()));
    }

    fn cancel(&mut self, which: usize, len: usize, _: usize) {
        let _ = pick(&self.readers, which).map(|id| self.session.poll_cancel(id, &bytes(len % 1100), &context()));
    }

    fn drop_writer(&mut self, which: usize, _: usize, _: usize) {
        if let Some(id) = take(&mut self.writers, which) {
            self.session.abandon_message(id);
            self.session.release_writer(id);
        }
    }

    fn drop_reader(&mut self, which: usize, _: usize, _: usize) {
        if let Some(id) = take(&mut self.readers, which) {
            self.session.release_reader(id);
        }
    }

    fn ping_top(&mut self, _: usize, _: usize, _: usize) {
        let _ = self.session.ping_top();
    }

    fn relay_offers(&mut self, sound: usize, _: usize, _: usize) {
        let opening: &[u8] = if sound.is_multiple_of(2) { b"\0\x01c\0\x01" } else { b"\0\x09c" };
        if let Ok(keys) = self.relay.open_duplex(1, opening, 0, &mut self.relay_out) {
            self.halves.extend([keys.writer, keys.reader]);
        }
    }

    fn relay_sends(&mut self, which: usize, total: usize, len: usize) {
        let relay = &mut self.relay;
        let key = pick(&self.halves, which).filter(|&key| relay.is_open(key));
        // An empty top-level message would be the end of it all.
        let Some(key) = key.filter(|&key| key != HalfKey::TOP_WRITER) else { return };
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

    fn relay_grants(&mut self, which: usize, amount: usize, _: usize) {
        if let Some(key) = pick(&self.halves, which) {
            self.relay.grant(key, 1 + amount as u64);
        }
    }

    fn relay_ends(&mut self, which: usize, len: usize, _: usize) {
        let top = [HalfKey::TOP_WRITER, HalfKey::TOP_READER];
        if let Some(key) = pick(&self.halves, which).filter(|key| !top.contains(key))
            && self.relay.end(key, &b"\0!"[..len % 3])
        {
            self.under_way.remove(&key);
        }
    }

    fn relay_pings(&mut self, which: usize, _: usize, _: usize) {
        let _ = pick(&self.halves, which).map(|key| self.relay.ping(key));
    }

    fn relay_pongs(&mut self, which: usize, _: usize, _: usize) {
        let _ = pick(&self.halves, which).map(|key| self.relay.pong(key));
    }

    fn relay_opens_strange(&mut self, kind: usize, _: usize, _: usize) {
        let kind = [Kind::OutRequest, Kind::OutSink, Kind::OutStream][kind % 3];
        let _ = self.relay.open(kind, b"?", 0, &mut self.relay_out);
    }

    /// The program drops all its handles and the relay gives credit: nothing may be left.
    fn drop_all(&mut self) {
        self.exchange();
        self.see_offers();
        let all = 0..self.writers.len().max(self.readers.len()).max(self.offers.len()).max(self.queries.len());
        for _ in all {
            for act in [Self::drop_writer, Self::drop_reader, Self::deny, Self::forget] {
                act(self, 0, 0, 0);
            }
        }
        for which in 0..self.halves.len() {
            self.relay_grants(which, 1 << 20, 0);
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
    fn the_rules_are_kept_and_nothing_is_left(acts in vec((act(), 0usize..64, 0usize..3000, 0usize..3000, any::<bool>()), 1..200)) {
        let mut world = World::new();
        for ((_, act), which, one, other, exchange) in acts {
            act(&mut world, which, one, other);
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
        let _ = session.open_watch(CHANNELS);
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
