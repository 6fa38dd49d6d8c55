//! Two links that talk to each other under random operations: nothing that one says is refused by the other, payloads
//! arrive as they were sent, credit is conserved, and when all is ended both have forgotten all.

use std::collections::HashMap;

use bpmux::{DuplexKeys, HalfKey, Kind, Link, Opened, Over, What};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{LIMITS, Seen, feed};

#[derive(Clone, Debug)]
enum Op {
    /// `later`: bytes of the opening payload of a duplex that follow later.
    Open {
        side: usize,
        kind: Kind,
        opening: Vec<u8>,
        later: u64,
        credit: u64,
    },
    Grant {
        half: Index,
        amount: u64,
    },
    Part {
        half: Index,
        message: Vec<u8>,
        len: usize,
    },
    Ping {
        half: Index,
    },
    End {
        half: Index,
        payload: Vec<u8>,
    },
    Flush {
        side: usize,
        room: usize,
    },
    Deliver {
        side: usize,
        len: usize,
    },
}

fn ops() -> impl Strategy<Value = Op> {
    let half = any::<Index>;
    let bytes = |max| prop::collection::vec(any::<u8>(), 0..max);
    let kinds = prop::sample::select(&[Kind::OutRequest, Kind::OutSink, Kind::OutStream, Kind::Duplex][..]);
    prop_oneof![
        2 => (0..2_usize, kinds, bytes(6), 0..3_u64, 0..40_u64)
            .prop_map(|(side, kind, opening, later, credit)| Op::Open { side, kind, opening, later, credit }),
        4 => (half(), 0..60_u64).prop_map(|(half, amount)| Op::Grant { half, amount }),
        8 => (half(), bytes(20), 0..20_usize).prop_map(|(half, message, len)| Op::Part { half, message, len }),
        1 => half().prop_map(|half| Op::Ping { half }),
        1 => (half(), bytes(4)).prop_map(|(half, payload)| Op::End { half, payload }),
        4 => (0..2_usize, 0..60_usize).prop_map(|(side, room)| Op::Flush { side, room }),
        8 => (0..2_usize, 0..40_usize).prop_map(|(side, len)| Op::Deliver { side, len }),
    ]
}

/// One end of a half, with all that was said on it.
#[derive(Debug, Default)]
struct Account {
    writes: bool,
    is_request: bool,
    granted: u64,
    sent: u64,
    /// Payloads that we began; the last may lack its end.
    messages_sent: Vec<Vec<u8>>,
    messages_seen: Vec<Vec<u8>>,
    /// How many of them are whole, and how many were dropped.
    whole_sent: usize,
    whole_seen: usize,
    missed: usize,
    credit_seen: u64,
    pings_sent: u32,
    pongs_seen: u32,
    end_sent: Option<Vec<u8>>,
    end_seen: Option<Vec<u8>>,
    /// How it came to be known at the other end that we have ended it.
    over: Option<Over>,
}

impl Account {
    /// Whether we have ended it, by a response perhaps.
    fn is_ended(&self) -> bool {
        self.end_sent.is_some() || self.is_request && !self.messages_sent.is_empty()
    }
}

/// A link, what it has written, and its accounts.
struct Side {
    link: Link<()>,
    out: Vec<u8>,
    keys: Vec<HalfKey>,
    accounts: HashMap<HalfKey, Account>,
    /// Openings that were sent and seen, with the halves they made, in order: this side's and its peer's pair up.
    opened: Vec<(Vec<u8>, Vec<HalfKey>)>,
    accepted: Vec<(Vec<u8>, Vec<HalfKey>)>,
}

impl Side {
    fn new() -> Self {
        let mut side = Self {
            link: Link::new(LIMITS),
            out: Vec::new(),
            keys: Vec::new(),
            accounts: HashMap::new(),
            opened: Vec::new(),
            accepted: Vec::new(),
        };
        side.add(HalfKey::TOP_WRITER, true);
        side.add(HalfKey::TOP_READER, false);
        side
    }

    fn add(&mut self, key: HalfKey, writes: bool) {
        self.keys.push(key);
        assert!(self.accounts.insert(key, Account { writes, ..Account::default() }).is_none());
    }

    fn account(&mut self, key: HalfKey) -> &mut Account {
        self.accounts.get_mut(&key).expect("every half has an account")
    }

    fn open(&mut self, kind: Kind, opening: &[u8], later: u64, credit: u64) {
        let total = opening.len() as u64 + later;
        let (keys, reads) = if kind == Kind::Duplex {
            let Ok(keys) = self.link.begin_duplex(1, total, opening, credit, &mut self.out) else { return };
            self.add(keys.writer, true);
            self.add(keys.reader, false);
            (vec![keys.writer, keys.reader], keys.reader)
        } else {
            let Ok(key) = self.link.open(kind, opening, credit, &mut self.out) else { return };
            self.add(key, kind == Kind::OutSink);
            self.account(key).is_request = kind == Kind::OutRequest;
            (vec![key], key)
        };
        self.account(reads).granted += credit;
        self.account(HalfKey::TOP_WRITER).sent += opening.len() as u64;
        self.opened.push((opening.into(), keys));
    }

    fn grant(&mut self, key: HalfKey, amount: u64) {
        if self.link.is_open(key) {
            self.link.grant(key, amount);
            self.account(key).granted += amount;
        }
    }

    /// Writes on with the message under way, or begins this one.
    fn part(&mut self, key: HalfKey, message: Vec<u8>, len: usize) {
        if !self.link.is_open(key) {
            return;
        }
        let left = self.link.outgoing_left(key) as usize;
        if !self.accounts[&key].writes {
            return self.more_of_opening(key, &message[..len.min(left).min(message.len())]);
        }
        if left == 0 {
            self.account(key).messages_sent.push(message);
        }
        let message = self.accounts[&key].messages_sent.last().expect("one is under way").clone();
        let left = if left == 0 { message.len() } else { left };
        let len = len.min(left).min(self.link.may_send(key) as usize);
        self.link.put_part(key, message.len() as u64, len as u64, &mut self.out);
        self.out.extend_from_slice(&message[message.len() - left..][..len]);
        let account = self.account(key);
        account.sent += len as u64;
        account.whole_sent += usize::from(len == left);
    }

    /// An opening goes on, if it is one and there is credit.
    fn more_of_opening(&mut self, key: HalfKey, part: &[u8]) {
        if !part.is_empty() && self.link.continue_opening(key, part, &mut self.out).is_ok() {
            self.account(HalfKey::TOP_WRITER).sent += part.len() as u64;
            let of = |(_, keys): &&mut (Vec<u8>, Vec<HalfKey>)| keys.contains(&key);
            self.opened.iter_mut().find(of).expect("it was opened").0.extend(part);
        }
    }

    fn end(&mut self, key: HalfKey, payload: &[u8]) {
        if self.link.is_open(key) && self.link.end(key, payload) {
            let account = self.account(key);
            account.sent += payload.len() as u64;
            account.end_sent = Some(payload.into());
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut seen = Vec::new();
        feed(&mut self.link, bytes, &mut seen).expect("a link never breaks the rules");
        for seen in seen {
            match seen {
                Seen::Opened(opened) => {
                    let keys = match opened {
                        Opened::Request(key) | Opened::Stream(key) => vec![(key, true)],
                        Opened::Sink(key) => vec![(key, false)],
                        // In the order of the opener's: what it writes we read.
                        Opened::Duplex(DuplexKeys { writer, reader }) => vec![(reader, false), (writer, true)],
                    };
                    keys.iter().for_each(|&(key, writes)| self.add(key, writes));
                    if let Opened::Request(key) = opened {
                        self.account(key).is_request = true;
                    }
                    self.accepted.push((Vec::new(), keys.into_iter().map(|(key, _)| key).collect()));
                }
                Seen::Payload { key, what, first, last, bytes, .. } => match what {
                    What::Opening => {
                        let of = |(_, keys): &&mut (Vec<u8>, Vec<HalfKey>)| keys.contains(&key);
                        let opening = self.accepted.iter_mut().find(of).expect("it was opened");
                        opening.0.extend(bytes);
                    }
                    What::Message => {
                        let messages = &mut self.account(key).messages_seen;
                        if first {
                            messages.push(Vec::new());
                        }
                        messages.last_mut().expect("one is under way").extend(bytes);
                        self.account(key).whole_seen += usize::from(last);
                    }
                    What::End => self.account(key).end_seen.get_or_insert_default().extend(bytes),
                },
                Seen::Credit(key, amount) => self.account(key).credit_seen += amount,
                Seen::Ping(key) => self.link.pong(key),
                Seen::Pong(key) => self.account(key).pongs_seen += 1,
                Seen::Missed(key) => self.account(key).missed += 1,
                Seen::Over(key, over) => assert_eq!(self.account(key).over.replace(over), None, "it is over once"),
            }
        }
    }
}

struct World {
    sides: [Side; 2],
}

impl World {
    fn run(&mut self, op: Op) {
        // The halves of both sides stand in one row.
        let pick = |half: Index, sides: &[Side; 2]| {
            let at = half.index(sides[0].keys.len() + sides[1].keys.len());
            match at.checked_sub(sides[0].keys.len()) {
                None => (0, sides[0].keys[at]),
                Some(at) => (1, sides[1].keys[at]),
            }
        };
        match op {
            Op::Open { side, kind, opening, later, credit } => self.sides[side].open(kind, &opening, later, credit),
            Op::Grant { half, amount } => {
                let (side, key) = pick(half, &self.sides);
                self.sides[side].grant(key, amount);
            }
            Op::Part { half, message, len } => {
                let (side, key) = pick(half, &self.sides);
                self.sides[side].part(key, message, len);
            }
            Op::Ping { half } => {
                let (side, key) = pick(half, &self.sides);
                if self.sides[side].link.is_open(key) {
                    self.sides[side].link.ping(key);
                    self.sides[side].account(key).pings_sent += 1;
                }
            }
            Op::End { half, payload } => {
                let (side, key) = pick(half, &self.sides);
                // The end of the top level is the end of all, and no part of this.
                if key != HalfKey::TOP_READER && key != HalfKey::TOP_WRITER {
                    self.sides[side].end(key, &payload);
                }
            }
            Op::Flush { side, room } => {
                let Side { link, out, .. } = &mut self.sides[side];
                let room = out.len() + room;
                link.flush_owed(out, room);
            }
            Op::Deliver { side, len } => self.deliver(side, len),
        }
    }

    fn deliver(&mut self, side: usize, len: usize) {
        let out = &mut self.sides[side].out;
        let bytes: Vec<u8> = out.drain(..len.min(out.len())).collect();
        self.sides[1 - side].read(&bytes);
    }

    /// Until nobody has anything to say.
    fn settle(&mut self) {
        while self.sides.iter().any(|side| side.link.owes() || !side.out.is_empty()) {
            for side in 0..2 {
                let Side { link, out, .. } = &mut self.sides[side];
                link.flush_owed(out, usize::MAX);
                self.deliver(side, usize::MAX);
            }
        }
    }

    fn check(&self) {
        for (opener, other) in [(0, 1), (1, 0)] {
            let (opener, other) = (&self.sides[opener], &self.sides[other]);
            let mut pairs = vec![(HalfKey::TOP_WRITER, HalfKey::TOP_READER)];
            assert_eq!(opener.opened.len(), other.accepted.len());
            for ((sent, ours), (seen, theirs)) in opener.opened.iter().zip(&other.accepted) {
                let deaf = theirs.iter().any(|key| other.accounts[key].is_ended());
                assert!(sent == seen || deaf && sent.starts_with(seen), "the opening {sent:?} became {seen:?}");
                pairs.extend(ours.iter().copied().zip(theirs.iter().copied()));
            }
            for (ours, theirs) in pairs {
                check_way((opener, ours), (other, theirs));
                check_way((other, theirs), (opener, ours));
                check_over((opener, ours), (other, theirs));
                check_over((other, theirs), (opener, ours));
            }
        }
    }

    /// Both sides end all halves, and keep nothing of them.
    fn finish(&mut self) {
        for side in &mut self.sides {
            for key in side.keys.clone() {
                if key != HalfKey::TOP_READER && key != HalfKey::TOP_WRITER {
                    side.end(key, b"");
                }
            }
        }
        self.settle();
        for side in &self.sides {
            assert_eq!(side.link.peer_halves(), 0);
            assert!(side.keys[2..].iter().all(|&key| side.link.id(key).is_none()));
        }
    }
}

/// What went one way over one half.
fn check_way((from, from_key): (&Side, HalfKey), (to, to_key): (&Side, HalfKey)) {
    let (sender, receiver) = (&from.accounts[&from_key], &to.accounts[&to_key]);
    let last = receiver.messages_seen.len().wrapping_sub(1);
    for (at, (sent, seen)) in sender.messages_sent.iter().zip(&receiver.messages_seen).enumerate() {
        assert!(sent == seen || at == last && sent.starts_with(seen), "the message {sent:?} became {seen:?}");
    }
    assert!(receiver.messages_seen.len() <= sender.messages_sent.len());
    if !receiver.is_request {
        assert_eq!(receiver.whole_seen + receiver.missed, sender.whole_sent, "none is dropped without a word");
    }
    let open = from.link.is_open(from_key);
    assert_eq!(to.link.is_open(to_key), open);
    if let Some(end) = &receiver.end_seen {
        let sent = sender.end_sent.as_ref().expect("it was sent");
        assert!(end == sent || receiver.is_ended() && sent.starts_with(end), "the end {sent:?} became {end:?}");
    } else if receiver.end_sent.is_none() && !receiver.is_request {
        assert_eq!(sender.end_sent, None, "an end is lost only where it crosses another");
    }
    if open {
        let left = receiver.granted - sender.sent;
        assert_eq!((from.link.may_send(from_key), to.link.may_receive(to_key)), (left, left), "credit is conserved");
        assert_eq!((sender.credit_seen, sender.pongs_seen), (receiver.granted, sender.pings_sent));
        let total = |messages: &[Vec<u8>]| messages.iter().map(Vec::len).sum::<usize>() as u64;
        let under_way = if sender.writes { from.link.outgoing_left(from_key) } else { 0 };
        assert_eq!(total(&sender.messages_sent), total(&receiver.messages_seen) + under_way);
    }
}

/// What an end is told to have met is what has become of it.
fn check_over((ender, key): (&Side, HalfKey), (other, other_key): (&Side, HalfKey)) {
    let (ours, theirs) = (&ender.accounts[&key], &other.accounts[&other_key]);
    let is_top = key == HalfKey::TOP_WRITER || key == HalfKey::TOP_READER;
    let ended = ours.end_sent.is_some() || ours.is_request && ours.whole_sent > 0;
    assert_eq!(ours.over.is_some(), ended && !is_top && ender.link.id(key).is_none());
    match ours.over {
        // It was seen, or came while the other end was waiting for the peer's ack of its own.
        Some(Over::Acked) => assert!(
            theirs.over == Some(Over::Crossed) || ours.is_request || theirs.end_seen == ours.end_sent,
            "acked, and not seen"
        ),
        Some(Over::Crossed) => assert!(theirs.is_ended(), "nothing has crossed it"),
        None => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_links_understand_each_other(ops in prop::collection::vec(ops(), 1..150)) {
        let mut world = World { sides: [Side::new(), Side::new()] };
        for side in &mut world.sides {
            side.grant(HalfKey::TOP_READER, 100);
        }
        world.settle();
        for op in ops {
            world.run(op);
        }
        world.settle();
        world.check();
        world.finish();
    }
}
