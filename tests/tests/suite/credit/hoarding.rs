//! Receive buffers are there for all: what waits for somebody who does not read, or is not read itself, gives them back.

use tests::audit::What;
use tests::pair::Pair;
use tests::peer::{Address, Peer};
use tests::wire::{Kind, in_stream, out_sink};

use super::{connect, plugin, reachable, two};

/// So few buffers, and small sockets, which are soon full.
const BUFFERS: usize = 8;
/// More than that, so that each could hold one.
const HOARDERS: usize = 2 * BUFFERS;

fn config() -> String {
    format!(
        "[engine]\nreceive_buffers = {BUFFERS}\n[socket]\nunix_send_buffer_bytes = 16384\n\
         [limits]\nwork_units_per_s = 10_000_000\nwork_burst_units = 10_000_000\n"
    )
}

fn healthy(address: &Address) -> Pair {
    Pair::between(plugin(address, "healthy a"), plugin(address, "healthy b"), 1)
}

/// A message stands behind so many pings that the turn of its writer is over before it.
#[test]
fn what_a_turn_leaves_behind_keeps_no_buffer() {
    const PINGS: usize = 3_000;
    const MESSAGE_BYTES: u64 = 4_096;
    /// Of these the relay makes copies at once, so that no buffer is kept for them, and no backlog begins.
    const SHORT_BYTES: usize = 1_000;
    let (_daemon, [address, _]) = reachable(1, &config());
    let mut pair = healthy(&address);
    let mut writer = plugin(&address, "writer");
    let mut readers: Vec<Peer> = (0..HOARDERS).map(|n| plugin(&address, &format!("reader {n}"))).collect();
    let (short, message) = (vec![1; SHORT_BYTES], vec![3; MESSAGE_BYTES as usize]);
    for (id, reader) in (1..).zip(&mut readers) {
        writer.wait_listed(reader.name());
        connect(&mut writer, id, reader, 1 << 40);
        writer.wait_credit(Kind::OutSink, id, 2 * MESSAGE_BYTES);
        // Until credit does not come back any more, since the reader's socket is full.
        while writer.credit(Kind::OutSink, id) >= 3 * MESSAGE_BYTES {
            writer.send_now(&out_sink(id).payload(&short));
            writer.fence();
        }
    }
    let pings = in_stream(0).ping().bytes().repeat(PINGS);
    for id in 1..=HOARDERS as u64 {
        assert!(writer.pour(&[&pings[..], &out_sink(id).payload(&message).bytes()].concat()));
        pair.exchange("not starved", 64);
    }
}

/// Writers of empty messages are not read any more when these pile up; what of them has been received waits, too.
#[test]
fn writers_that_are_not_read_keep_no_buffer() {
    const EMPTY: usize = 10_000;
    /// More than a turn of them, so that something is left of the buffer when its writer is stopped.
    const PINGS: usize = 3_000;
    let (_daemon, [address, _]) = reachable(1, &config());
    let mut pair = healthy(&address);
    let mut hoarders = Vec::new();
    let block = [out_sink(1).payload([]).bytes().repeat(EMPTY), in_stream(0).ping().bytes().repeat(PINGS)].concat();
    for number in 0..HOARDERS {
        let (mut a, mut b) =
            (plugin(&address, &format!("writer {number}")), plugin(&address, &format!("reader {number}")));
        a.wait_listed(b.name());
        connect(&mut a, 1, &mut b, 0);
        a.pour_while_it_lasts(&block);
        hoarders.push((a, b));
        pair.exchange("not starved", 64);
    }
}

/// Messages that are paid for with credit are no reason not to read their writer, however short they are.
#[test]
fn short_messages_to_a_stalled_reader_hold_nobody_up() {
    const MESSAGES: usize = 900_000;
    let (_daemon, [address, _]) =
        reachable(1, "[credit]\ncap_initial_bytes = \"2 MiB\"\n[socket]\nunix_send_buffer_bytes = 16384\n");
    let (mut a, mut b) = two(&address, "a", "b");
    connect(&mut a, 1, &mut b, 1 << 40);
    a.wait_credit(Kind::OutSink, 1, MESSAGES as u64);
    assert!(a.pour(&out_sink(1).payload([7]).bytes().repeat(MESSAGES)));
    a.fence();
}

/// "Control overtakes payload": also payload in so short pieces that the relay makes copies of them at once.
#[test]
fn control_is_not_kept_out_by_copies() {
    const WRITERS: usize = 12;
    const MESSAGES: usize = 60;
    const MESSAGE_BYTES: usize = 1_000;
    /// Less than half of what is sent, and more than two sends may hold of copies.
    const BEFORE_BYTES_MAX: u64 = 400 << 10;
    let (_daemon, [address, _]) = reachable(1, &config());
    let mut reader = plugin(&address, "reader");
    let mut ids = Vec::new();
    let mut writers: Vec<Peer> = (0..WRITERS).map(|n| plugin(&address, &format!("writer {n}"))).collect();
    for writer in &mut writers {
        writer.wait_listed(reader.name());
        ids.push(connect(writer, 1, &mut reader, 1 << 40));
        writer.wait_credit(Kind::OutSink, 1, (MESSAGES * MESSAGE_BYTES) as u64);
    }
    // A ping between any two messages keeps them from being passed on together.
    let block = [out_sink(1).payload(vec![5; MESSAGE_BYTES]).bytes(), in_stream(0).ping().bytes()].concat();
    for writer in &mut writers {
        assert!(writer.pour(&block.repeat(MESSAGES)));
        // All of it has been read then: what the first one sends is on its way, and stuck, before the others come.
        (0..MESSAGES).for_each(|_| writer.expect(Kind::InSink, 0, &What::Pong));
    }
    reader.send_now(&in_stream(0).ping());
    // It has been read as well, by all that anybody can tell.
    (0..10).for_each(|_| writers.iter_mut().for_each(Peer::fence));
    reader.expect(Kind::InSink, 0, &What::Pong);
    let before: u64 = ids.iter().map(|id| reader.bytes_total(Kind::OutSink, *id)).sum();
    assert!(before <= BEFORE_BYTES_MAX, "{before} bytes came before the answer");
}
