//! A relay played by the test: the other end of a bus connection, in memory, with its own link.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bpmux::{DuplexKeys, Event, HalfKey, Kind, Limits, Link, Opened, What};
use minbus::{Builder, Bus, ConnectError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::yield_now;
use tokio::time::timeout;

/// So long may the library take to do what a test expects of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the library did, with payloads put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Opened(Opened),
    Opening(HalfKey, Vec<u8>),
    Message(HalfKey, Vec<u8>),
    End(HalfKey, Vec<u8>),
    Credit(HalfKey, u64),
    Ping(HalfKey),
    Pong(HalfKey),
    Eof,
}

/// The relay's end.
pub(crate) struct Peer {
    link: Link<()>,
    stream: DuplexStream,
    out: Vec<u8>,
    partial: HashMap<HalfKey, Vec<u8>>,
    got: VecDeque<Got>,
}

impl Peer {
    pub(crate) fn new(stream: DuplexStream) -> Self {
        let link = Link::new(Limits { halves_max: 1000, openings_partial_max: 10 });
        Self { link, stream, out: Vec::new(), partial: HashMap::new(), got: VecDeque::new() }
    }

    /// What the library does next, credit left aside.
    pub(crate) async fn next(&mut self) -> Got {
        loop {
            match self.next_of_all().await {
                Got::Credit(..) => {}
                got => return got,
            }
        }
    }

    /// What the library does next.
    pub(crate) async fn next_of_all(&mut self) -> Got {
        timeout(PATIENCE, self.read_next()).await.expect("the library does something")
    }

    async fn read_next(&mut self) -> Got {
        loop {
            if let Some(got) = self.got.pop_front() {
                return got;
            }
            self.flush().await;
            let mut input = vec![0; 4096];
            let len = self.stream.read(&mut input).await.expect("reading from memory");
            if len == 0 {
                return Got::Eof;
            }
            self.take_in(&input[..len]);
        }
    }

    fn take_in(&mut self, mut input: &[u8]) {
        loop {
            let step = self.link.next(input).expect("the library keeps the rules");
            let (read, rest) = input.split_at(step.used);
            input = rest;
            let got = match step.event {
                None => return,
                Some(Event::Opened(opened)) => Got::Opened(opened),
                Some(Event::Credit(key, (), amount)) => Got::Credit(key, amount),
                Some(Event::Missed(..) | Event::Over(..)) => continue,
                Some(Event::Ping(key, ())) => Got::Ping(key),
                Some(Event::Pong(key, ())) => Got::Pong(key),
                Some(Event::Piece(key, (), piece)) => {
                    let bytes = self.partial.entry(key).or_default();
                    if piece.first {
                        bytes.clear();
                    }
                    bytes.extend_from_slice(&read[read.len() - piece.len..]);
                    if !piece.last {
                        continue;
                    }
                    let bytes = self.partial.remove(&key).unwrap_or_default();
                    assert_eq!(bytes.len() as u64, piece.total);
                    match piece.what {
                        What::Opening => Got::Opening(key, bytes),
                        What::Message => Got::Message(key, bytes),
                        What::End => Got::End(key, bytes),
                    }
                }
            };
            self.got.push_back(got);
        }
    }

    /// Takes so many bytes, and answers nothing.
    pub(crate) async fn take_some(&mut self, len: usize) {
        let mut input = vec![0; len];
        self.stream.read_exact(&mut input).await.expect("reading from memory");
        self.take_in(&input);
    }

    /// Writes what was said so far.
    pub(crate) async fn flush(&mut self) {
        self.link.flush_owed(&mut self.out, usize::MAX);
        // Where the library has hung up, its last words can still be read.
        let _ = self.stream.write_all(&self.out).await;
        self.out.clear();
    }

    /// Says bytes as they are, whatever rules they break.
    pub(crate) fn say_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Hangs up.
    pub(crate) async fn hang_up(mut self) {
        self.flush().await;
    }

    /// Sends a whole message.
    pub(crate) fn send(&mut self, key: HalfKey, message: &[u8]) {
        self.send_part(key, message.len(), message);
    }

    /// Sends a part of a message of `total` bytes.
    pub(crate) fn send_part(&mut self, key: HalfKey, total: usize, part: &[u8]) {
        self.link.put_part(key, total as u64, part.len() as u64, &mut self.out);
        self.out.extend_from_slice(part);
    }

    /// Bytes that may be sent on a half.
    pub(crate) fn credit(&self, key: HalfKey) -> u64 {
        self.link.may_send(key)
    }

    pub(crate) fn grant(&mut self, key: HalfKey, amount: u64) {
        self.link.grant(key, amount);
    }

    pub(crate) fn ping(&mut self, key: HalfKey) {
        self.link.ping(key);
    }

    pub(crate) fn pong(&mut self, key: HalfKey) {
        self.link.pong(key);
    }

    pub(crate) fn end(&mut self, key: HalfKey, payload: &[u8]) {
        assert!(self.link.end(key, payload), "there is no credit for the end payload");
    }

    /// Ends both halves.
    pub(crate) fn end_both(&mut self, keys: DuplexKeys, payload: &[u8]) {
        self.end(keys.writer, payload);
        self.end(keys.reader, payload);
    }

    /// Opens a connection to the library, from a plugin of this entry.
    pub(crate) fn offer(&mut self, entry: &[u8]) -> DuplexKeys {
        let opening = [&[0], entry].concat();
        self.link.open_duplex(1, &opening, 0, &mut self.out).expect("top-level credit")
    }

    /// Opens what no relay opens.
    pub(crate) fn open_strange(&mut self) -> [HalfKey; 3] {
        [Kind::OutRequest, Kind::OutSink, Kind::OutStream]
            .map(|kind| self.link.open(kind, b"?", 0, &mut self.out).expect("top-level credit"))
    }

    /// The library opens a duplex: its keys and its opening payload.
    pub(crate) async fn opened(&mut self) -> (DuplexKeys, Vec<u8>) {
        let keys = match self.next().await {
            Got::Opened(Opened::Duplex(keys)) => keys,
            got => panic!("not a duplex: {got:?}"),
        };
        match self.next().await {
            Got::Opening(key, opening) if key == keys.writer => (keys, opening),
            got => panic!("not the opening payload: {got:?}"),
        }
    }

    /// The library opens something that is answered on one half.
    pub(crate) async fn asked(&mut self) -> Opened {
        let opened = match self.next().await {
            Got::Opened(opened) => opened,
            got => panic!("nothing was opened: {got:?}"),
        };
        let (Opened::Request(key) | Opened::Stream(key)) = opened else { panic!("not to be answered: {opened:?}") };
        assert_eq!(self.next().await, Got::Opening(key, Vec::new()));
        opened
    }

    /// The library ends both halves, in any order, with empty payloads.
    pub(crate) async fn both_ended(&mut self, keys: DuplexKeys) {
        let mut ended = HashSet::new();
        for _ in 0..2 {
            match self.next().await {
                Got::End(key, payload) if payload.is_empty() => ended.insert(key),
                got => panic!("not an empty end: {got:?}"),
            };
        }
        assert_eq!(ended, HashSet::from([keys.writer, keys.reader]));
    }

    /// Takes a registration, and the query behind it.
    pub(crate) async fn register(&mut self) -> Vec<u8> {
        self.grant(HalfKey::TOP_READER, 10_000);
        let Got::Message(HalfKey::TOP_READER, entry) = self.next().await else { panic!("not a registration") };
        let Opened::Request(query) = self.asked().await else { panic!("not a query") };
        self.send(query, b"");
        self.flush().await;
        entry
    }
}

/// A bus over a stream that holds so many bytes, and the relay's end of it.
pub(crate) async fn connect_through(bytes: usize, builder: Builder) -> (Bus, Peer) {
    let (ours, theirs) = duplex(bytes);
    let mut peer = Peer::new(theirs);
    let connect = tokio::spawn(builder.connect_over(ours));
    peer.register().await;
    (within(connect).await.expect("connecting does not panic").expect("the relay grants it"), peer)
}

/// A bus and the relay's end of it.
pub(crate) async fn connect() -> (Bus, Peer) {
    connect_through(1 << 16, Bus::builder().name("me").version(7)).await
}

/// A bus that could not connect, and what the relay's end does meanwhile.
pub(crate) async fn refused(builder: Builder, relay: impl AsyncFnOnce(Peer)) -> ConnectError {
    let (ours, theirs) = duplex(1 << 16);
    let connect = tokio::spawn(builder.connect_over(ours));
    relay(Peer::new(theirs)).await;
    within(connect).await.expect("connecting does not panic").expect_err("the relay refuses")
}

/// Awaits something that the relay's end has made possible.
pub(crate) async fn within<F: IntoFuture>(future: F) -> F::Output {
    timeout(PATIENCE, future.into_future()).await.expect("in time")
}

/// Lets the library's task do what it can.
pub(crate) async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

/// A connection that the library opened and the relay's end accepted.
pub(crate) async fn channel(bus: &Bus, peer: &mut Peer) -> (minbus::Channel, DuplexKeys) {
    let open = tokio::spawn(bus.open("b").into_future());
    let (keys, _) = peer.opened().await;
    peer.send(keys.writer, b"");
    peer.flush().await;
    (within(open).await.expect("opening does not panic").expect("accepted"), keys)
}
