//! Many plugins at once.

use tests::audit::What;
use tests::bus::{Bus, PATIENT};
use tests::pair::answer;
use tests::peer::entry;
use tests::wire::{Kind, in_sink, in_stream, out_sink};

use super::crossed;

const PLUGINS: usize = 500;
/// Descriptors for them and for the tests that run beside this one; the daemon needs no more.
const DESCRIPTORS: u64 = 1_500;
/// The id of the connection that each of them opens.
const ID: u64 = 7;
/// More than one goes in a write, and more than a receive buffer holds.
const SIZES: [usize; 3] = [0, 64, 5_000];

#[test]
fn five_hundred_plugins_talk_to_their_neighbours_at_once() {
    if !tests::descriptors::suffice(DESCRIPTORS) {
        return;
    }
    crossed(PATIENT, |bus: &Bus| {
        let mut peers: Vec<_> = (0..PLUGINS).map(|number| bus.plugin(format!("{number:03}"))).collect();
        let mut expected: Vec<_> = peers.iter().map(|peer| (peer.name().to_vec(), 1)).collect();
        // The bus knows them all, in the order of their names; each but the one that asks.
        for asker in [0, PLUGINS / 2, PLUGINS - 1] {
            let own = expected.remove(asker);
            assert_eq!(peers[asker].query(), expected);
            expected.insert(asker, own);
        }
        // Each step is taken by all of them before the next, so that all channels are open at the same time.
        let neighbour = |number: usize| (number + 1) % PLUGINS;
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.dial_with(ID, &expected[neighbour(number)].0, 1 << 20, 8);
        }
        let mut offered = vec![0; PLUGINS];
        for (number, (asker, _)) in expected.iter().enumerate() {
            let asked = neighbour(number);
            offered[asked] = answer(&mut peers[asked], &entry(asker, 1));
            peers[asked].send_now(&in_stream(offered[asked]).credit(1 << 20));
        }
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.expect(Kind::InSink, ID, &What::Message(Vec::new()));
            let most = SIZES[SIZES.len() - 1] as u64;
            peer.wait_credit(Kind::OutSink, ID, most);
            peer.wait_credit(Kind::InSink, offered[number], most);
            for size in SIZES {
                peer.send_now(&out_sink(ID).payload(content(number, true, size)));
                peer.send_now(&in_sink(offered[number]).payload(content(number, false, size)));
            }
        }
        for (number, peer) in peers.iter_mut().enumerate() {
            let asker = (number + PLUGINS - 1) % PLUGINS;
            for size in SIZES {
                peer.expect(Kind::OutSink, offered[number], &What::Message(content(asker, true, size)));
                peer.expect(Kind::InSink, ID, &What::Message(content(neighbour(number), false, size)));
            }
        }
        // Half of them leave; the others lose both of their neighbours.
        for peer in peers.iter_mut().step_by(2) {
            peer.send(&in_sink(0).payload([]));
        }
        for (number, peer) in peers.iter_mut().enumerate().skip(1).step_by(2) {
            peer.refused(ID, &[1]);
            peer.expect_ends(offered[number], &[1]);
        }
        peers[1].wait_gone(&expected[0].0);
        let left: Vec<_> = expected.iter().enumerate().filter(|(at, _)| at % 2 == 1 && *at != 1).collect();
        let left: Vec<_> = left.into_iter().map(|(_, entry)| entry.clone()).collect();
        assert_eq!(peers[1].query(), left);
    });
}

/// What plugin `number` sends forth or back.
fn content(number: usize, forth: bool, size: usize) -> Vec<u8> {
    (0..size).map(|at| (number * 7 + at * 13 + usize::from(forth)) as u8).collect()
}
