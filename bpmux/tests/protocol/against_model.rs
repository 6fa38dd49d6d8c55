//! Links and the model under random operations: see [`Trial`].

use bpmux::Limits;
use oracle::audit::{State, TOP_READ};
use oracle::wire::{self, Chunk, Kind};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::trial::Trial;

const LIMITS: Limits = Limits { halves_max: 8, openings_partial_max: 2 };

/// The kinds that a peer opens, and the kinds in which it then speaks of what we opened.
const KINDS: [Kind; 7] =
    [Kind::OutRequest, Kind::OutSink, Kind::OutStream, Kind::Duplex, Kind::InRequest, Kind::InSink, Kind::InStream];

#[derive(Clone, Debug)]
enum Op {
    /// A chunk of the peer's, about a half that is there if `about` says so.
    Peer {
        chunk: Chunk,
        about: Option<Index>,
        cuts: Vec<Index>,
    },
    Open {
        kind: Kind,
        opening: Vec<u8>,
        /// Bytes of the opening payload of a duplex that follow later.
        later: u64,
        credit: u64,
    },
    Grant(Index, u64),
    Ping(Index),
    Pong(Index),
    End(Index, Vec<u8>),
    Part {
        half: Index,
        total: u64,
        len: u64,
    },
    Flush {
        room: usize,
    },
}

fn chunks() -> impl Strategy<Value = Chunk> {
    let payload = || prop::collection::vec(any::<u8>(), 0..6);
    let amount = prop_oneof![9 => 0..20_u64, 1 => Just(u64::MAX)];
    let fields = (
        prop::option::weighted(0.6, payload()),
        prop::option::weighted(0.3, amount),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.15, payload()),
        prop::bool::weighted(0.1),
    );
    let fields = prop_oneof![6 => fields, 1 => Just((None, None, false, None, true))];
    let partial = prop::option::weighted(0.25, 1..12_u64);
    // Not id 0: what a link says about an `Out-Sink 0` of the peer looks like what it says about the top level.
    (partial, prop::sample::select(&KINDS[..]), 1..5_u64, fields).prop_map(
        |(partial, kind, id, (payload, credit, ping, end, ack_end))| Chunk {
            partial,
            kind,
            id,
            payload,
            credit,
            ping,
            end,
            ack_end,
        },
    )
}

fn ops() -> impl Strategy<Value = Op> {
    let index = any::<Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 0..4);
    let peer = (chunks(), prop::option::weighted(0.75, index()), prop::collection::vec(index(), 0..6));
    prop_oneof![
        12 => peer.prop_map(|(chunk, about, cuts)| Op::Peer { chunk, about, cuts }),
        2 => (prop::sample::select(&KINDS[..4]), bytes(), 0..3_u64, 0..20_u64)
            .prop_map(|(kind, opening, later, credit)| Op::Open { kind, opening, later, credit }),
        4 => (index(), 0..30_u64).prop_map(|(half, amount)| Op::Grant(half, amount)),
        1 => index().prop_map(Op::Ping),
        1 => index().prop_map(Op::Pong),
        2 => (index(), bytes()).prop_map(|(half, payload)| Op::End(half, payload)),
        3 => (index(), 0..9_u64, 0..9_u64).prop_map(|(half, total, len)| Op::Part { half, total, len }),
        2 => prop_oneof![1 => Just(usize::MAX), 2 => 0..80_usize].prop_map(|room| Op::Flush { room }),
    ]
}

fn run(trial: &mut Trial, op: Op) {
    match op {
        Op::Peer { mut chunk, about, cuts } => {
            if let Some(about) = about {
                (chunk.kind, chunk.id) = pick(trial, &about).half;
            }
            let len = chunk.bytes().len();
            trial.peer(&chunk, cuts.iter().map(|cut| cut.index(len + 1)).collect());
        }
        Op::Open { kind, opening, later, credit } => _ = trial.open(kind, &opening, later, credit),
        Op::Flush { room } => trial.flush(room),
        Op::Grant(half, amount) => trial.grant(&pick(trial, &half), amount),
        Op::Ping(half) => trial.ping(&pick(trial, &half)),
        Op::Pong(half) => trial.pong(&pick(trial, &half)),
        Op::End(half, payload) => trial.end(&pick(trial, &half), &payload),
        Op::Part { half, total, len } => trial.part(&pick(trial, &half), total, len),
    }
    trial.compare();
}

/// One of the halves there are, as the model knows it.
fn pick(trial: &Trial, which: &Index) -> State {
    let halves: Vec<&State> = trial.model.halves().collect();
    (*which.get(&halves)).clone()
}

/// The halves beside the top level.
fn others(trial: &Trial) -> Vec<State> {
    trial.model.halves().filter(|half| !half.is_top()).cloned().collect()
}

/// Everything is ended from this side, and the peer acks.
fn finish(trial: &mut Trial) {
    trial.flush(usize::MAX);
    others(trial).iter().for_each(|half| trial.end(half, b""));
    trial.flush(usize::MAX);
    for half in others(trial) {
        trial.peer(&wire::chunk(half.half.0, half.half.1).ack_end(), Vec::new());
    }
    trial.compare();
    assert_eq!((trial.link.peer_halves(), others(trial).len()), (0, 0));
    // No partial opening is still counted.
    for id in 1..=u64::from(LIMITS.openings_partial_max) {
        trial.peer(&wire::out_sink(id).payload(b"").partial(1), Vec::new());
    }
    assert_eq!(trial.link.peer_halves(), LIMITS.openings_partial_max);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_chunk_does_what_the_model_says(ops in prop::collection::vec(ops(), 1..120)) {
        let mut trial = Trial::new(LIMITS);
        let top = trial.model.state(TOP_READ).clone();
        trial.grant(&top, 100);
        ops.into_iter().for_each(|op| run(&mut trial, op));
        finish(&mut trial);
    }
}
