//! What peers can make the daemon log: a burst of each kind of line, then few, and all that is left out is counted. And
//! nothing that they say is written as it is.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use tests::daemon::Daemon;
use tests::peer::{Address, Pace, Peer, admitted, entry};
use tests::wire::{Chunk, in_sink, in_stream};

use super::{logging, plugin};

/// Lines of one kind that may come at once, and one more each second.
const BURST: u64 = 50;

fn logging_json(config: &str, shards: usize) -> Daemon {
    logging("info", "json", shards, config)
}

/// How many lines of a kind there are, and how many more are said to have been left out.
fn of_kind(log: &[String], kind: &str) -> (u64, u64) {
    let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).expect("each line is an object"));
    let (mut told, mut left_out) = (0, 0);
    for line in lines.filter(|line| line["kind"] == kind) {
        match line["left_out"].as_u64() {
            Some(count) => left_out += count,
            None => told += 1,
        }
    }
    (told, left_out)
}

/// Waits until so many lines of a kind have been told of, or counted.
fn wait_for_all(daemon: &mut Daemon, kind: &str, lines: u64) {
    daemon.wait_until(&format!("all of {kind} to be told of, or counted"), |process| {
        let (told, left_out) = of_kind(&process.log(), kind);
        (told + left_out == lines).then_some(())
    });
}

/// What ends a connection by a fault of its own, and the kind of line that is logged of it.
fn offences() -> [(&'static str, Chunk); 3] {
    [
        ("violation", in_stream(9).ping()),
        ("name_taken", in_sink(0).payload(entry(b"first", 1))),
        ("not_registered", in_sink(0).payload(b"hello")),
    ]
}

fn offend(address: &Address, offence: &Chunk) {
    let mut peer = Peer::connect(address, Pace::Whole);
    peer.send_now(offence);
    peer.closed();
}

/// "One client makes 68,000 lines (13 MB) a second; 300 tries for a taken name 300 lines."
#[test]
fn no_peer_makes_more_than_a_few_lines_a_second() {
    const TIMES: u64 = 300;
    for shards in [1, 2] {
        let began = Instant::now();
        let mut daemon = logging_json("", shards);
        let [unix, tcp] = daemon.addresses();
        let first = plugin(&unix, "first");
        let offences = offences();
        for (_, offence) in &offences {
            (0..TIMES).for_each(|number| offend(if number % 2 == 0 { &unix } else { &tcp }, offence));
        }
        drop(first);
        // What is logged of the last of them comes behind what they have heard, and a stop waits for neither.
        offences.iter().for_each(|(kind, _)| wait_for_all(&mut daemon, kind, TIMES));
        daemon.end(Signal::TERM);
        let log = daemon.log_to_its_end();
        let most = BURST + began.elapsed().as_secs() + 1;
        for (kind, _) in &offences {
            let (told, left_out) = of_kind(&log, kind);
            assert_eq!(told + left_out, TIMES, "{kind}: {told} lines, and {left_out} left out");
            assert!((BURST..=most).contains(&told), "{kind}: {told} lines, and {left_out} left out");
        }
    }
}

#[test]
fn refusals_are_limited_as_well() {
    const TIMES: u64 = 200;
    let mut daemon = logging_json("[limits]\nconnections_per_uid_max = 1\n", 1);
    let [unix, _] = daemon.addresses();
    let mut first = tests::process::eventually("the place of the harness", || admitted(&unix, "first"));
    let before = of_kind(&daemon.log(), "connections_of_user").0;
    (0..TIMES).for_each(|_| drop(Peer::connect(&unix, Pace::Whole)));
    first.fence();
    wait_for_all(&mut daemon, "connections_of_user", TIMES + before);
    daemon.end(Signal::TERM);
    let (told, left_out) = of_kind(&daemon.log_to_its_end(), "connections_of_user");
    assert_eq!(told + left_out, TIMES + before, "{told} lines, and {left_out} left out");
    assert!(left_out > 0, "{told} lines, and none left out");
}

/// "When none follows, by a line of its own": without another word of anybody.
#[test]
fn what_is_left_out_is_told_of_though_nothing_follows() {
    let mut daemon = logging_json("", 2);
    let [unix, _] = daemon.addresses();
    (0..2 * BURST).for_each(|_| offend(&unix, &in_stream(9).ping()));
    daemon.wait_logged("left_out");
    // All of that, and more if some more came in while the machine was busy.
    wait_for_all(&mut daemon, "violation", 2 * BURST);
}

/// Names that would turn a line round, hide in it, end it, or colour what follows.
const TRICKS: [&str; 8] = [
    "clock\u{202e}kcolc",
    "clock\u{2066}",
    "clock\u{200b}",
    "clo\u{ad}ck",
    "clock\u{2028}",
    "\u{feff}clock",
    "clock\nWARN all is well",
    "clock\u{1b}[31m\u{7}\r\u{9b}",
];

#[test]
fn nothing_that_a_peer_says_is_written_as_it_is() {
    for format in ["human", "json"] {
        let mut daemon = logging("relay=trace", format, 1, "");
        let [unix, _] = daemon.addresses();
        for name in TRICKS {
            let mut first = plugin(&unix, name);
            // Its name in a reason, and as the one who is ended.
            let mut second = Peer::connect(&unix, Pace::Whole);
            second.register(name.as_bytes(), 1);
            second.closed();
            first.send_now(&in_stream(9).ping());
            first.closed();
        }
        daemon.end(Signal::TERM);
        let log = daemon.log_to_its_end();
        for word in ["name_taken", "violation"] {
            assert_eq!(log.iter().filter(|line| line.contains(word)).count(), TRICKS.len(), "{word} in {log:#?}");
        }
        for line in log {
            assert!(line.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{line:?}");
        }
    }
}
