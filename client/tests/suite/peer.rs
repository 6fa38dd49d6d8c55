//! A relay played by the test: the other end of a bus connection, in memory, chunk by chunk of the oracle's.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use minbus::{Builder, Bus, Channel, ConnectError};
use oracle::audit::{Audit, Half, OwnEnd, What};
use oracle::wire::{Chunk, Kind, chunk, parse};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

pub(crate) use oracle::audit::{TOP_READ, TOP_WRITE};

/// So long may the library take to do what a test expects of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the library did, with payloads put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Opened(Half, Vec<u8>),
    Message(Half, Vec<u8>),
    End(Half, Vec<u8>),
    Credit(Half, u64),
    Ping(Half),
    Pong(Half),
    Eof,
}

/// The halves of a duplex: the one on which the relay writes, and the one on which it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    pub(crate) writer: Half,
    pub(crate) reader: Half,
}

/// The relay's end.
pub(crate) struct Peer {
    audit: Audit,
    stream: DuplexStream,
    inbox: Vec<u8>,
    out: Vec<u8>,
    got: VecDeque<Got>,
}

impl Peer {
    pub(crate) fn new(stream: DuplexStream) -> Self {
        Self { audit: Audit::default(), stream, inbox: Vec::new(), out: Vec::new(), got: VecDeque::new() }
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

    /// Reads until there is credit for a half.
    pub(crate) async fn wait_credit(&mut self, half: Half) {
        while self.credit(half) == 0 {
            self.next_of_all().await;
        }
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

    fn take_in(&mut self, input: &[u8]) {
        self.inbox.extend(input);
        while let Some((chunk, len)) = parse(&self.inbox).expect("the library writes chunks") {
            self.inbox.drain(..len);
            // What comes on a half that was ended here is of no interest any more.
            let half = (chunk.kind, chunk.id);
            let is_deaf = self.audit.halves().any(|of| of.half == half && of.own_end != OwnEnd::No);
            let events =
                self.audit.got(&chunk).unwrap_or_else(|rule| panic!("the library breaks a rule, {rule}: {chunk}"));
            for (half, what) in events.into_iter().filter(|_| !is_deaf) {
                self.got.push_back(match what {
                    What::Open(bytes) => Got::Opened(half, bytes),
                    What::Message(bytes) => Got::Message(half, bytes),
                    What::End(bytes) => Got::End(half, bytes),
                    What::Credit(amount) => Got::Credit(half, amount),
                    What::Ping => Got::Ping(half),
                    What::Pong => Got::Pong(half),
                    What::Begun | What::Part(_) | What::AckEnd | What::Crossed => continue,
                });
            }
            self.ack_ends();
        }
    }

    /// Acks what the library has ended.
    fn ack_ends(&mut self) {
        let ended = self.audit.halves().filter(|half| half.other_ended && !half.is_top()).map(|half| half.half);
        for (kind, id) in ended.collect::<Vec<_>>() {
            self.say(&chunk(kind.inverted(id), id).ack_end());
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
        // Where the library has hung up, its last words can still be read.
        let _ = self.stream.write_all(&self.out).await;
        self.out.clear();
    }

    /// Says bytes as they are, whatever rules they break.
    pub(crate) fn say_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn say(&mut self, chunk: &Chunk) {
        self.audit.sent(chunk);
        self.out.extend(chunk.bytes());
    }

    /// Says something about a half, unless it is over.
    fn say_on(&mut self, (kind, id): Half, what: impl FnOnce(Chunk) -> Chunk) {
        if self.audit.halves().any(|half| half.half == (kind, id) && half.is_open()) {
            self.say(&what(chunk(kind.inverted(id), id)));
        }
    }

    /// Hangs up.
    pub(crate) async fn hang_up(mut self) {
        self.flush().await;
    }

    /// Sends a whole message.
    pub(crate) fn send(&mut self, half: Half, message: &[u8]) {
        self.send_part(half, message.len(), message);
    }

    /// Sends a part of a message of `total` bytes.
    pub(crate) fn send_part(&mut self, half: Half, total: usize, part: &[u8]) {
        assert!(part.len() as u64 <= self.credit(half), "there is no credit for the message");
        let goes_on = self.audit.state(half).outgoing_left > 0 || part.len() == total;
        let partial = (!goes_on).then_some(total as u64);
        self.say_on(half, |chunk| Chunk { partial, ..chunk.payload(part) });
    }

    /// Sends a message in parts, as large as there is credit for; gives the most that there was at a time.
    pub(crate) async fn send_as_credit_comes(&mut self, half: Half, message: &[u8]) -> u64 {
        let (mut rest, mut most) = (message, 0);
        while !rest.is_empty() {
            self.wait_credit(half).await;
            most = most.max(self.credit(half));
            let (part, behind) = rest.split_at(rest.len().min(self.credit(half) as usize));
            self.send_part(half, message.len(), part);
            rest = behind;
        }
        most
    }

    /// Bytes that may be sent on a half.
    pub(crate) fn credit(&self, half: Half) -> u64 {
        self.audit.credit(half)
    }

    pub(crate) fn grant(&mut self, half: Half, amount: u64) {
        self.say_on(half, |chunk| chunk.credit(amount));
    }

    pub(crate) fn ping(&mut self, half: Half) {
        self.say_on(half, Chunk::ping);
    }

    pub(crate) fn pong(&mut self, half: Half) {
        self.say_on(half, |chunk| chunk);
    }

    /// The library pings a half and gets its pong.
    pub(crate) async fn answer_ping(&mut self, half: Half) {
        assert_eq!(self.next().await, Got::Ping(half));
        self.pong(half);
        self.flush().await;
    }

    pub(crate) fn end(&mut self, half: Half, payload: &[u8]) {
        assert!(payload.len() as u64 <= self.credit(half), "there is no credit for the end payload");
        self.say_on(half, |chunk| chunk.end(payload));
    }

    /// Ends both halves.
    pub(crate) fn end_both(&mut self, keys: Keys, payload: &[u8]) {
        self.end(keys.writer, payload);
        self.end(keys.reader, payload);
    }

    /// Opens something: the id that it gets, which no half has.
    fn open(&mut self, kind: Kind, opening: &[u8]) -> u64 {
        assert!(opening.len() as u64 <= self.credit(TOP_WRITE), "there is no top-level credit");
        let id = (1..).find(|id| self.audit.halves().all(|half| half.half.1 != *id)).expect("there are enough");
        self.say(&chunk(kind, id).payload(opening));
        id
    }

    /// Opens a connection to the library, from a plugin of this entry.
    pub(crate) fn offer(&mut self, entry: &[u8]) -> Keys {
        let id = self.open(Kind::Duplex, &[&[0], entry].concat());
        Keys { writer: (Kind::InStream, id), reader: (Kind::InSink, id) }
    }

    /// Opens what no relay opens.
    pub(crate) fn open_strange(&mut self) -> [Half; 3] {
        [Kind::OutRequest, Kind::OutSink, Kind::OutStream].map(|kind| {
            let id = self.open(kind, b"?");
            (kind.inverted(id), id)
        })
    }

    /// The library opens a duplex: its keys and its opening payload.
    pub(crate) async fn opened(&mut self) -> (Keys, Vec<u8>) {
        match self.next().await {
            Got::Opened((Kind::Duplex, id), opening) => {
                (Keys { writer: (Kind::OutStream, id), reader: (Kind::OutSink, id) }, opening)
            }
            got => panic!("not a duplex: {got:?}"),
        }
    }

    /// The library opens something of this kind that is answered on one half.
    pub(crate) async fn asked(&mut self, kind: Kind) -> Half {
        match self.next().await {
            Got::Opened(half, opening) if half.0 == kind && opening.is_empty() => half,
            got => panic!("not asked for: {got:?}"),
        }
    }

    /// The library asks who is there.
    pub(crate) async fn query(&mut self) -> Half {
        self.asked(Kind::OutRequest).await
    }

    /// The library asks to be told who comes and goes.
    pub(crate) async fn watch(&mut self) -> Half {
        self.asked(Kind::OutStream).await
    }

    /// The library ends both halves, in any order, with empty payloads.
    pub(crate) async fn both_ended(&mut self, keys: Keys) {
        let mut ended = HashSet::new();
        for _ in 0..2 {
            match self.next().await {
                Got::End(half, payload) if payload.is_empty() => ended.insert(half),
                got => panic!("not an empty end: {got:?}"),
            };
        }
        assert_eq!(ended, HashSet::from([keys.writer, keys.reader]));
    }

    /// Takes a registration, and the query behind it.
    pub(crate) async fn register(&mut self) -> Vec<u8> {
        self.grant(TOP_READ, 10_000);
        self.registered().await
    }

    /// As [`Peer::register`], when there is credit for it.
    pub(crate) async fn registered(&mut self) -> Vec<u8> {
        let Got::Message(TOP_READ, entry) = self.next().await else { panic!("not a registration") };
        let query = self.query().await;
        self.send(query, b"");
        self.flush().await;
        entry
    }
}

/// A bus that connects over a stream that holds so many bytes, and the relay's end of it.
pub(crate) fn dial(bytes: usize, builder: Builder) -> (JoinHandle<Result<Bus, ConnectError>>, Peer) {
    let (ours, theirs) = duplex(bytes);
    (tokio::spawn(builder.connect_over(ours)), Peer::new(theirs))
}

/// A bus over a stream that holds so many bytes, and the relay's end of it.
pub(crate) async fn connect_through(bytes: usize, builder: Builder) -> (Bus, Peer) {
    let (connect, mut peer) = dial(bytes, builder);
    peer.register().await;
    (within(connect).await.expect("connecting does not panic").expect("the relay grants it"), peer)
}

/// A bus and the relay's end of it.
pub(crate) async fn connect() -> (Bus, Peer) {
    connect_through(1 << 16, Bus::builder().name("me").version(7)).await
}

/// A bus that could not connect, and what the relay's end does meanwhile.
pub(crate) async fn refused(builder: Builder, relay: impl AsyncFnOnce(Peer)) -> ConnectError {
    let (connect, peer) = dial(1 << 16, builder);
    relay(peer).await;
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
pub(crate) async fn channel(bus: &Bus, peer: &mut Peer) -> (Channel, Keys) {
    let open = tokio::spawn(bus.open("b").into_future());
    let (keys, _) = peer.opened().await;
    peer.send(keys.writer, b"");
    peer.flush().await;
    (within(open).await.expect("opening does not panic").expect("accepted"), keys)
}

/// A bus, the relay's end of it, and a channel between them.
pub(crate) async fn connected() -> (Bus, Peer, Channel, Keys) {
    let (bus, mut peer) = connect().await;
    let (channel, keys) = channel(&bus, &mut peer).await;
    (bus, peer, channel, keys)
}
