//! The conversations that the vectors write down, held by links and by the model.

use oracle::audit::{Part, Purpose, State, TOP_READ, What as Said, seen_by_other};
use oracle::vectors::{Block, CONVERSATIONS, blocks, hex, meaning};
use oracle::wire::{Chunk, in_stream, parse_all};

use crate::support::{LIMITS, TOP_CREDIT};
use crate::trial::{Trial, Want};

type Lines = Vec<(String, String)>;

/// The kinds in which a half is named by who has opened it, and by the other end.
const KINDS: [(&str, &str); 3] = [("Out-Request", "In-Request"), ("Out-Sink", "In-Stream"), ("Out-Stream", "In-Sink")];

fn line(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// The block for each role that this end can have in a half.
fn for_each_half(lines: &Lines, reads: bool) -> Vec<Lines> {
    let roles = KINDS.iter().flat_map(|(out, inverted)| {
        let opened = vec![
            line("got", &format!("{out} 400 payload=empty credit=10")),
            line("give", &format!("{inverted} 400 10")),
            line("flush", ""),
        ];
        let opens = vec![
            line("open", &format!("{out} 1 payload=empty credit=10")),
            line("flush", ""),
            line("got", &format!("{inverted} 1 credit=10")),
        ];
        [(opened, out, inverted, 400), (opens, inverted, out, 1)]
    });
    let roles = roles.filter(|(_, theirs, ..)| !reads || ["Out-Sink", "In-Sink"].contains(theirs));
    roles
        .map(|(mut setup, theirs, ours, id)| {
            let (theirs, ours) = (format!("{theirs} {id}"), format!("{ours} {id}"));
            setup.extend(replaced(lines, "THEIRS", &theirs));
            replaced(&setup, "OURS", &ours)
        })
        .collect()
}

fn replaced(lines: &Lines, name: &str, by: &str) -> Lines {
    lines.iter().map(|(key, value)| line(key, &value.replace(name, by))).collect()
}

/// The lines of a block, in all the ways in which it is to be played.
fn ways(block: &Block) -> Vec<Lines> {
    let is_set = |(key, _): &&(String, String)| ["for", "half"].contains(&key.as_str());
    let lines = block.lines.iter().filter(|line| !is_set(line)).cloned().collect();
    block.lines.iter().filter(is_set).fold(vec![lines], |ways, (key, value)| {
        let each = |lines: &Lines| match value.split_once(' ') {
            Some((name, values)) if key == "for" => values.split(", ").map(|by| replaced(lines, name, by)).collect(),
            _ => for_each_half(lines, value == "read"),
        };
        ways.iter().flat_map(each).collect()
    })
}

/// A half as chunks of this end name it, and what else stands in the line.
fn half(trial: &Trial, value: &str) -> (State, Vec<String>) {
    let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    let Chunk { kind, id, .. } = meaning(&words[..2].join(" "));
    let half = trial.model.halves().find(|half| half.half == seen_by_other(kind, id)).expect("it is there");
    (half.clone(), words[2..].to_vec())
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("not a number: {word}"))
}

fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() { "empty".to_owned() } else { bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
}

fn event((_, want): &(usize, Want)) -> String {
    match want {
        Want::Opened(_) => "opened".to_owned(),
        Want::Missed => "missed".to_owned(),
        Want::Did(Said::Credit(amount)) => format!("credit {amount}"),
        Want::Did(Said::Ping) => "ping".to_owned(),
        Want::Did(Said::Pong) => "pong".to_owned(),
        Want::Did(Said::AckEnd) => "acked".to_owned(),
        Want::Did(Said::Crossed) => "crossed".to_owned(),
        Want::Did(Said::Part(Part { purpose, total, first, last, bytes })) => {
            let what = match purpose {
                Purpose::Open => "opening",
                Purpose::Message => "message",
                Purpose::End => "end",
            };
            let place = match (first, last) {
                (true, true) => return format!("{what} {}", shown(bytes)),
                (true, false) => "first",
                (false, false) => "more",
                (false, true) => "last",
            };
            format!("{what} {total} {place} {}", shown(bytes))
        }
        Want::Did(other) => panic!("no link says {other:?}"),
    }
}

/// Plays a conversation, and prints it on the way.
fn play(title: &str, lines: &Lines) {
    println!("[{title}]");
    let mut trial = Trial::new(LIMITS);
    let top = trial.model.state(TOP_READ).clone();
    trial.grant(&top, TOP_CREDIT);
    trial.flush(usize::MAX);
    trial.peer(&in_stream(0).credit(TOP_CREDIT), Vec::new());
    let mut seen = Vec::new();
    for (at, (key, value)) in lines.iter().enumerate() {
        println!("{key} {value}");
        if key != "out" {
            trial.written.clear();
        }
        match key.as_str() {
            "got" | "bad" => {
                let chunk = meaning(value);
                let wants = trial.peer(&chunk, (0..chunk.bytes().len()).collect());
                assert_eq!(wants.is_some(), key == "got");
                seen = wants.unwrap_or_default();
            }
            "seen" => {
                let events: Vec<_> = seen.iter().map(event).collect();
                assert_eq!(if events.is_empty() { "nothing".to_owned() } else { events.join("; ") }, *value);
            }
            "open" | "refused" => {
                let Chunk { partial, kind, id, payload, credit, .. } = meaning(value);
                let opening = payload.expect("it opens");
                let later = partial.map_or(0, |total| total - opening.len() as u64);
                let opened = trial.open(kind, &opening, later, credit.unwrap_or(0));
                assert_eq!(opened, (key == "open").then_some(id));
            }
            "out" => {
                trial.flush(usize::MAX);
                let is_out = |(key, _): &&(String, String)| key == "out";
                if lines.get(at + 1).is_none_or(|next| !is_out(&next)) {
                    let first = at - lines[..at].iter().rev().take_while(is_out).count();
                    let outs = lines[first..=at].iter().filter(|(_, value)| value != "nothing");
                    let expected: Vec<Chunk> = outs.map(|(_, value)| meaning(value)).collect();
                    assert_eq!(parse_all(&trial.written), Ok(expected));
                }
            }
            "flush" => trial.flush(usize::MAX),
            _ => act(&mut trial, key, value),
        }
        trial.compare();
    }
}

fn act(trial: &mut Trial, key: &str, value: &str) {
    let (half, words) = half(trial, value);
    match (key, &words[..]) {
        ("give", [amount]) => trial.grant(&half, number(amount)),
        ("ping", []) => trial.ping(&half),
        ("pong", []) => trial.pong(&half),
        ("end", [payload]) if payload == "empty" => trial.end(&half, b""),
        ("end", [payload]) => trial.end(&half, &hex(payload)),
        ("part", [total, len]) => trial.part(&half, number(total), number(len)),
        _ => panic!("no such line"),
    }
}

#[test]
fn conversations_go_as_they_are_written_down() {
    let blocks = blocks(CONVERSATIONS);
    assert!(blocks.len() > 40, "the file is there");
    blocks.iter().for_each(|block| ways(block).iter().for_each(|lines| play(&block.title, lines)));
}
