//! Whatever comes in, the daemon goes on: no garbage stops it, and no connection leaves anything behind.

use std::thread::sleep;
use std::time::{Duration, Instant};

use Kind::{InSink, OutSink};
use fastrand::Rng;
use tests::bus::{Bus, FEW_ROWS, PATIENT, private};
use tests::pair::{CREDIT, Pair, answer, connect};
use tests::peer::{Peer, connect_to, entry};
use tests::wire::{Chunk, Kind, chunk, in_sink, in_stream, out_sink};

use super::{Bystanders, alone};
use crate::DAEMON;

/// How long what a connection held may take to be given back. It bounds a test that fails; it measures nothing.
const PATIENCE: Duration = Duration::from_secs(15);
const SEED: u64 = 0x6d69_6e62_7573;

fn one_in(random: &mut Rng, count: u64) -> bool {
    random.u64(..count) == 0
}

fn bytes(random: &mut Rng, length: u64) -> Vec<u8> {
    (0..length).map(|_| random.u8(..)).collect()
}

/// A chunk that is often right, on ids that are often in use.
fn any_chunk(random: &mut Rng, names: &[Vec<u8>]) -> Chunk {
    let kind = Kind::ALL[random.usize(..7)];
    let mut chunk = chunk(kind, random.u64(..4));
    if one_in(random, 2) {
        let length = if one_in(random, 3) { random.u64(..20) } else { 0 };
        let connect = connect_to(&names[random.usize(..names.len())]);
        chunk = if kind == Kind::Duplex { chunk.payload(connect) } else { chunk.payload(bytes(random, length)) };
    }
    if one_in(random, 3) {
        let amount = if one_in(random, 40) { random.u64(..) } else { random.u64(..100) };
        chunk = chunk.credit(amount);
    }
    if one_in(random, 6) {
        chunk = chunk.end([]);
    }
    if one_in(random, 5) && (chunk.payload.is_some() || chunk.end.is_some()) {
        chunk = chunk.partial(1 + random.u64(..9));
    }
    chunk.ping = one_in(random, 6);
    chunk.ack_end = one_in(random, 12);
    chunk
}

/// Random bytes, with a registration before them and without.
#[test]
fn random_bytes() {
    alone(|bus| {
        let mut random = Rng::with_seed(SEED);
        let mut bystanders = Bystanders::new(bus);
        bus.forget_fillers();
        let files = bus.daemon.open_files();
        for round in 0..1500 {
            let mut peer = bus.connection();
            if one_in(&mut random, 2) {
                peer.register(&bus.name(format!("garbage {}", round % 10)), 1);
            }
            let length = random.u64(..400);
            peer.pour(&bytes(&mut random, length));
            if round % 100 == 0 {
                bystanders.notice_nothing();
            }
        }
        bystanders.notice_nothing();
        nothing_is_left(bus, &mut bystanders, files);
    });
}

/// Random chunks, from several registered plugins at once that connect to each other, some of them for long enough to do
/// much before a violation.
#[test]
fn random_chunks() {
    alone(|bus| {
        let mut random = Rng::with_seed(SEED + 1);
        let mut bystanders = Bystanders::new(bus);
        bus.forget_fillers();
        let files = bus.daemon.open_files();
        let names: Vec<Vec<u8>> = (0..4).map(|number| bus.name(format!("g{number}"))).collect();
        for round in 0..300 {
            let mut peers: Vec<Peer> = names
                .iter()
                .map(|name| {
                    let mut peer = bus.connection();
                    peer.register(name, 1);
                    peer
                })
                .collect();
            for _ in 0..40 {
                let peer = &mut peers[random.usize(..4)];
                peer.pour(&any_chunk(&mut random, &names).bytes());
            }
            if round % 20 == 0 {
                bystanders.notice_nothing();
            }
        }
        bystanders.notice_nothing();
        nothing_is_left(bus, &mut bystanders, files);
    });
}

/// Neither names nor file descriptors; those that only come between two others are not to be counted.
fn nothing_is_left(bus: &Bus, bystanders: &mut Bystanders, files: usize) {
    bus.forget_fillers();
    let give_up = Instant::now() + PATIENCE;
    loop {
        let listed = bystanders.0.a.query();
        let open = bus.daemon.open_files();
        if listed == [(bystanders.0.b.name().to_vec(), 1)] && open <= files {
            return;
        }
        assert!(Instant::now() < give_up, "left: {listed:?}, {open} files open, {files} before");
        sleep(Duration::from_millis(5));
    }
}

/// Plugins that come, connect, exchange data and go, in every way that there is.
#[test]
fn no_file_descriptor_is_leaked() {
    alone(|bus| {
        let mut bystanders = Bystanders::new(bus);
        bus.forget_fillers();
        let files = bus.daemon.open_files();
        for round in 0..100 {
            let mut pair = Pair::open(bus);
            pair.exchange("in passing", bus.step());
            match round % 5 {
                0 => pair.finish(),
                1 => pair.a.send(&in_sink(0).payload([])),
                2 => pair.b.send_now(&chunk(InSink, 77).ping()),
                3 => pair.a.shutdown_write(),
                _ => {}
            }
        }
        nothing_is_left(bus, &mut bystanders, files);
    });
}

/// 500 plugins at once: all are listed, all can be connected to, and all are told apart.
#[test]
fn five_hundred_plugins() {
    const COUNT: usize = 500;
    private(DAEMON, PATIENT, &FEW_ROWS, |bus| {
        let mut plugins: Vec<Peer> = (0..COUNT).map(|number| bus.plugin(format!("p{number:03}"))).collect();
        let names: Vec<Vec<u8>> = plugins.iter().map(|plugin| plugin.name().to_vec()).collect();
        let mut observer = bus.client();
        names.iter().for_each(|name| observer.wait_listed(name));
        let listed: Vec<Vec<u8>> = observer.query().into_iter().map(|(name, _)| name).collect();
        assert_eq!(listed, names);
        for from in 0..COUNT {
            let to = (from + 1) % COUNT;
            plugins[from].wait_listed(&names[to]);
            plugins[from].dial_with(1, &names[to], CREDIT, CREDIT);
            answer(&mut plugins[to], &entry(&names[from], 1));
            plugins[from].expect(InSink, 1, &tests::audit::What::Message(Vec::new()));
        }
        plugins.iter_mut().for_each(Peer::quiet);
    });
}

/// A reader that gives much credit and takes nothing from its socket: its writer's other connection goes on, and what it
/// was sent is there when it reads at last.
#[test]
fn a_reader_that_stalls() {
    const CREDIT_BYTES: u64 = 8 << 20;
    alone(|bus| {
        let mut bystanders = Bystanders::new(bus);
        let mut stalled = Pair::open(bus);
        let (at_a, at_b) = (stalled.at_a, stalled.at_b);
        let mut c = bus.plugin("c");
        stalled.a.wait_listed(c.name());
        let at_c = connect(&mut stalled.a, 50, &mut c);

        stalled.b.give(Kind::InStream, at_b, CREDIT_BYTES);
        stalled.a.wait_credit(OutSink, at_a, 1000);
        let mut messages = 0;
        for _ in 0..20 {
            while stalled.a.credit(OutSink, at_a) >= 1000 && messages < 8000 {
                stalled.a.send_now(&out_sink(at_a).payload([messages as u8; 1000]));
                messages += 1;
            }
            stalled.a.fence();
        }
        let Pair { a, mut b, .. } = stalled;
        let mut other = Pair { a, b: c, at_a: 50, at_b: at_c };
        other.exchange("not held up", bus.step());
        bystanders.notice_nothing();
        for message in 0..messages {
            b.expect(OutSink, at_b, &tests::audit::What::Message(vec![message as u8; 1000]));
        }
    });
}

/// A plugin that takes nothing from its socket while everybody sends to it costs the others nothing.
#[test]
fn a_plugin_that_does_not_read() {
    alone(|bus| {
        let mut bystanders = Bystanders::new(bus);
        let mut stuck = bus.plugin("stuck");
        // Pongs fill the socket towards it, until its own sending stalls or all is sent.
        stuck.pour_while_it_lasts(&in_stream(0).ping().bytes().repeat(10_000));
        bystanders.notice_nothing();
        bystanders.0.b.wait_listed(stuck.name());
        drop(stuck);
        bystanders.0.a.wait_gone(&bus.name("stuck"));
        bystanders.notice_nothing();
    });
}
