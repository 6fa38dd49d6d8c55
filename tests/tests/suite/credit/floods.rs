//! Floods of what no credit pays for: the one who floods is slowed, and the others go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tests::audit::What;
use tests::daemon::Daemon;
use tests::pair::Pair;
use tests::peer::{Address, Peer};
use tests::process::Over;
use tests::stats::{PAGE_CREDIT, page};
use tests::wire::{Kind, in_sink, in_stream, join, out_sink, out_stream};

use super::{connect, plugin, reachable, start, two};

/// What a connection may go on with in these tests: so little that any flood is one.
const LITTLE: &str = "[limits]\nwork_units_per_s = 20_000\nwork_burst_units = 20_000\n";
/// The same for floods of which each waits for the relay: so little that a busy machine floods, too.
const LEAST: &str = "[limits]\nwork_units_per_s = 4_000\nwork_burst_units = 10_000\n";
/// Chunks in the block that a flood repeats.
const BLOCK_CHUNKS: usize = 5_000;
/// Connections that flood.
const FLOODERS: usize = 4;
/// Messages each way between two who mean well, while the others flood.
const EXCHANGES: usize = 300;

/// One who floods, with whom he needs for it.
struct Flooder {
    peers: Vec<Peer>,
    /// Writes some more of the flood.
    flood: Box<dyn FnMut(&mut Peer) + Send>,
}

impl Flooder {
    /// Writes the same bytes again and again, or just once; the relay takes them as slowly as it likes.
    fn of_bytes(peers: Vec<Peer>, block: Vec<u8>, endless: bool) -> Self {
        let mut at = 0;
        let flood = move |peer: &mut Peer| {
            at += peer.pour_some(&block[at..]);
            if at == block.len() {
                at = if endless { 0 } else { at };
                thread::sleep(Duration::from_millis(u64::from(!endless)));
            }
        };
        Self { peers, flood: Box::new(flood) }
    }
}

fn named(address: &Address, what: &str, number: usize) -> Peer {
    plugin(address, &format!("{what} {number}"))
}

/// One who floods and one who is connected to it, has given credit, and reads nothing any more.
fn connected(address: &Address, what: &str, number: usize, credit: u64) -> Vec<Peer> {
    let (mut a, mut b) = (named(address, what, number), named(address, &format!("{what}, to"), number));
    a.wait_listed(b.name());
    connect(&mut a, 1, &mut b, credit);
    vec![a, b]
}

fn pings(address: &Address, number: usize) -> Flooder {
    Flooder::of_bytes(vec![named(address, "pings", number)], in_stream(0).ping().bytes().repeat(BLOCK_CHUNKS), true)
}

fn empty_messages(address: &Address, number: usize) -> Flooder {
    let peers = connected(address, "empty messages", number, 0);
    Flooder::of_bytes(peers, out_sink(1).payload([]).bytes().repeat(BLOCK_CHUNKS), true)
}

fn grants_of_one(address: &Address, number: usize) -> Flooder {
    let peers = connected(address, "grants of one", number, 0);
    Flooder::of_bytes(peers, out_stream(1).credit(1).bytes().repeat(BLOCK_CHUNKS), true)
}

fn parts_of_one(address: &Address, number: usize) -> Flooder {
    const MESSAGES: usize = 5_000;
    let mut peers = connected(address, "parts of one", number, 1 << 40);
    peers[0].wait_credit(Kind::OutSink, 1, 3 * MESSAGES as u64);
    let message = [out_sink(1).payload(b"a").partial(3), out_sink(1).payload(b"b"), out_sink(1).payload(b"c")];
    Flooder::of_bytes(peers, join(&message).repeat(MESSAGES), false)
}

fn opens_and_ends(address: &Address, number: usize) -> Flooder {
    const CALLS: u64 = 50;
    let flood = |peer: &mut Peer| {
        (1..=CALLS).for_each(|id| peer.dial_with(id, b"nobody", 10, 10));
        (1..=CALLS).for_each(|id| peer.refused(id, &[1]));
    };
    Flooder { peers: vec![named(address, "opens and ends", number)], flood: Box::new(flood) }
}

/// Messages of the top level, as fast as credit for them comes back of itself.
fn ignored_messages(address: &Address, number: usize) -> Flooder {
    const BYTES: usize = 40;
    let flood = |peer: &mut Peer| {
        peer.wait_credit(Kind::InSink, 0, BYTES as u64);
        let count = peer.credit(Kind::InSink, 0) as usize / BYTES;
        peer.send_bytes(&in_sink(0).payload([7; BYTES]).bytes().repeat(count));
    };
    Flooder { peers: vec![named(address, "ignored messages", number)], flood: Box::new(flood) }
}

/// Openings that mean nothing, as large as there is credit for, which comes back of itself.
fn ignored_openings(address: &Address, number: usize) -> Flooder {
    const BYTES: u64 = 30_000;
    let flood = |peer: &mut Peer| {
        peer.send(&out_sink(1).payload(vec![7; BYTES as usize]));
        peer.expect_end(Kind::InStream, 1, &[]);
    };
    Flooder { peers: vec![named(address, "ignored openings", number)], flood: Box::new(flood) }
}

/// Questions who is there, and the answers are read.
fn queries(address: &Address, number: usize) -> Flooder {
    Flooder { peers: vec![named(address, "queries", number)], flood: Box::new(|peer| _ = peer.query()) }
}

/// Watches that are ended when their first message has come.
fn watches(address: &Address, number: usize) -> Flooder {
    let flood = |peer: &mut Peer| {
        peer.send(&out_stream(1).payload([]).credit(1 << 20));
        peer.message(Kind::InSink, 1);
        peer.send_now(&out_stream(1).end([]));
        while peer.next_on(Kind::InSink, 1) != What::AckEnd {}
    };
    Flooder { peers: vec![named(address, "watches", number)], flood: Box::new(flood) }
}

/// Pages about the relay that tell of nothing, since nobody has a channel.
fn empty_pages(address: &Address, number: usize) -> Flooder {
    let flood = |peer: &mut Peer| _ = page(peer, 1, 0, 1, PAGE_CREDIT);
    Flooder { peers: vec![named(address, "empty pages", number)], flood: Box::new(flood) }
}

/// Lets some flood while others exchange messages. Nobody is ended.
fn survive(daemon: &mut Daemon, what: &str, flooder: fn(&Address, usize) -> Flooder) {
    let [address, _] = daemon.addresses();
    let mut pair = Pair::between(plugin(&address, &format!("{what} a")), plugin(&address, &format!("{what} b")), 1);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&stop);
        for number in 0..FLOODERS {
            let (address, stop) = (&address, &stop);
            scope.spawn(move || {
                let Flooder { mut peers, mut flood } = flooder(address, number);
                while !stop.load(Ordering::Relaxed) {
                    flood(&mut peers[0]);
                }
            });
        }
        for number in 0..FLOODERS {
            let line = daemon.wait_logged(&format!("plugin={what} {number}"));
            assert!(line.contains("slowed"), "{line}");
        }
        for _ in 0..EXCHANGES {
            pair.exchange("still here", 64);
        }
    });
    pair.quiet();
    let ended: Vec<_> = daemon.log().into_iter().filter(|line| line.contains("connection ended")).collect();
    assert!(ended.is_empty(), "{what}: {ended:?}");
}

#[test]
fn who_floods_is_slowed_and_nobody_else() {
    for shards in [1, 2] {
        let mut daemon = start(shards, LITTLE);
        survive(&mut daemon, "pings", pings);
        survive(&mut daemon, "empty messages", empty_messages);
        survive(&mut daemon, "grants of one", grants_of_one);
        survive(&mut daemon, "opens and ends", opens_and_ends);
        survive(&mut daemon, "parts of one", parts_of_one);
    }
}

/// What is cheap to ask for and dear to answer is charged by what it costs: the more there are, the fewer of these slow.
#[test]
fn who_asks_for_much_is_slowed_and_nobody_else() {
    /// Long names, so that telling them all takes a thousand times as much as asking for it.
    const NAMES: usize = 400;
    let (mut daemon, [address, _]) = reachable(1, LEAST);
    let _crowd: Vec<Peer> = (0..NAMES).map(|number| plugin(&address, &format!("{number:0>250}"))).collect();
    survive(&mut daemon, "queries", queries);
    survive(&mut daemon, "watches", watches);
    survive(&mut daemon, "empty pages", empty_pages);
}

/// Credit for it comes back of itself, so it pays for nothing.
#[test]
fn who_tells_the_relay_much_is_slowed_and_nobody_else() {
    let mut daemon = start(1, LEAST);
    survive(&mut daemon, "ignored messages", ignored_messages);
    survive(&mut daemon, "ignored openings", ignored_openings);
}

/// Large payloads that are for the relay, or that end something, are no flood.
#[test]
fn large_payloads_slow_nobody() {
    let (daemon, [address, _]) = reachable(1, LITTLE);
    let (mut a, mut b) = (plugin(&address, &"a".repeat(255)), plugin(&address, &"b".repeat(255)));
    a.wait_listed(b.name());
    // An opening payload in parts, which means nothing.
    a.send(&out_sink(1).payload(vec![7; 20_000]).partial(60_000));
    a.send(&out_sink(1).payload(vec![7; 20_000]));
    a.wait_credit(Kind::InSink, 0, 20_000);
    a.send_now(&out_sink(1).payload(vec![7; 20_000]));
    a.expect_end(Kind::InStream, 1, &[]);
    for id in 2..50 {
        let at = connect(&mut a, id, &mut b, 1 << 20);
        a.send_all(&[out_sink(id).credit(1_000), out_stream(id).credit(1)]);
        b.wait_credit(Kind::InStream, at, 999);
        b.send_all(&[in_stream(at).end([7; 999]), in_sink(at).end([])]);
        a.expect_end(Kind::InStream, id, &[&[0], &[7; 999][..]].concat());
        a.expect_end(Kind::InSink, id, &[0]);
    }
    a.fence();
    assert!(daemon.log().iter().all(|line| !line.contains("slowed")), "{}", daemon.log_tail());
}

/// What belongs to the use of credit and is paid for by messages slows nobody, however little is allowed.
#[test]
fn who_answers_what_it_gets_is_not_slowed() {
    const MESSAGES: u64 = 40_000;
    let (daemon, [address, _]) = reachable(1, LITTLE);
    let (mut a, mut b) = two(&address, "a", "b");
    let at = connect(&mut a, 1, &mut b, 20);
    let mut left = MESSAGES;
    let mut read = 0;
    while left > 0 {
        a.wait_credit(Kind::OutSink, 1, 1);
        let count = a.credit(Kind::OutSink, 1).min(left);
        a.send_bytes(&out_sink(1).payload(b"x").bytes().repeat(count as usize));
        left -= count;
        // Credit for each message by itself.
        for _ in 0..count {
            assert_eq!(b.next_on(Kind::OutSink, at), What::Message(b"x".to_vec()));
            read += 1;
            b.send_now(&in_stream(at).credit(1));
        }
    }
    assert_eq!(read, MESSAGES);
    assert!(daemon.log().iter().all(|line| !line.contains("slowed")), "{}", daemon.log_tail());
}

/// Past the hard limit a connection is ended, and told why.
#[test]
fn who_does_not_stop_is_ended_at_last() {
    let (mut daemon, [address, _]) = reachable(1, &format!("{LITTLE}flood_timeout_ms = 300\n"));
    let mut flooder = plugin(&address, "flooder");
    let mut bystander = plugin(&address, "bystander");
    let block = in_stream(0).ping().bytes().repeat(BLOCK_CHUNKS);
    while flooder.pour(&block) {}
    let line = daemon.wait_logged("connection ended");
    assert!(line.contains("flooder") && line.contains("a flood of chunks without payload"), "{line}");
    bystander.wait_gone(b"flooder");
}
