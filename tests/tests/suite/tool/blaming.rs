//! `stats` and `why`: plugins that wait for each other, as processes.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use tests::process::Process;

use super::running::{Tool, minbus};
use super::{Place, Transport, json, wait_until};
use crate::{WORKER, start_with};

/// Starts a worker, and waits until it is on the bus.
fn worker<const N: usize>(place: &Place, name: &str, rest: [&str; N]) -> Process {
    let process = Process::spawn(Command::new(WORKER).args([&place.address, name]).args(rest));
    place.wait_listed(name);
    process
}

fn lines<const N: usize>(place: &Place, args: [&str; N]) -> Vec<Value> {
    let ended = place.tool(args).end_well();
    ended.stdout.lines().map(json).collect()
}

/// What `why` says, as writers that wait and the root.
fn why(place: &Place, name: &str) -> Vec<(Vec<String>, Value)> {
    let answer = lines(place, ["why", name, "--json", "--over", "0.2"]).remove(0);
    let chain = |chain: &Value| {
        let steps = chain["steps"].as_array().expect("steps").iter();
        (steps.map(|step| step["writer"].as_str().expect("a name").to_owned()).collect(), chain["root"].clone())
    };
    answer["waits"].as_array().expect("chains").iter().map(chain).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A process that does nothing holds up the one before it, and so on to the first.
#[test]
fn a_row_of_plugins_is_followed_to_its_end() {
    for shards in [1, 2] {
        let place = Place::with(Transport::Unix, shards);
        let printer = worker(&place, "printer", []);
        let _filter = worker(&place, "filter", ["pass", "printer"]);
        let _source = worker(&place, "source", ["pour", "filter"]);
        let expected = [(names(&["source", "filter"]), json!({"plugin": "printer"}))];
        wait_until("source is held up by printer", || why(&place, "source") == expected);
        let told = place.tool(["why", "source"]).end();
        let lines: Vec<_> = told.stdout.lines().collect();
        let [source, filter, root] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(
            source.starts_with("source waits for filter, which gives it no credit (")
                && source.ends_with(" % of the time).")
        );
        assert!(filter.starts_with("filter waits for printer, which gives it no credit ("), "{filter}");
        assert_eq!(*root, "printer waits for nobody on the bus: it is the root.");
        let told = place.tool(["why", "printer"]).end();
        assert!(
            told.stdout.starts_with("printer waits for nobody on the bus.\nfilter waits for printer, "),
            "{}",
            told.stdout
        );
        // A process that is stopped takes nothing from its socket, and gives no credit either.
        printer.signal(Signal::STOP);
        assert_eq!(why(&place, "filter"), [(names(&["filter"]), json!({"plugin": "printer"}))]);
        printer.signal(Signal::CONT);
    }
}

#[test]
fn plugins_that_wait_for_each_other_are_found() {
    let place = Place::with(Transport::Unix, 2);
    let circle = [("one", "two"), ("two", "three"), ("three", "one")];
    let _workers = circle.map(|(name, target)| worker(&place, name, ["pour", target]));
    let expected = [(names(&["one", "two", "three"]), json!({"cycle": "one"}))];
    wait_until("the circle is closed", || why(&place, "one") == expected);
    let told = place.tool(["why", "two"]).end();
    assert!(told.stdout.contains("in a circle"), "{}", told.stdout);
}

#[test]
fn the_channels_are_shown() {
    let place = Place::new();
    let _printer = worker(&place, "printer", []);
    let _source = worker(&place, "source", ["pour", "printer"]);
    let state = |line: &Value| line["state"].as_str().map(str::to_owned);
    wait_until("source is held up", || {
        let lines = lines(&place, ["stats", "source", "--json", "--over", "0.2"]);
        lines.iter().any(|line| line["writer"] == "source" && state(line).as_deref() == Some("reader"))
    });
    let all = lines(&place, ["stats", "--json", "--over", "0.2"]);
    let [shard, there, back] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((&shard["shard"], &shard["connections"], &shard["channel_ends"]), (&json!(0), &json!(3), &json!(2)));
    assert_eq!((&shard["overflows"], &shard["memory_bytes"]), (&json!(0), &json!(64 << 20)));
    assert_eq!((&there["writer"], &there["reader"]), (&json!("source"), &json!("printer")));
    assert_eq!((&back["writer"], &back["state"], &back["bytes"]), (&json!("printer"), &json!("idle"), &json!(0)));
    // What its window took, and the little that was left of it.
    assert!(there["bytes"].as_u64() >= Some(60_000) && there["bytes_per_s"] == json!(0.0), "{there}");
    let times = there["times_ms"].as_object().expect("times").values();
    let sum: f64 = times.map(|time| time.as_f64().expect("a number")).sum();
    let age = there["age_ms"].as_f64().expect("a number");
    assert!((sum - age).abs() <= age * 0.01, "{sum} of {age}");

    let table = place.tool(["stats", "--over", "0.2"]).end();
    let lines: Vec<_> = table.stdout.lines().collect();
    let [shard, head, there, back] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(
        shard.starts_with("shard 0: 3 connections, 2 ends of channels, ")
            && head.starts_with("writer   reader   waits for")
    );
    assert!(
        there.starts_with("source   printer  reader ") && back.starts_with("printer  source   writer 100 %"),
        "{table:?}"
    );

    let mut watch = place.tool(["stats", "--json", "--watch", "0.05"]);
    (0..9).for_each(|_| assert!(json(&watch.line()).is_object()));
    watch.stop(Signal::INT);
}

#[test]
fn what_cannot_be_told_is_said() {
    let place = Place::new();
    for args in [["why", "nobody"], ["stats", "nobody"]] {
        place.tool(args).end().expect_failure(4, "nobody is not connected to the bus");
    }
    let _printer = worker(&place, "printer", []);
    assert_eq!(place.tool(["why", "printer"]).end().stdout, "printer waits for nobody on the bus.\n");
    let tcp = format!("tcp:{}", place.daemon.tcp());
    Tool::start(minbus(&tcp).arg("stats")).end().expect_failure(1, "bus.stats in its configuration");
    let daemon = start_with(1, "[bus]\nstats = \"nobody\"\n");
    let unix = format!("unix:{}", daemon.unix().display());
    Tool::start(minbus(&unix).args(["why", "printer"])).end().expect_failure(1, "bus.stats in its configuration");
}
