//! Questions about the relay, to the byte, with a reader of the answers that shares no code with it.

use std::time::Duration;

use crate::audit::What;
use crate::peer::Peer;
use crate::wire::{Kind, chunk, out_request};

/// Credit for the longest page.
pub const PAGE_CREDIT: u64 = 16 << 10;

/// The states of a flow, by their numbers.
pub const STATES: [&str; 5] = ["idle", "reader", "cap", "egress", "relay"];

/// A page of an answer.
#[derive(Debug)]
pub struct Page {
    /// Whether there is another one, and where it begins.
    pub next: Option<u64>,
    /// The shard, and how many there are.
    pub shard: (u16, u16),
    /// Since the shard began.
    pub time: Duration,
    /// The numbers of the shard, on its first page.
    pub totals: Option<Totals>,
    /// One direction of a channel each.
    pub flows: Vec<Flow>,
}

/// The numbers of a shard.
#[derive(Debug)]
pub struct Totals {
    /// In the order of the protocol.
    pub numbers: [u64; 10],
    /// Parts of the memory ceiling.
    pub ceiling: Vec<(String, u64)>,
}

/// One direction of a channel.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Shard and port of the two.
    pub writer: (u16, u64),
    /// Likewise.
    pub reader: (u16, u64),
    /// Whether the writer has opened the channel.
    pub opener: bool,
    /// The name of the state that it is in.
    pub state: &'static str,
    /// Since both have agreed.
    pub age: Duration,
    /// In each state.
    pub times: [Duration; 5],
    /// Bytes, messages, stalls, credit, banked, held, cap.
    pub numbers: [u64; 7],
    /// Names.
    pub writer_name: Vec<u8>,
    /// Likewise.
    pub reader_name: Vec<u8>,
}

impl Flow {
    /// The time in a state.
    ///
    /// # Panics
    /// When there is no such state.
    pub fn time(&self, state: &str) -> Duration {
        self.times[STATES.iter().position(|name| *name == state).expect("a state")]
    }
}

/// The opening payload of a request.
pub fn request(shard: u16, cursor: u64) -> Vec<u8> {
    [&[0x10, 1], &shard.to_be_bytes()[..], &cursor.to_be_bytes()].concat()
}

/// Takes numbers off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take(8).try_into().expect("eight bytes"))
    }

    fn nanos(&mut self) -> Duration {
        Duration::from_nanos(self.u64())
    }

    fn text(&mut self) -> Vec<u8> {
        let len = self.u8();
        self.take(len.into()).to_vec()
    }

    fn block(&mut self) -> Reader<'a> {
        let len = self.u16();
        Reader(self.take(len.into()))
    }

    fn flow(mut self) -> Flow {
        let (writer, reader) = ((self.u16(), self.u64()), (self.u16(), self.u64()));
        let (opener, state) = (self.u8() == 1, STATES[usize::from(self.u8())]);
        let (age, times) = (self.nanos(), std::array::from_fn(|_| self.nanos()));
        let numbers = std::array::from_fn(|_| self.u64());
        let (writer_name, reader_name) = (self.text(), self.text());
        assert!(self.0.is_empty(), "nothing is left of a flow");
        Flow { writer, reader, opener, state, age, times, numbers, writer_name, reader_name }
    }

    fn totals(mut self) -> Option<Totals> {
        if self.0.is_empty() {
            return None;
        }
        let numbers = std::array::from_fn(|_| self.u64());
        let ceiling = (0..self.u8()).map(|_| (String::from_utf8(self.text()).expect("UTF-8"), self.u64())).collect();
        assert!(self.0.is_empty(), "nothing is left of the totals");
        Some(Totals { numbers, ceiling })
    }
}

/// Reads a page.
///
/// # Panics
/// When it is none.
pub fn parse(bytes: &[u8]) -> Page {
    let mut reader = Reader(bytes);
    assert_eq!(reader.u8(), 1, "the version");
    let flags = reader.u8();
    assert!(flags <= 1, "the flags are {flags}");
    let shard = (reader.u16(), reader.u16());
    let cursor = reader.u64();
    let (time, totals) = (reader.nanos(), reader.block().totals());
    let mut flows = Vec::new();
    while !reader.0.is_empty() {
        flows.push(reader.block().flow());
    }
    Page { next: (flags == 1).then_some(cursor), shard, time, totals, flows }
}

/// Asks for a page with so much credit, by the request `id`.
pub fn page(peer: &mut Peer, id: u64, shard: u16, cursor: u64, credit: u64) -> Page {
    peer.send(&out_request(id).payload(request(shard, cursor)).credit(credit));
    let bytes = match peer.next_on(Kind::InRequest, id) {
        What::Message(bytes) => bytes,
        other => peer.fail(&format!("asked for a page, got {other:?}")),
    };
    assert!(bytes.len() as u64 <= credit, "{} bytes for a credit of {credit}", bytes.len());
    peer.send_now(&chunk(Kind::OutRequest, id).ack_end());
    let page = parse(&bytes);
    assert_eq!(page.shard.0, shard);
    page
}

/// All flows of all shards, asked for with so much credit at a time.
pub fn flows(peer: &mut Peer, credit: u64) -> Vec<Flow> {
    let mut flows = Vec::new();
    let (mut shard, mut shards) = (0, 1);
    while shard < shards {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let page = page(peer, 1, shard, from, credit);
            assert!(from > 0 || page.totals.is_some(), "the first page has the totals");
            shards = page.shard.1;
            cursor = page.next;
            flows.extend(page.flows);
        }
        shard += 1;
    }
    flows
}
