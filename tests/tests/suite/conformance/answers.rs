//! "`b` accepts with an empty message on the duplex ... `b` ends either half before that: a denial": in every order in
//! which an answer can come, beside an end of `a` that goes the other way, and each chunk of it in a write, and a receive,
//! of its own.

use Kind::{InSink, InStream, OutSink, OutStream};
use tests::audit::What;
use tests::bus::Bus;
use tests::pair::CREDIT;
use tests::peer::Peer;
use tests::wire::{Kind, chunk, in_sink, in_stream, join, out_sink};

use super::rows;
use Act::{Accept, Cancel, Close, Credit};

/// The id of the duplex at `a` in these tests.
const ID: u64 = 7;

/// A chunk of `b`'s on the duplex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    /// The empty message that accepts.
    Accept,
    /// Credit for messages of `a`.
    Credit,
    /// The end of the half that `b` writes, on which it would accept.
    Close,
    /// The end of the half that `b` reads.
    Cancel,
}

/// What `a` has ended by then, and what `b` knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    /// `a` has ended nothing.
    Nothing,
    /// The half that `a` reads (or else the one that it writes). The end to `b` waits for credit for its payload.
    Waiting { reads: bool },
    /// The end is on its way to `b`, whose answer crosses it.
    Crossing { reads: bool },
    /// `b` has acknowledged the end.
    Known { reads: bool },
}

impl Before {
    /// Whether `a` still reads, and whether it still writes.
    fn left(self) -> (bool, bool) {
        match self {
            Self::Nothing => (true, true),
            Self::Waiting { reads } | Self::Crossing { reads } | Self::Known { reads } => (!reads, reads),
        }
    }

    /// Whether `a` has ended the half on which `b` says this.
    fn concerns(self, act: Act) -> bool {
        let (reads, writes) = self.left();
        if matches!(act, Accept | Close) { !reads } else { !writes }
    }
}

/// `a` dials and ends what it does. The id at `b`.
fn dial(a: &mut Peer, b: &mut Peer, before: Before) -> u64 {
    a.dial_with(ID, b.name(), CREDIT, CREDIT);
    let (id, _) = b.offer();
    let (Before::Waiting { reads } | Before::Crossing { reads } | Before::Known { reads }) = before else { return id };
    let (a_ends, a_acked, at_b) = if reads { (OutStream, InSink, OutStream) } else { (OutSink, InStream, OutSink) };
    if !matches!(before, Before::Waiting { .. }) {
        // For the payload of the end, and no more: credit for messages would say that b wants them.
        b.give(at_b.inverted(id), id, 1);
        b.fence();
    }
    a.send(&chunk(a_ends, ID).end([]));
    a.expect(a_acked, ID, &What::AckEnd);
    if !matches!(before, Before::Waiting { .. }) {
        b.expect(at_b, id, &What::End(vec![0]));
    }
    if matches!(before, Before::Known { .. }) {
        b.ack(at_b, id);
    }
    b.fence();
    id
}

/// Sends what `b` does: all at once, or each when the one before has been read.
fn act(b: &mut Peer, id: u64, acts: &[Act], at_once: bool) {
    let chunk_of = |act: &Act| match act {
        Accept => in_sink(id).payload([]),
        Credit => in_stream(id).credit(CREDIT),
        Close => in_sink(id).end([]),
        Cancel => in_stream(id).end([]),
    };
    let chunks: Vec<_> = acts.iter().map(chunk_of).collect();
    if at_once {
        return b.send_bytes(&join(&chunks));
    }
    for chunk in chunks {
        b.send_now(&chunk);
        b.fence();
    }
}

/// What `a` is to be told: that `b` has denied, or what `b` has done after it has accepted.
fn check(a: &mut Peer, b: &mut Peer, id: u64, before: Before, acts: &[Act], denied: bool) {
    let (reads, writes) = before.left();
    if denied {
        [(InSink, reads), (InStream, writes)]
            .into_iter()
            .filter(|(_, left)| *left)
            .for_each(|(half, _)| a.expect_end(half, ID, &[1]));
    } else {
        if reads {
            a.expect(InSink, ID, &What::Message(Vec::new()));
        }
        if reads && acts.contains(&Close) {
            a.expect_end(InSink, ID, &[0]);
        }
        if writes && acts.contains(&Cancel) {
            a.expect_end(InStream, ID, &[0]);
        } else if writes && acts.contains(&Credit) {
            a.wait_credit(OutSink, ID, 2);
            a.send(&out_sink(ID).payload(b"hi"));
            b.expect(OutSink, id, &What::Message(b"hi".to_vec()));
        }
    }
    a.quiet();
    // "The server ends what is left of it": each half is over at b, too.
    for (half, last, ended) in [(OutStream, Close, acts.contains(&Close)), (OutSink, Cancel, acts.contains(&Cancel))] {
        let is_told = matches!(before, Before::Crossing { .. } | Before::Known { .. }) && before.concerns(last);
        if is_told || !denied && !ended {
            continue;
        }
        match b.next_on(half, id) {
            // The end of the relay, of what was left or was waiting for credit, may cross that of b.
            What::AckEnd | What::End(_) if ended => {}
            What::End(_) if !ended => b.ack(half, id),
            other => b.fail(&format!("on {} after {acts:?}, {before:?}: {other:?}", half.name())),
        }
    }
    b.fence();
}

fn table(bus: &Bus, before: &[Before], answers: &[(&[Act], bool)]) {
    for &before in before {
        for (acts, denied) in answers {
            let is_possible = |act: &Act| !matches!(before, Before::Known { .. }) || !before.concerns(*act);
            if !acts.iter().all(is_possible) {
                continue;
            }
            for at_once in [true, false] {
                let (mut a, mut b) = bus.next_two();
                a.begin(&format!("{before:?}, then {acts:?}, {}", if at_once { "at once" } else { "one by one" }));
                let id = dial(&mut a, &mut b, before);
                act(&mut b, id, acts, at_once);
                check(&mut a, &mut b, id, before, acts, *denied);
            }
        }
    }
}

/// Answers of which each tells by itself what it is, and whether that is a denial.
const ANSWERS: [(&[Act], bool); 11] = [
    (&[Close], true),
    (&[Cancel], true),
    (&[Close, Cancel], true),
    (&[Cancel, Close], true),
    (&[Close, Credit, Cancel], true),
    (&[Credit, Cancel, Close], true),
    (&[Accept, Credit], false),
    (&[Credit, Accept], false),
    (&[Accept, Close, Credit], false),
    (&[Accept, Cancel], false),
    (&[Accept, Cancel, Close], false),
];

#[test]
fn to_one_who_has_ended_nothing() {
    rows(|bus| table(bus, &[Before::Nothing], &ANSWERS));
}

#[test]
fn to_one_who_does_not_read_any_more() {
    let reads = true;
    let before = [Before::Waiting { reads }, Before::Crossing { reads }];
    rows(|bus| table(bus, &before, &ANSWERS));
}

#[test]
fn to_one_who_does_not_write_any_more() {
    let reads = false;
    let before = [Before::Waiting { reads }, Before::Crossing { reads }, Before::Known { reads }];
    rows(|bus| table(bus, &before, &ANSWERS));
}

/// A plugin that has no half left to accept on does so with credit, and denies with the half that it has.
#[test]
fn by_one_who_cannot_accept_any_more() {
    let answers: [(&[Act], bool); 4] =
        [(&[Cancel], true), (&[], false), (&[Credit], false), (&[Credit, Cancel], false)];
    rows(|bus| table(bus, &[Before::Known { reads: true }], &answers));
}
