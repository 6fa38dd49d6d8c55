//! Many who take what they can get: readers that have stopped, watchers that do not read, connections of one user.

use tests::pair::Pair;
use tests::peer::{Address, Pace, Peer, admitted};
use tests::process::{eventually, resident_bytes};
use tests::wire::{Kind, out_sink, out_stream};

use super::{connect, plugin, reachable};

/// 400 channels whose readers have given credit for everything and take nothing from their sockets: the daemon holds what
/// it may, nobody is thrown out, and others do not notice.
#[test]
fn readers_that_stopped_cost_what_the_budget_says() {
    const WRITERS: usize = 20;
    const READERS: usize = 20;
    /// Half of it is enough for what all channels reserve.
    const MEMORY: u64 = 32 << 20;
    /// Heads of chunks, what the allocator rounds up to, buffers that were not touched before.
    const BESIDE: u64 = 16 << 20;
    const SMALL_SOCKETS: &str = "[socket]\nunix_send_buffer_bytes = 16384\n";
    for shards in [1, 2] {
        let (daemon, [address, _]) = reachable(
            shards,
            &format!("[credit]\nmemory_bytes = {MEMORY}\ncap_max_bytes = {}\n{SMALL_SOCKETS}", 4 << 20),
        );
        let mut pair = Pair::between(plugin(&address, "a"), plugin(&address, "b"), 1);
        let mut readers: Vec<Peer> = (0..READERS).map(|n| plugin(&address, &format!("reader {n}"))).collect();
        let mut writers: Vec<Peer> = (0..WRITERS).map(|n| plugin(&address, &format!("writer {n}"))).collect();
        for (number, reader) in readers.iter_mut().enumerate() {
            for writer in &mut writers {
                connect(writer, 1 + number as u64, reader, 1 << 40);
            }
        }
        let before = resident_bytes(daemon.pid());
        let mut sent = 0;
        // Until there is no credit left anywhere, twice.
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            for writer in &mut writers {
                writer.fence();
                for id in 1..=READERS as u64 {
                    let credit = writer.credit(Kind::OutSink, id);
                    if credit > 0 {
                        quiet = 0;
                        sent += credit;
                        writer.send_now(&out_sink(id).payload(vec![3; credit as usize]));
                    }
                }
            }
            pair.exchange("not held up", 64);
        }
        let grown = resident_bytes(daemon.pid()).saturating_sub(before);
        assert!(sent > 4 << 20, "they could send only {sent} bytes");
        assert!(grown <= shards as u64 * (MEMORY + BESIDE), "{grown} bytes for {sent} that were sent");
        // All are there, and whoever reads again gets all.
        for peer in writers.iter_mut().chain(&mut readers) {
            peer.fence();
        }
    }
}

/// "A watcher that gives no credit costs at most a bounded diff": and one that has given none at all, next to nothing.
#[test]
fn watchers_without_credit_cost_nothing() {
    const NAMES: usize = 250;
    const WATCHERS: usize = 250;
    /// A listing for each of them would be twice as much.
    const BESIDE: u64 = 8 << 20;
    let (daemon, [address, _]) = reachable(1, "");
    let named: Vec<Peer> = (0..NAMES).map(|n| plugin(&address, &format!("{n:0>250}"))).collect();
    let mut watchers: Vec<Peer> = (0..WATCHERS).map(|n| plugin(&address, &format!("watcher {n}"))).collect();
    let before = resident_bytes(daemon.pid());
    for watcher in &mut watchers {
        watcher.send(&out_stream(1).payload([]));
        watcher.fence();
    }
    let grown = resident_bytes(daemon.pid()).saturating_sub(before);
    assert!(grown < BESIDE, "{grown} bytes for {WATCHERS} watchers of {NAMES} names");
    // Whoever comes or leaves meanwhile is part of what they are told at last.
    drop(named);
    let last = plugin(&address, "last");
    for watcher in &mut watchers {
        watcher.wait_gone(format!("{:0>250}", NAMES - 1).as_bytes());
        let listed = watcher.query();
        watcher.send_now(&out_stream(1).credit(1 << 20));
        assert_eq!(tests::peer::entries(&watcher.message(Kind::InSink, 1)), listed);
        assert!(listed.iter().any(|(name, _)| name == last.name()));
    }
}

/// "Per uid on unix sockets": others are not concerned, and neither is TCP.
#[test]
fn connections_of_one_user_are_limited() {
    const MOST: usize = 6;
    let (mut daemon, [address, _]) = reachable(2, &format!("[limits]\nconnections_per_uid_max = {MOST}\n"));
    let join = |number: usize| admitted(&address, &format!("plugin {number}"));
    // Those with which the harness has knocked take a moment to be over.
    let mut peers: Vec<Peer> = (0..MOST).map(|number| eventually("a free place", || join(number))).collect();
    for _ in 0..3 {
        let mut refused = Peer::connect(&address, Pace::Whole);
        refused.give(Kind::InStream, 0, 1_000);
        let why = refused.closed().expect("there is credit for the reason");
        assert!(why.contains("limits.connections_per_uid_max"), "{why}");
    }
    daemon.wait_logged(&format!("too many connections of user {}", rustix::process::getuid().as_raw()));
    let mut by_tcp = plugin(&Address::Tcp(daemon.tcp()), "by tcp");
    by_tcp.fence();
    peers.pop();
    peers.push(eventually("the place of one that left", || join(MOST)));
    peers.iter_mut().for_each(Peer::fence);
}
