//! Too many connections, for the configuration or for the system: those that are there notice nothing, and the daemon
//! goes on as soon as it can.

use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::proc;
use tests::bus::PATIENT;
use tests::daemon::{Daemon, Options};
use tests::pair::Pair;
use tests::peer::{Pace, Peer, admitted, entry};
use tests::process::eventually;
use tests::wire::{Kind, in_sink, in_stream, join, out_request};

use super::{plugin, reachable};
use crate::{CONFINED, options};

#[test]
fn connections_over_the_limit_are_refused() {
    const MOST: usize = 12;
    for shards in [1, 2] {
        let (mut daemon, [unix, tcp]) = reachable(shards, &format!("[limits]\nconnections_max = {MOST}\n"));
        // The harness itself has knocked, and its connections take a moment to be over.
        let mut peers = vec![plugin(&unix, "first")];
        eventually("the harness to be gone", || (daemon.open_files() < MOST + 30).then_some(()));
        for address in [&unix, &tcp] {
            while peers.len() < MOST {
                let name = format!("plugin {}", peers.len());
                peers.push(eventually("a free place", || admitted(address, &name)));
            }
            let mut refused: Vec<_> = [&unix, &tcp].map(|address| Peer::connect(address, Pace::Whole)).into();
            for peer in &mut refused {
                // As the library does, without waiting for an answer.
                let hello =
                    [in_stream(0).credit(1_000), in_sink(0).payload(entry(b"late", 1)), out_request(1).payload([])];
                peer.send_bytes(&join(&hello));
                let why = peer.closed().expect("there is credit for the reason");
                assert!(why.contains("limits.connections_max"), "{why}");
            }
            daemon.wait_logged("too many");
            for peer in &mut peers {
                peer.fence();
            }
            // One that leaves makes room for one.
            let mut left = peers.pop().expect("there are some");
            left.send(&in_sink(0).payload([]));
            left.closed();
        }
        let mut pair = Pair::between(peers.swap_remove(1), peers.swap_remove(0), 1);
        pair.exchange("still here", 64);
    }
}

/// "When 64 of them have said nothing yet, more are closed at once."
#[test]
fn few_of_those_refused_are_waited_for() {
    const KEPT: usize = 64;
    let (_daemon, [address, _]) = reachable(1, "[limits]\nconnections_max = 1\n");
    let mut first = eventually("a free place", || admitted(&address, "first"));
    for _ in 0..3 {
        let mut silent: Vec<Peer> = (0..KEPT + 10).map(|_| Peer::connect(&address, Pace::Whole)).collect();
        // By now the server has seen all of them.
        first.fence();
        silent.iter_mut().for_each(|peer| peer.give(Kind::InStream, 0, 1_000));
        let told = silent.into_iter().filter_map(|mut peer| peer.closed()).count();
        assert!((1..=KEPT).contains(&told), "{told} of them were told");
        first.fence();
    }
}

#[test]
fn without_descriptors_it_rests_and_recovers() {
    const FILES: usize = 64;
    const PLUGINS: usize = 100;
    /// So many that all of them find a place.
    const LEFT: usize = 30;
    for shards in [1, 2] {
        let wrapper = [CONFINED, &format!("nofile={FILES}"), "--"].map(str::to_owned).into();
        let mut daemon = Daemon::start(&Options { wrapper, ..options(shards, PATIENT) });
        let addresses = daemon.addresses();
        let mut pair = Pair::between(plugin(&addresses[0], "a"), plugin(&addresses[1], "b"), 1);
        // The kernel takes all of these; the daemon cannot.
        let connect = |number: usize| Peer::connect(&addresses[number % 2], Pace::Whole);
        let mut waiting: Vec<Peer> = (0..PLUGINS).map(connect).collect();
        daemon.wait_logged("cannot accept");
        let cpu_ns = || proc::cpu(daemon.pid()).expect("it runs").used_ns;
        let (before, begun) = (cpu_ns(), Instant::now());
        while begun.elapsed() < Duration::from_secs(1) {
            pair.exchange("still here", 64);
            sleep(Duration::from_millis(20));
        }
        let (elapsed, used) = (begun.elapsed(), Duration::from_nanos(cpu_ns() - before));
        assert!(used < elapsed / 2, "it spins: {used:?} of CPU in {elapsed:?}");
        assert!(daemon.open_files() >= FILES - 1, "all {PLUGINS} have found a place: the limit does not bind");
        waiting.drain(..PLUGINS - LEFT);
        for (number, peer) in waiting.iter_mut().enumerate() {
            peer.register(format!("plugin {number}").as_bytes(), 1);
            peer.fence();
        }
        assert_eq!(waiting[0].query().len(), LEFT + 1);
        pair.exchange("still here", 64);
        let complaints = daemon.log().iter().filter(|line| line.contains("cannot accept")).count();
        assert!(complaints <= 10, "{complaints} complaints about one time of want");
    }
}
