//! Requests about the relay: who may make them, what is wrong with them, and how long an answer may be.

use Kind::{InRequest, OutRequest, OutSink};
use tests::audit::What;
use tests::bus::{Bus, FEW_ROWS, PATIENT, private};
use tests::pair::Pair;
use tests::peer::{Address, Pace, Peer};
use tests::stats::{PAGE_CREDIT, flows, page, parse, request};
use tests::wire::{Kind, chunk, out_request};

use super::open_to_anyone;
use crate::DAEMON;

/// The least credit for which there is a page.
const PAGE_CREDIT_MIN: u64 = 1024;

/// A request is declined with this payload.
fn declined(peer: &mut Peer, opening: &[u8], payload: &[u8]) {
    peer.send(&out_request(1).payload(opening).credit(100));
    peer.expect_end(InRequest, 1, payload);
}

#[test]
fn what_is_wrong_is_declined_with_a_reason() {
    private(DAEMON, &open_to_anyone(), &FEW_ROWS, |bus| {
        let mut asker = bus.client();
        for other in [&[0x10][..], &[0x10, 0], &[0x10, 2], &[0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            declined(&mut asker, other, &[1, 1, 1]);
        }
        let right = request(0, 0);
        for malformed in [&right[..11], &[&right[..], &[0]].concat(), &[0x10, 1]] {
            declined(&mut asker, malformed, &[3]);
        }
        declined(&mut asker, &request(bus.row.shards as u16, 0), &[4]);
        declined(&mut asker, &[0x11], &[]);
        assert!(page(&mut asker, 1, 0, 0, PAGE_CREDIT).flows.is_empty());
    });
}

#[test]
fn only_those_who_may_get_an_answer() {
    let config = |stats: &str| PATIENT.replace("[bus]\n", &format!("[bus]\nstats = \"{stats}\"\n"));
    for (stats, unix, tcp) in [("owner", true, false), ("nobody", false, false), ("anyone", true, true)] {
        private(DAEMON, &config(stats), &FEW_ROWS[..1], |bus| {
            for (address, allowed) in
                [(Address::Unix(bus.daemon.unix().to_owned()), unix), (Address::Tcp(bus.daemon.tcp()), tcp)]
            {
                let mut asker = Peer::connect(&address, Pace::Whole);
                asker.register(b"", 0);
                if allowed {
                    page(&mut asker, 1, 0, 0, PAGE_CREDIT);
                } else {
                    declined(&mut asker, &request(0, 0), &[2]);
                    declined(&mut asker, &[0x10], &[2]);
                }
            }
        });
    }
}

fn channels(bus: &Bus, count: usize) -> Vec<Pair> {
    (0..count).map(|_| Pair::open(bus)).collect()
}

#[test]
fn small_pages_tell_the_same_as_large_ones() {
    private(DAEMON, &open_to_anyone(), &FEW_ROWS, |bus| {
        let pairs = channels(bus, 20);
        let mut asker = bus.client();
        let mut told = |credit| {
            let mut flows: Vec<_> = flows(&mut asker, credit)
                .into_iter()
                .map(|flow| (flow.writer_name, flow.reader_name, flow.opener, flow.numbers))
                .collect();
            flows.sort();
            flows
        };
        let large = told(PAGE_CREDIT);
        assert_eq!(large.len(), 2 * pairs.len());
        assert_eq!(told(PAGE_CREDIT_MIN), large);
        for pair in &pairs {
            for (writer, reader, opener) in [(&pair.a, &pair.b, true), (&pair.b, &pair.a, false)] {
                let is_it = |(from, to, by, _): &&(Vec<u8>, Vec<u8>, bool, [u64; 7])| {
                    (&from[..], &to[..], *by) == (writer.name(), reader.name(), opener)
                };
                assert_eq!(large.iter().filter(is_it).count(), 1);
            }
        }
    });
}

#[test]
fn an_asker_without_credit_gets_nothing_and_holds_up_nobody() {
    private(DAEMON, &open_to_anyone(), &FEW_ROWS, |bus| {
        let mut asker = bus.client();
        for id in 1..=4 {
            asker.send(&out_request(id).payload(request(0, 0)).credit(PAGE_CREDIT_MIN - 1));
        }
        asker.quiet();
        // Too many wait by now.
        asker.send(&out_request(5).payload(request(0, 0)).credit(PAGE_CREDIT));
        asker.expect_end(InRequest, 5, &[5]);
        // The one that is taken back makes room, and the one that gets its credit is answered, whatever waits before it.
        asker.send(&chunk(OutRequest, 2).end([]));
        asker.expect(InRequest, 2, &What::AckEnd);
        page(&mut asker, 6, 0, 0, PAGE_CREDIT);
        asker.send(&chunk(OutRequest, 3).credit(1));
        let answer = asker.message(InRequest, 3);
        asker.send_now(&chunk(OutRequest, 3).ack_end());
        assert!(parse(&answer).totals.is_some());
        asker.quiet();
        // It leaves while others wait; nobody misses it.
        drop(asker);
        let mut other = bus.client();
        assert!(page(&mut other, 1, 0, 0, PAGE_CREDIT).flows.is_empty());
    });
}

#[test]
fn a_shard_tells_how_it_is() {
    private(DAEMON, &open_to_anyone(), &FEW_ROWS, |bus| {
        let pairs = channels(bus, 3);
        let mut asker = bus.client();
        let (mut connections, mut legs, mut promised) = (0, 0, 0);
        for shard in 0..bus.row.shards as u16 {
            let totals = page(&mut asker, 1, shard, 0, PAGE_CREDIT).totals.expect("it is the first page");
            let [here, legs_here, memory, promised_here, most, overhead, buffers, free, overflows, ticks] =
                totals.numbers;
            assert!(memory == 64 << 20 && promised_here <= memory && free <= buffers && ticks > 0);
            assert!(most == 128 << 20 && overhead >= 1024 * here && overhead <= most);
            assert_eq!((buffers, overflows), (64, 0));
            connections += here;
            legs += legs_here;
            promised += promised_here;
        }
        assert_eq!(legs, 4 * pairs.len() as u64 / 2);
        assert!(connections > legs, "each is a plugin's, and there is the asker");
        assert!(promised >= legs * pairs[0].a.credit(OutSink, pairs[0].at_a));
    });
}
