//! Chains, trees and circles of plugins that wait.

use std::time::Duration;

use minbus::Flow;

use super::*;

/// From this many bytes on a flow moves.
const MOVING: u64 = 1_000;

/// A flow that has waited for all of its life.
fn flow(writer: &str, reader: &str, state: FlowState, bytes: u64) -> Sample {
    let end = |name: &str| {
        let port = name.bytes().fold(0, |port, byte| port * 256 + u64::from(byte));
        End { name: Name::new(name).expect("short"), connection: ConnectionId { shard: 0, port } }
    };
    let age = Duration::from_secs(1);
    let mut times = [Duration::ZERO; 5];
    times[state as usize] = age;
    let flow = Flow {
        writer: end(writer),
        reader: end(reader),
        opened_by_writer: true,
        state,
        age,
        times,
        bytes,
        messages: 1,
        stalls: 0,
        credit_bytes: 0,
        banked_bytes: 0,
        held_bytes: 2048,
        cap_bytes: 4096,
    };
    // All of it came before anybody looked, unless it is a lot.
    let moving = Flow { age: Duration::ZERO, times: [Duration::ZERO; 5], bytes: bytes.min(MOVING - 1), ..flow.clone() };
    Sample::new(flow, Some(&moving))
}

fn label(name: &str) -> Label {
    Label::Plugin(Name::new(name).expect("short"))
}

fn ask(name: &str, flows: &[(&str, &str, FlowState, u64)]) -> Answer {
    let samples: Vec<_> = flows.iter().map(|&(from, to, state, bytes)| flow(from, to, state, bytes)).collect();
    answer(&Name::new(name).expect("short"), &samples)
}

/// The chains, as the names on them and the root.
fn chains(answer: &Answer) -> Vec<(String, &Root)> {
    let names = |chain: &Chain| chain.steps.iter().map(|step| step.writer.to_string()).collect::<Vec<_>>().join(" ");
    answer.waits.iter().map(|chain| (names(chain), &chain.root)).collect()
}

use FlowState::{Cap, Egress, Idle, Reader, Relay};

#[test]
fn a_chain_is_followed_to_the_one_that_waits_for_nobody() {
    let flows = [("a", "b", Reader, 1), ("b", "c", Egress, 1), ("c", "d", Idle, 1), ("x", "a", Reader, 1)];
    let answer = ask("a", &flows);
    assert_eq!(chains(&answer), [("a b".to_owned(), &Root::Plugin(label("c")))]);
    let text = "a waits for b, which gives it no credit (100 % of the time).\n\
                b waits for c, which does not take what lies ready for it, 2.00 KiB here (100 % of the time).\n\
                c waits for nobody on the bus: it is the root.\n";
    assert_eq!(answer.text(), text);
    let text = "c waits for nobody on the bus.\n\
                b waits for c, which does not take what lies ready for it, 2.00 KiB here (100 % of the time).\n";
    assert_eq!(ask("c", &flows).text(), text);
    assert_eq!(ask("d", &flows).text(), "d waits for nobody on the bus.\n");
}

#[test]
fn the_relay_ends_a_chain() {
    for (state, root) in [(Cap, Root::Cap), (Relay, Root::Relay)] {
        let answer = ask("a", &[("a", "b", Reader, 1), ("b", "c", state, 1), ("c", "d", Reader, 1)]);
        assert_eq!(chains(&answer), [("a b".to_owned(), &root)]);
    }
}

#[test]
fn a_circle_is_found_wherever_it_begins() {
    let flows = [("x", "a", Reader, 1), ("a", "b", Reader, 1), ("b", "c", Egress, 1), ("c", "a", Reader, 1)];
    assert_eq!(chains(&ask("a", &flows)), [("a b c".to_owned(), &Root::Cycle(label("a")))]);
    let answer = ask("x", &flows);
    assert_eq!(chains(&answer), [("x a b c".to_owned(), &Root::Cycle(label("a")))]);
    assert!(answer.text().contains("in a circle"));
    // Where something moves, they only take turns.
    let moving = flows.map(|(from, to, state, _)| (from, to, state, MOVING));
    let answer = ask("x", &moving);
    assert_eq!(chains(&answer), [("x a b c".to_owned(), &Root::Turns(label("a")))]);
    assert!(answer.text().contains("1 B/s get through") && answer.text().contains("in turns"), "{}", answer.text());
    // Two that wait for each other on one channel.
    assert_eq!(chains(&ask("b", &[("a", "b", Reader, 1), ("b", "a", Reader, 1)])).len(), 1);
}

#[test]
fn every_reason_is_named() {
    let flows = [("a", "b", Reader, 1), ("a", "c", Reader, 1), ("c", "d", Reader, 1), ("c", "e", Reader, 1)];
    let answer = ask("a", &flows);
    let roots: Vec<_> = chains(&answer).into_iter().map(|(_, root)| root.clone()).collect();
    assert_eq!(roots, ["b", "d", "e"].map(|name| Root::Plugin(label(name))));
}

#[test]
fn a_thicket_is_cut_short() {
    let names: Vec<_> = (b'a'..=b'z').map(|name| char::from(name).to_string()).collect();
    let pairs = names.iter().enumerate().flat_map(|(at, from)| names[at + 1..].iter().map(move |to| (from, to)));
    let flows: Vec<_> = pairs.map(|(from, to)| (from.as_str(), to.as_str(), Reader, 1)).collect();
    assert_eq!(ask("a", &flows).waits.len(), CHAINS_MAX);
}

#[test]
fn a_way_back_that_nobody_uses_holds_up_nobody() {
    let answer = ask("a", &[("a", "b", Reader, 1), ("b", "a", Reader, 0)]);
    assert_eq!(chains(&answer), [("a".to_owned(), &Root::Plugin(label("b")))]);
    assert!(ask("a", &[("b", "a", Reader, 0)]).held_up.is_empty());
    // But it is told when it is asked for.
    assert_eq!(chains(&ask("b", &[("b", "a", Reader, 0)])).len(), 1);
}
