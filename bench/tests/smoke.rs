//! The benchmarks run, whatever their figures are: one short round of each kind of traffic.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::pipes::said_to_a_full_one;
use tests::places::Place;

/// Each benchmark has a relay or two.
fn bench(flags: &[&str]) -> Output {
    let _place = Place::take();
    run(flags).expect("it was built")
}

fn run(flags: &[&str]) -> io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    // What the relays log is not looked at.
    command.args(flags).env_remove("RUST_LOG").stdin(Stdio::null()).output()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("it writes text")
}

/// Runs cases of a command and reads what they have measured.
fn quick(command: &str, cases: &[&str], others: &[&str]) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("samples.json");
    let mut flags = vec![command, "--quick", "--json", path.to_str().expect("a plain path")];
    cases.iter().for_each(|case| flags.extend(["--case", case]));
    flags.extend(others);
    let printed = text(&bench(&flags));
    let found = read(&path)["cases"].as_array().expect("there are cases").clone();
    assert_eq!(found.len(), cases.len());
    for case in &found {
        assert!(printed.contains(case["title"].as_str().expect("it has a title")), "{printed}");
    }
    found
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Every subject of these cases has a figure for the one round.
fn check(cases: &[Value], servers: usize, figure: impl Fn(&Value) -> f64) {
    for case in cases {
        let subjects = case["subjects"].as_array().expect("somebody took part");
        assert_eq!(subjects.len(), servers, "{case}");
        for subject in subjects {
            let rounds = subject["rounds"].as_array().expect("there are rounds");
            assert_eq!(rounds.len(), 1);
            assert!(figure(&rounds[0]) > 0.0, "{subject}");
        }
    }
}

fn number(sample: &Value, name: &str) -> f64 {
    sample[name].as_f64().unwrap_or_else(|| panic!("{name} in {sample}"))
}

#[test]
fn flows_pass_the_relay_and_all_forwarders() {
    let cases = quick("baseline", &["flow-64-unix", "flow-1k-tcp", "flow-1m-unix", "flow-64k-tcp"], &[]);
    check(&cases, 5, |sample| number(sample, "messages"));
}

#[test]
fn round_trips_pass_the_relay_and_all_forwarders() {
    let cases = quick("baseline", &["trip-same-unix", "trip-other-tcp"], &[]);
    check(&cases, 5, |sample| number(&sample["round_trip"], "p50_ns"));
}

#[test]
fn crowds_and_shards_get_through() {
    check(&quick("baseline", &["shards-64"], &[]), 2, |sample| number(sample, "messages"));
    check(&quick("baseline", &["fan-in"], &[]), 3, |sample| number(sample, "messages"));
}

#[test]
fn memory_is_measured() {
    check(&quick("baseline", &["idle-channels"], &[]), 1, |sample| number(sample, "bytes_each"));
}

/// Every competitor was measured, or it is said why not. Returns the figures of the relay, which is never missing.
fn relay(case: &Value) -> &Value {
    let competitors = case["competitors"].as_array().expect("somebody took part");
    for competitor in competitors {
        let rounds = competitor["rounds"].as_array().expect("a list");
        assert!(rounds.len() == 1 || competitor["failure"].is_string(), "{competitor}");
    }
    let figures = &competitors[0]["rounds"][0];
    assert!(competitors[0]["name"] == "minbus" && figures.is_object(), "{case}");
    assert_eq!(figures["lost"], 0);
    figures
}

#[test]
fn competitors_are_compared_or_reported_as_missing() {
    let cases = quick("competitors", &["flow-64-tcp"], &[]);
    assert!(number(relay(&cases[0]), "messages") > 0.0);
    assert!(cases[0]["competitors"].as_array().expect("a list").len() >= 8, "all that speak TCP are named");
}

#[test]
fn all_kinds_of_traffic_pass_the_relay_and_what_is_beside_it() {
    let names = ["flow-1m-unix", "trip-tcp", "rate-unix", "pairs-unix", "stalled-tcp", "idle-unix"];
    let cases = quick("competitors", &names, &["--competitor", "splice", "--competitor", "haproxy"]);
    let figures: Vec<&Value> = cases.iter().map(relay).collect();
    assert!(number(figures[0], "messages") > 0.0 && number(figures[3], "messages") > 0.0);
    assert!(number(&figures[1]["round_trip"], "p50_ns") > 0.0);
    assert!(number(figures[2], "capacity_per_s") > 0.0);
    assert_ne!(figures[4]["stalled"]["fate"], "cut-off", "whoever reads late is not punished");
    assert!(number(&figures[4]["stalled"], "beside_per_s") > 0.0);
    assert!(number(figures[5], "bytes_each") > 0.0);
}

#[test]
fn competitors_are_listed_with_what_installs_them() {
    let list = text(&bench(&["competitors", "--list"]));
    let names =
        ["flow-16-tcp", "stalled-unix", "nats", "haproxy", "dbus-broker", "redis", "mosquitto", "zeromq", "zenoh"];
    assert!(names.iter().all(|name| list.contains(name)), "{list}");
    let install = text(&bench(&["competitors", "--install"]));
    assert!(install.contains("install") || install.contains("nothing is missing"), "{install}");
    assert!(!bench(&["competitors", "--competitor", "nobody"]).status.success());
}

/// Cases of situations in variants: each variant has figures for the one round. Returns all of them.
fn situations(command: &str, cases: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    for case in quick(command, cases, &[]) {
        for variant in case["variants"].as_array().expect("there are variants") {
            let rounds = variant["rounds"].as_array().expect("there are rounds");
            assert_eq!(rounds.len(), 1);
            let figures = rounds[0].as_object().expect("figures by name");
            assert!(figures.values().any(|figure| figure.as_f64() > Some(0.0)), "{variant}");
            all.push(rounds[0].clone());
        }
    }
    all
}

#[test]
fn credit_is_measured() {
    situations(
        "credit",
        &["stalled-memory", "one-reader", "bursts", "distance", "flood-connects", "flood-parts", "blame"],
    );
}

#[test]
fn bystanders_of_attacks_are_measured() {
    let cases = ["queries-cancelled", "queries-read", "churn", "offers", "ignored", "hoard", "unregistered", "stalled"];
    for figures in situations("attacks", &cases) {
        assert_eq!(number(&figures, "bystanders lost"), 0.0, "{figures}");
        // In so short a time a busy machine may have timed no round trip. Those who were lost have no figure at all.
        assert!(figures["p50 us"].is_number(), "{figures}");
    }
}

#[test]
fn figures_that_nobody_takes_change_no_exit_code_but_where_they_are_lost() {
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("the kernel has it");
    let closed = || io::pipe().expect("a pipe").1;
    let code = |flags: &[&str], stdout: Stdio, stderr: Stdio| {
        let status = Command::new(env!("CARGO_BIN_EXE_bench")).args(flags).stdout(stdout).stderr(stderr).status();
        status.expect("it was built").code()
    };
    for (flags, expected) in [
        (&["baseline", "--list"][..], 0),
        (&["competitors", "--list"], 0),
        (&["credit", "--list"], 0),
        (&["decode", "--rounds", "1"], 0),
        (&["--help"], 0),
        (&["baseline", "--case", "nothing-of-the-kind"], 1),
        (&["credit", "--quick", "--json", "/nonexistent/figures.json"], 1),
        (&["nothing-of-the-kind"], 2),
    ] {
        let lost = if expected == 0 { 1 } else { expected };
        assert_eq!(code(flags, Stdio::null(), full().into()), Some(expected), "{flags:?}");
        assert_eq!(code(flags, Stdio::null(), closed().into()), Some(expected), "{flags:?}");
        assert_eq!(code(flags, closed().into(), closed().into()), Some(expected), "{flags:?}");
        assert_eq!(code(flags, full().into(), full().into()), Some(lost), "{flags:?}");
    }
}

#[test]
fn a_stdout_that_does_not_block_loses_nothing() {
    let list = ["baseline", "--list"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(list);
    assert_eq!(said_to_a_full_one(command), bench(&list).stdout);
}

#[test]
fn all_cases_are_listed_and_others_are_not_found() {
    let list = text(&bench(&["baseline", "--list"]));
    assert!(["flow-64-unix", "trip-other-tcp", "pairs", "idle-connections"].iter().all(|case| list.contains(case)));
    let list = text(&bench(&["credit", "--list"]));
    assert!(["stalled-flow", "one-reader", "trap", "flood-pings", "blame"].iter().all(|case| list.contains(case)));
    let list = text(&bench(&["attacks", "--list"]));
    assert!(["queries-read", "churn", "hoard", "stalled"].iter().all(|case| list.contains(case)));
    for what in ["baseline", "credit", "attacks"] {
        assert!(!bench(&[what, "--case", "nothing-of-the-kind"]).status.success());
    }
}
