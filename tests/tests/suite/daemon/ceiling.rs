//! The memory ceiling: what the daemon prints is what it keeps to, whatever its plugins do.

use Kind::{InSink, InStream, OutSink};
use testkit::proc;
use tests::audit::What;
use tests::pair::{Pair, answer};
use tests::peer::{Address, Pace, Peer, entry};
use tests::stats::{PAGE_CREDIT, page};
use tests::wire::{Chunk, Kind, join, out_request, out_sink, out_stream};

use super::{plugin, reachable};

/// What the daemon says is its ceiling, in bytes.
fn ceiling(asker: &mut Peer) -> u64 {
    let totals = page(asker, 1, 0, 0, PAGE_CREDIT).totals.expect("it is the first page");
    assert!(totals.ceiling.len() >= 5, "{totals:?}");
    totals.ceiling.iter().map(|(_, bytes)| bytes).sum()
}

/// Plugins of which the first writes all that it may in messages of this size, and the second reads nothing.
pub(super) fn stalled(address: &Address, number: usize, message: usize) -> (Peer, Peer) {
    let mut reader = plugin(address, &format!("reader {number}"));
    let mut writer = plugin(address, &format!("writer {number}"));
    writer.dial_with(1, reader.name(), 0, 0);
    let id = answer(&mut reader, &entry(writer.name(), 1));
    writer.expect(InSink, 1, &What::Message(Vec::new()));
    reader.give(InStream, id, 1 << 40);
    let mut silent = 0;
    while silent < 3 {
        silent = if write_all_there_is_credit_for(&mut writer, message) { 0 } else { silent + 1 };
    }
    (writer, reader)
}

/// Writes on, and says whether there was any credit.
pub(super) fn write_all_there_is_credit_for(writer: &mut Peer, message: usize) -> bool {
    writer.fence();
    let credit = writer.credit(OutSink, 1) as usize;
    let messages: Vec<Chunk> = (0..credit / message).map(|_| out_sink(1).payload(vec![1; message])).collect();
    writer.send_bytes(&join(&messages));
    writer.send_now(&out_sink(1).payload(vec![1; credit % message]));
    credit > 0
}

/// A peer that asks so often who is there, follows it, and gives no credit for the answers.
fn curious(address: &Address, number: usize) -> Peer {
    let mut peer = plugin(address, &format!("curious {number}"));
    peer.send(&out_stream(1).payload([]));
    let questions: Vec<Chunk> = (1..=1_000).map(|id| out_request(id).payload([])).collect();
    peer.send_bytes(&join(&questions));
    peer.fence();
    peer
}

#[test]
fn it_is_kept_to_under_all_loads_at_once() {
    const CONFIG: &str = "[credit]\nmemory_bytes = \"8 MiB\"\ncap_max_bytes = \"1 MiB\"\n\
        [limits]\noverhead_memory_bytes = \"8 MiB\"\nconnections_max = 2000\n\
        [socket]\nunix_send_buffer_bytes = 16384\n";
    let (daemon, [unix, _]) = reachable(1, CONFIG);
    let mut pair = Pair::between(plugin(&unix, "a"), plugin(&unix, "b"), 1);
    let mut asker = plugin(&unix, "asker");
    let ceiling = ceiling(&mut asker);
    assert!(ceiling < 160 << 20, "such a daemon is small, and not {ceiling} bytes");

    let mut kept: Vec<_> = (0..20).map(|number| curious(&unix, number)).collect();
    for (number, message) in [1, 10, 1_000, 9_000, 100_000].into_iter().cycle().take(100).enumerate() {
        let (writer, reader) = stalled(&unix, number, message);
        kept.extend([writer, reader]);
    }
    kept.extend((0..200).map(|number| plugin(&unix, &format!("idle {number}"))));
    pair.exchange("still here", 64);
    let totals = page(&mut asker, 1, 0, 0, PAGE_CREDIT).totals.expect("it is the first page");
    let [_, _, memory, promised, _, overhead, ..] = totals.numbers;
    assert!(promised > memory / 2, "only {promised} of {memory} bytes are promised");
    assert!(overhead > 2 << 20, "the connections cost only {overhead} bytes");
    let most = proc::memory_bytes(daemon.pid(), proc::Memory::Peak).expect("it runs");
    assert!(most <= ceiling, "{most} bytes were resident, and the ceiling is {ceiling}: {totals:?}");
}

#[test]
fn whoever_costs_most_has_to_go_when_all_cost_too_much() {
    let (mut daemon, [unix, _]) = reachable(2, "[limits]\noverhead_memory_bytes = \"1 MiB\"\n");
    let mut pair = Pair::between(plugin(&unix, "a"), plugin(&unix, "b"), 1);
    let mut greedy = Peer::connect(&unix, Pace::Whole);
    greedy.register(b"greedy", 1);
    greedy.fence();
    let questions: Vec<Chunk> = (1..=20_000).map(|id| out_request(id).payload([])).collect();
    greedy.pour(&join(&questions));
    greedy.closed();
    let line = daemon.wait_logged("besides payload");
    assert!(line.contains("greedy"), "{line}");
    pair.exchange("still here", 64);
    // What it cost is free again.
    let mut next = plugin(&unix, "greedy");
    next.send_bytes(&join(&questions[..500]));
    next.fence();
}
