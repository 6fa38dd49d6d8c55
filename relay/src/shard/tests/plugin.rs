//! A plugin that does anything that the protocol allows, and checks all that it is told.
//!
//! Every message says which flow it belongs to, where in it, and how many empty messages went before, so that whoever
//! gets it can tell whether something is missing, twice, or out of order.

use std::collections::HashMap;

use bpmux::{DuplexKeys, Event, HalfKey, Kind, Limits, Link, Opened, Piece, What};
use engine::driver::Token;
use oracle::entry::{connect_to, entries, entry};
use oracle::wire::{duplex, in_sink, out_stream};

use super::cutter::Cutter;
use super::flow::Flow;
use super::rng::Rng;

/// Bytes of what a message says of itself.
const STAMP_LEN: usize = 16;
/// Credit for everything: a plugin that wants no trouble.
pub(super) const PLENTY: u64 = 1 << 40;
/// What a cancel payload says.
const REGRETS: &[u8] = b"no more";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    #[default]
    None,
    Writer(usize),
    Reader(usize),
    Request(usize),
    Watch,
}

#[derive(Debug)]
struct Duplex {
    asked: bool,
    /// For one that was asked: whether it has accepted. Else whether it was accepted.
    agreed: bool,
    /// What has come of the opening payload, or what is still to be sent of it.
    opening: Vec<u8>,
    writer: HalfKey,
    reader: HalfKey,
    flow: usize,
    /// The message that is being written.
    writing: Option<(Vec<u8>, usize)>,
    /// The flow that is read, when it is known.
    from: Option<usize>,
    given: u64,
    messages: u32,
    empties: u32,
    reading: Vec<u8>,
    /// The end payloads of the half that is read and of the one that is written, as far as they have come.
    closed: Vec<u8>,
    cancelled: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) shard: usize,
    pub(super) token: Token,
    pub(super) name: Vec<u8>,
    link: Link<Role>,
    /// What the link has said, and what says the same in other words.
    said: Vec<u8>,
    cutter: Cutter,
    /// Bytes that are still to be put into the socket.
    pub(super) out: Vec<u8>,
    duplexes: Vec<Duplex>,
    requests: Vec<(HalfKey, bool)>,
    watch: Option<HalfKey>,
    present: HashMap<Vec<u8>, u16>,
    first_watched: bool,
    reading: Vec<u8>,
    registered: bool,
    /// The connection is over, by whose will ever.
    pub(super) over: bool,
    /// It has said that it leaves.
    pub(super) leaving: bool,
    /// Why the relay has ended the connection.
    pub(super) reason: Vec<u8>,
    /// It takes nothing from the socket.
    pub(super) stalled: bool,
}

impl Plugin {
    pub(super) fn new(shard: usize, token: Token, name: Vec<u8>, rng: Rng) -> Self {
        let limits = Limits { halves_max: u32::MAX, openings_partial_max: u32::MAX };
        Self {
            shard,
            token,
            link: Link::new(limits),
            said: Vec::new(),
            cutter: Cutter::new(rng),
            out: Vec::new(),
            duplexes: Vec::new(),
            requests: Vec::new(),
            watch: None,
            present: HashMap::new(),
            first_watched: false,
            reading: Vec::new(),
            over: false,
            leaving: false,
            reason: Vec::new(),
            stalled: false,
            registered: false,
            name,
        }
    }

    /// "On accept the server grants top-level credit at once."
    fn register(&mut self) {
        let entry = entry(&self.name, 7);
        self.link.put_part(HalfKey::TOP_WRITER, entry.len() as u64, entry.len() as u64, &mut self.said);
        self.said.extend_from_slice(&entry);
        self.registered = true;
    }

    /// Whether it may say something.
    pub(super) fn is_there(&self) -> bool {
        self.registered && !self.leaving && !self.over
    }

    /// Gets ready to put something into the socket: `chunks_max` of those that wait for others, and what does not wait.
    pub(super) fn speak(&mut self, chunks_max: usize) {
        self.cutter.take(&std::mem::take(&mut self.said), &mut self.out);
        self.cutter.go_on(chunks_max, &mut self.out);
    }

    fn flush(&mut self) {
        self.link.flush_owed(&mut self.said, usize::MAX);
    }

    // What it does.

    /// Does something, whatever comes to its mind.
    pub(super) fn act(&mut self, names: &[Vec<u8>], flows: &mut Vec<Flow>, rng: &mut Rng) {
        match rng.below(16) {
            0 => self.give_top_level(rng.pick(&[1, 10, 300, 300])),
            1 | 2 => self.connect(&names[rng.below(names.len())], flows, rng),
            3 => self.ask_for_names(rng),
            4 if self.watch.is_none() && rng.once_in(4) => {
                if let Ok(half) = self.link.open(Kind::OutStream, b"", rng.pick(&[0, 1, 100, PLENTY]), &mut self.said) {
                    self.link.set_user(half, Role::Watch);
                    self.watch = Some(half);
                }
            }
            5 => self.try_something_else(rng),
            _ if self.duplexes.is_empty() => {}
            _ => {
                // The latest ones are the liveliest.
                let last = self.duplexes.len();
                let index = last - 1 - rng.below(last.min(6));
                self.act_on(index, flows, rng);
            }
        }
        self.flush();
    }

    fn give_top_level(&mut self, amount: u64) {
        self.link.grant(HalfKey::TOP_READER, amount);
    }

    fn connect(&mut self, name: &[u8], flows: &mut Vec<Flow>, rng: &mut Rng) {
        let mut opening = connect_to(name);
        if rng.once_in(8) {
            opening[0] = 0x01;
            opening.extend_from_slice(&rng.pick(&[[0, 3], [0, 9]]));
        }
        let credit = rng.pick(&[0, 0, 5, 900, 20_000]);
        let width = rng.pick(&[1, 1, 1, 3, 9]);
        if !rng.once_in(3) {
            let Ok(keys) = self.link.open_duplex(width, &opening, credit, &mut self.said) else { return };
            return self.begin(keys, false, credit, flows);
        }
        // The opening in two parts, and anything may come between.
        let Ok(keys) = self.link.open_duplex(width, &opening, 0, &mut Vec::new()) else { return };
        let id = self.link.id(keys.writer).expect("it was just opened");
        let leftover = opening.split_off(rng.below(opening.len()));
        let total = (opening.len() + leftover.len()) as u64;
        self.said.extend(duplex(id).payload(&opening).partial(total).bytes());
        self.begin(keys, false, 0, flows);
        self.duplexes.last_mut().expect("it was just begun").opening = leftover;
    }

    /// Sends the rest of an opening payload; a cancel has given it up.
    fn finish_opening(&mut self, index: usize) {
        let duplex = &mut self.duplexes[index];
        let leftover = std::mem::take(&mut duplex.opening);
        let id = self.link.id(duplex.reader).filter(|_| self.link.is_open(duplex.reader));
        if let Some(id) = id.filter(|_| !duplex.asked && !leftover.is_empty()) {
            self.said.extend(out_stream(id).payload(&leftover).bytes());
        }
    }

    fn begin(&mut self, keys: DuplexKeys, asked: bool, given: u64, flows: &mut Vec<Flow>) {
        let index = self.duplexes.len();
        self.link.set_user(keys.writer, Role::Writer(index));
        self.link.set_user(keys.reader, Role::Reader(index));
        self.duplexes.push(Duplex {
            asked,
            agreed: false,
            opening: Vec::new(),
            writer: keys.writer,
            reader: keys.reader,
            flow: flows.len(),
            writing: None,
            from: None,
            given,
            messages: 0,
            empties: 0,
            reading: Vec::new(),
            closed: Vec::new(),
            cancelled: Vec::new(),
        });
        flows.push(Flow::default());
    }

    fn ask_for_names(&mut self, rng: &mut Rng) {
        let credit = rng.pick(&[0, 1, 7, PLENTY]);
        if let Ok(half) = self.link.open(Kind::OutRequest, b"", credit, &mut self.said) {
            self.link.set_user(half, Role::Request(self.requests.len()));
            self.requests.push((half, false));
        }
    }

    fn try_something_else(&mut self, rng: &mut Rng) {
        match rng.below(6) {
            0 => drop(self.link.open(Kind::OutSink, b"?", 0, &mut self.said)),
            1 => drop(self.link.open(Kind::OutStream, b"?", 3, &mut self.said)),
            2 => self.link.ping(HalfKey::TOP_READER),
            3 if !self.requests.is_empty() => {
                let (half, _) = self.requests[rng.below(self.requests.len())];
                if rng.once_in(2) {
                    self.link.grant(half, rng.pick(&[1, 20]));
                } else {
                    self.link.end(half, b"");
                }
            }
            _ => {}
        }
    }

    fn act_on(&mut self, index: usize, flows: &mut [Flow], rng: &mut Rng) {
        let Duplex { writer, reader, asked, agreed, .. } = self.duplexes[index];
        match rng.below(28) {
            0..=12 if !asked && !self.duplexes[index].opening.is_empty() && rng.once_in(4) => {
                self.finish_opening(index)
            }
            0 => {
                let payload = if self.link.may_send(reader) >= REGRETS.len() as u64 { REGRETS } else { b"" };
                self.link.end(reader, payload);
            }
            1 => self.close(index, flows),
            2 => self.link.ping(rng.pick(&[writer, reader])),
            3 => self.link.grant(writer, rng.pick(&[1, 8, 700, 5000])),
            4..=8 => self.give(index, rng.pick(&[1, 10, 600, 5000, 1 << 20]), flows),
            9 if !asked && !agreed => self.write_empty(index, flows),
            9..=13 if asked && !agreed => self.accept(index, flows),
            9 if agreed && self.duplexes[index].writing.is_none() => self.write_empty(index, flows),
            10..=24 if agreed => {
                let len = rng.pick(&[1, 3, 40, 700, 5000]);
                let total = rng.pick(&[STAMP_LEN, 17, 100, 1100, 9000]);
                self.write(index, total, len, flows);
            }
            _ => {}
        }
    }

    fn accept(&mut self, index: usize, flows: &mut [Flow]) {
        if self.link.is_open(self.duplexes[index].writer) {
            self.write_empty(index, flows);
            self.duplexes[index].agreed = true;
        }
    }

    fn give(&mut self, index: usize, amount: u64, flows: &mut [Flow]) {
        let duplex = &mut self.duplexes[index];
        if self.link.is_open(duplex.reader) {
            self.link.grant(duplex.reader, amount);
            duplex.given += amount;
            if let Some(flow) = duplex.from {
                flows[flow].given = Some(duplex.given);
            }
        }
    }

    fn write_empty(&mut self, index: usize, flows: &mut [Flow]) {
        let duplex = &self.duplexes[index];
        if self.link.is_open(duplex.writer) {
            self.link.put_part(duplex.writer, 0, 0, &mut self.said);
            flows[duplex.flow].empties += 1;
        }
    }

    /// Writes on, at most `len` bytes of payload; a new message is `total` bytes long.
    fn write(&mut self, index: usize, total: usize, len: usize, flows: &mut [Flow]) {
        let duplex = &mut self.duplexes[index];
        let credit = self.link.may_send(duplex.writer) as usize;
        if !self.link.is_open(duplex.writer) || credit == 0 {
            return;
        }
        let flow = &mut flows[duplex.flow];
        let (message, written) = duplex.writing.get_or_insert_with(|| {
            let stamp = [duplex.flow as u32, flow.messages, flow.empties, total as u32];
            let mut message: Vec<u8> = stamp.iter().flat_map(|n| n.to_be_bytes()).collect();
            message.extend((STAMP_LEN..total).map(|n| (n as u32 ^ flow.messages) as u8));
            (message, 0)
        });
        let part = *written..(*written + len.min(credit)).min(message.len());
        self.link.put_part(duplex.writer, message.len() as u64, part.len() as u64, &mut self.said);
        self.said.extend_from_slice(&message[part.clone()]);
        *written = part.end;
        if *written == message.len() {
            duplex.writing = None;
            flow.messages += 1;
        }
    }

    /// Closes the half that it writes, and says what has gone before if it may. A message under way is given up.
    fn close(&mut self, index: usize, flows: &[Flow]) {
        let Duplex { writer, flow, .. } = self.duplexes[index];
        let Flow { messages, empties, .. } = flows[flow];
        let stamp: Vec<u8> = [flow as u32, messages, empties].iter().flat_map(|n| n.to_be_bytes()).collect();
        let payload = if self.link.may_send(writer) >= stamp.len() as u64 { &stamp[..] } else { b"" };
        self.link.end(writer, payload);
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self, flows: &mut [Flow]) {
        self.said.extend(in_sink(0).payload([]).bytes());
        self.leaving = true;
        self.duplexes.iter().for_each(|duplex| flows[duplex.flow].left_in_peace = true);
    }

    /// Its process dies: what has not reached its socket is lost, and then it has not left in peace.
    pub(super) fn die(&mut self, flows: &mut [Flow]) {
        self.over = true;
        if !(self.said.is_empty() && self.cutter.is_empty() && self.out.is_empty()) {
            (self.said, self.out) = (Vec::new(), Vec::new());
            self.cutter.forget_all();
            self.duplexes.iter().for_each(|duplex| flows[duplex.flow].left_in_peace = false);
        }
    }

    /// Connects, and sends empty messages before anybody answers.
    pub(super) fn connect_and_knock(&mut self, name: &[u8], empties: usize, flows: &mut Vec<Flow>) {
        let keys = self.link.open_duplex(1, &connect_to(name), 0, &mut self.said).expect("there is credit");
        self.begin(keys, false, 0, flows);
        (0..empties).for_each(|_| self.write_empty(self.duplexes.len() - 1, flows));
    }

    /// Writes a message on its latest connection.
    pub(super) fn write_latest(&mut self, flows: &mut [Flow]) {
        let index = self.duplexes.len() - 1;
        assert!(self.duplexes[index].agreed, "it was accepted");
        self.write(index, 100, 100, flows);
        assert_eq!(flows[self.duplexes[index].flow].messages, 1);
    }

    // What it does when all are to come to an end.

    /// Gives credit for everything, accepts what it is asked for, and finishes what it has begun.
    pub(super) fn cooperate(&mut self, flows: &mut [Flow]) {
        if self.link.may_receive(HalfKey::TOP_READER) < PLENTY {
            self.give_top_level(PLENTY);
        }
        for half in self.requests.iter().map(|(half, _)| *half).chain(self.watch) {
            if self.link.may_receive(half) < PLENTY {
                self.link.grant(half, PLENTY);
            }
        }
        for index in 0..self.duplexes.len() {
            if self.duplexes[index].asked && !self.duplexes[index].agreed {
                self.accept(index, flows);
            }
            let Duplex { reader, writer, asked, .. } = self.duplexes[index];
            if !asked {
                self.finish_opening(index);
            }
            if self.link.may_receive(reader) < PLENTY {
                self.give(index, PLENTY, flows);
            }
            if self.link.may_receive(writer) < PLENTY {
                self.link.grant(writer, PLENTY);
            }
            if self.duplexes[index].writing.is_some() {
                self.write(index, 0, usize::MAX >> 1, flows);
            }
        }
        self.flush();
    }

    /// Panics when something is left that should have come to an end.
    pub(super) fn check_done(&self, flows: &[Flow]) {
        for duplex in &self.duplexes {
            if self.link.is_open(duplex.writer) && duplex.agreed {
                let of = &flows[duplex.flow];
                assert!(duplex.writing.is_none(), "{}: a message is stuck: {of:?}", self.label());
            }
            if let Some(flow) = duplex.from.filter(|_| self.link.is_open(duplex.reader)) {
                let flow = &flows[flow];
                assert_eq!((duplex.messages, duplex.empties), (flow.messages, flow.empties), "{}", self.label());
            }
        }
        for (half, answered) in &self.requests {
            assert!(*answered || !self.link.is_open(*half), "{}: a query is not answered", self.label());
        }
    }

    /// The names that the watch has told of, if it has one.
    pub(super) fn names_watched(&self) -> Option<Vec<Vec<u8>>> {
        let mut names: Vec<Vec<u8>> = self.present.keys().cloned().collect();
        names.sort();
        self.first_watched.then_some(names)
    }

    /// Ends all connections.
    pub(super) fn end_all(&mut self, flows: &[Flow]) {
        for index in 0..self.duplexes.len() {
            self.close(index, flows);
            self.link.end(self.duplexes[index].reader, b"");
        }
        self.flush();
    }

    // What it is told.

    pub(super) fn label(&self) -> String {
        format!("{} ({:?})", self.name.escape_ascii(), self.token)
    }

    /// Reads what the relay has sent.
    pub(super) fn read(&mut self, input: &[u8], flows: &mut Vec<Flow>) {
        let mut used = 0;
        loop {
            let step = self.link.next(&input[used..]);
            let step = step.unwrap_or_else(|error| panic!("{}: the relay broke a rule: {error}", self.label()));
            used += step.used;
            let Some(event) = step.event else { break };
            match event {
                Event::Opened(Opened::Duplex(keys)) => self.begin(keys, true, 0, flows),
                Event::Opened(other) => panic!("the relay opened {other:?}"),
                Event::Piece(_, role, piece) => self.piece(role, piece, &input[used - piece.len..used], flows),
                Event::Credit(_, Role::Writer(index), amount) => {
                    let duplex = &mut self.duplexes[index];
                    // Who does not listen learns of it in this way.
                    duplex.agreed |= !self.link.is_open(duplex.reader);
                    assert!(duplex.agreed, "credit before both agree");
                    let flow = &mut flows[duplex.flow];
                    flow.granted += amount;
                    flow.check_credit();
                }
                Event::Credit(half, Role::Reader(_), _) => {
                    assert!(self.link.may_send(half) <= 1024, "too much credit for a cancel payload");
                }
                Event::Credit(HalfKey::TOP_WRITER, ..) if !self.registered => self.register(),
                Event::Ping(half, _) => self.link.pong(half),
                Event::Credit(..) | Event::Pong(..) | Event::Missed(..) | Event::Over(..) => {}
            }
        }
        self.flush();
    }

    fn piece(&mut self, role: Role, piece: Piece, bytes: &[u8], flows: &mut [Flow]) {
        match role {
            Role::None => {
                // Nobody but the relay's last words speaks on the top level.
                assert_eq!(piece.what, What::End, "{}: {piece:?}", self.label());
                self.reason.extend_from_slice(bytes);
            }
            Role::Writer(index) => self.writer_piece(index, piece, bytes),
            Role::Reader(index) if piece.what == What::End => self.reader_end(index, piece, bytes, flows),
            Role::Reader(index) => self.reader_piece(index, piece, bytes, flows),
            Role::Request(index) => self.requests[index].1 |= piece.last,
            Role::Watch => self.watch_piece(piece, bytes),
        }
    }

    fn writer_piece(&mut self, index: usize, piece: Piece, bytes: &[u8]) {
        let duplex = &mut self.duplexes[index];
        if piece.what == What::Opening {
            duplex.opening.extend_from_slice(bytes);
            let known = duplex.opening.starts_with(b"\x00");
            assert!(!piece.last || known && duplex.opening.ends_with(&[0, 7]), "{:?}", duplex.opening);
            return;
        }
        if let Some(end) = joined(&mut duplex.cancelled, piece, bytes) {
            let known = matches!(end[..], [] | [0] | [1] | [2]) || end == [&[0], REGRETS].concat();
            assert!(known, "{end:?}");
        }
    }

    fn reader_piece(&mut self, index: usize, piece: Piece, bytes: &[u8], flows: &mut [Flow]) {
        let label = self.label();
        let duplex = &mut self.duplexes[index];
        if piece.total == 0 {
            duplex.empties += 1;
            if !duplex.asked {
                duplex.agreed = true;
            }
            return;
        }
        // Its answer would come on a half that is over: credit is all there is to say.
        duplex.agreed |= !self.link.is_open(duplex.writer);
        assert!(duplex.agreed, "{label}: a message before both agree");
        if piece.first {
            duplex.reading.clear();
        }
        let Some(message) = joined(&mut duplex.reading, piece, bytes) else { return };
        let number = |n: usize| u32::from_be_bytes(message[4 * n..4 * n + 4].try_into().unwrap());
        let from = *duplex.from.get_or_insert(number(0) as usize);
        let expected = [from as u32, duplex.messages, duplex.empties, message.len() as u32];
        assert_eq!([0, 1, 2, 3].map(number), expected, "{label}: not the message that is next");
        let pattern = message[STAMP_LEN..].iter().enumerate();
        let mangled = pattern.filter(|(n, byte)| **byte != ((n + STAMP_LEN) as u32 ^ duplex.messages) as u8);
        assert_eq!(mangled.count(), 0, "{label}: a message was mangled");
        duplex.messages += 1;
        flows[from].given = Some(duplex.given);
        flows[from].check_credit();
    }

    fn reader_end(&mut self, index: usize, piece: Piece, bytes: &[u8], flows: &[Flow]) {
        let label = self.label();
        let duplex = &mut self.duplexes[index];
        let Some(end) = joined(&mut duplex.closed, piece, bytes) else { return };
        let got = (duplex.messages, duplex.empties);
        if let [0, stamp @ ..] = &end[..]
            && stamp.len() == 12
        {
            let number = |n: usize| u32::from_be_bytes(stamp[4 * n..4 * n + 4].try_into().unwrap());
            assert_eq!(got, (number(1), number(2)), "{label}: closed before all was there");
            assert!(duplex.agreed || duplex.asked, "{label}: closed by one who had not accepted");
            return;
        }
        assert!(matches!(end[..], [] | [0] | [1] | [2]), "{label}: {end:?}");
        if let Some(flow) = duplex.from.map(|from| &flows[from]).filter(|flow| flow.left_in_peace) {
            assert_eq!(got, (flow.messages, flow.empties), "{label}: left before all was there");
        }
    }

    fn watch_piece(&mut self, piece: Piece, bytes: &[u8]) {
        assert_eq!(piece.what, What::Message, "nobody has ended the watch");
        let Some(message) = joined(&mut self.reading, piece, bytes) else { return };
        if !self.first_watched {
            self.first_watched = true;
            self.present.extend(entries(&message));
            return;
        }
        let name = message[2..message.len() - 2].to_vec();
        match message[0] {
            0 => assert!(self.present.insert(name, 7).is_none(), "connected twice"),
            _ => assert!(self.present.remove(&name).is_some(), "left twice"),
        }
    }
}

/// Adds a piece to what has come of a payload; gives all of it with the last one.
fn joined(parts: &mut Vec<u8>, piece: Piece, bytes: &[u8]) -> Option<Vec<u8>> {
    parts.extend_from_slice(bytes);
    piece.last.then(|| std::mem::take(parts))
}
