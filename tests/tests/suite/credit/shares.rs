//! Shares of users: whatever one takes, there is something left for others. To the daemon a TCP address is a user like one
//! on a unix socket.

use tests::audit::What;
use tests::peer::{Address, Peer, admitted};
use tests::wire::Kind;

use super::{connect, plugin, reachable};

/// A shard in which some hundred channels find room.
const SMALL: &str = "[credit]\nmemory_bytes = \"4 MiB\"\ncap_max_bytes = \"1 MiB\"\n";
/// Together they ask for more channels than there is room for.
const HOARDERS: usize = 25;
/// Channels that another user opens beside them.
const OTHERS: usize = 10;

/// All ask each other, and none answers: how many connects there was room for, and how many not.
fn hoard(address: &Address) -> (Vec<Peer>, usize, usize) {
    let mut peers: Vec<_> = (0..HOARDERS).map(|number| plugin(address, &format!("hoarder {number:02}"))).collect();
    let (mut waiting, mut refused) = (0, 0);
    for from in 0..HOARDERS {
        for to in (0..HOARDERS).filter(|to| *to != from) {
            let name = peers[to].name().to_vec();
            peers[from].dial_with(to as u64 + 1, &name, 8, 8);
        }
        peers[from].fence();
        for to in (0..HOARDERS).filter(|to| *to != from) {
            if peers[from].has(Kind::InSink, to as u64 + 1) {
                assert_eq!(peers[from].next_on(Kind::InSink, to as u64 + 1), What::End(vec![0]));
                refused += 1;
            } else {
                waiting += 1;
            }
        }
    }
    (peers, waiting, refused)
}

#[test]
fn who_takes_all_floors_that_it_can_leaves_some_for_others() {
    for shards in [1, 2] {
        let (_daemon, [address, tcp]) = reachable(shards, SMALL);
        let (_hoarders, waiting, refused) = hoard(&tcp);
        assert!(waiting > 0 && refused > 0, "{waiting} wait, {refused} are refused");
        let mut target = plugin(&address, "target");
        let mut others: Vec<_> = (0..OTHERS).map(|number| plugin(&address, &format!("other {number}"))).collect();
        others.iter_mut().for_each(|other| _ = connect(other, 1, &mut target, 8));
    }
}

/// "A TCP peer must not be able to take all places."
#[test]
fn no_address_takes_all_places() {
    const PLACES: usize = 64;
    let (_daemon, [unix, tcp]) = reachable(2, &format!("[limits]\nconnections_max = {PLACES}\n"));
    let peers: Vec<_> = (0..PLACES).map_while(|number| admitted(&tcp, &format!("greedy {number}"))).collect();
    assert!((PLACES / 2..=PLACES / 4 * 3).contains(&peers.len()), "{} found a place", peers.len());
    let mut others: Vec<_> = (0..PLACES / 8).map(|number| plugin(&unix, &format!("other {number}"))).collect();
    others.iter_mut().for_each(Peer::fence);
}
