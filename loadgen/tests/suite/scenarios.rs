//! What it does when all goes well: each scenario, sizes, transports, open loops.

use std::fs;

use serde_json::Value;

use crate::load::{is_running, report, run, stderr, stdout, steps};

/// Each scenario with a few plugins.
const ALL: &str = r#"
[defaults]
duration_s = 0.3
warm_up_s = 0.05

[[phase]]
scenario = "flood"
pairs = 2
channels = 3

[[phase]]
scenario = "rpc"
in_flight = 8
response_size = "16..5000"

[[phase]]
scenario = "stream"
rate = 2000

[[phase]]
name = "many to one"
scenario = "fan-in"
connections = 5
round_trip = true

[[phase]]
scenario = "fan-out"
connections = 5

[[phase]]
scenario = "mesh"
connections = 4
rate = 3000
transport = "tcp"

[[phase]]
scenario = "bulk"

[[phase]]
scenario = "churn"
connections = 4

[[phase]]
scenario = "presence"
connections = 4
watchers = 3
rate = 200

[[phase]]
scenario = "mixed"

[[phase]]
scenario = "stalled"
stalled = 2
"#;

#[test]
fn each_scenario_carries_and_verifies() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("all.toml");
    fs::write(&path, ALL).expect("written");
    let file = path.to_str().expect("text");
    for flags in [&[][..], &["--shards", "2", "--threads", "2"]] {
        let report = report(&[&["--file", file], flags].concat());
        let phases = report["phases"].as_array().expect("a list");
        assert_eq!(phases.len(), 11);
        assert_eq!(phases[3]["name"], "many to one");
        let channels = |phase: usize| phases[phase]["steps"][0]["channels"].as_u64();
        assert_eq!((channels(0), channels(3), channels(5)), (Some(6), Some(5), Some(12)));
        assert_eq!(phases[10]["steps"].as_array().map(Vec::len), Some(2), "alone, and beside stalled readers");
        assert!(report["relay"]["pid"].as_u64() > Some(0));
        assert!(!is_running(&report["relay"]["pid"]), "the relay is gone when the report is there");
    }
}

#[test]
fn the_relay_is_accounted_for() {
    let report = report(&["flood", "--duration-s", "1"]);
    let step = &report["phases"][0]["steps"][0];
    assert!(step["relay_cpu_ns_per_message"].as_f64() > Some(0.0));
    assert!(step["relay_cpu_s_per_gb"].as_f64() > Some(0.0));
    assert!(step["relay_rss_peak_bytes"].as_u64() > Some(1 << 16));
    assert!(step["generator_cpu_ns_per_message"].as_f64() > Some(0.0));
}

#[test]
fn messages_of_odd_sizes_arrive_whole() {
    for size in ["16", "247", "4100", "1000001", "16MiB", "16..70000"] {
        report(&["flood", "rpc", "--size", size, "--duration-s", "0.3", "--warm-up-s", "0"]);
    }
}

/// More channels than the relay promises memory for by default: it is told to.
#[test]
fn thousands_of_channels_are_open_at_once() {
    let flags = ["mesh", "--connections", "60", "--rate", "10000", "--duration-s", "0.4", "--warm-up-s", "0"];
    let report = report(&flags);
    let step = &report["phases"][0]["steps"][0];
    assert_eq!(step["channels"], 3540);
    // A machine that is slow sends less than is due.
    let count = |value: &Value| value.as_u64().expect("a number");
    let due = count(&step["verdict"]["received"]) + count(&step["flows"][0]["unsent"]);
    assert!(due > 3540, "something was due on each: {step}");
}

/// More sockets with bytes than a thread has receive buffers: those that find none are asked again.
#[test]
fn more_sockets_than_buffers_get_their_bytes() {
    let flags = ["fan-out", "--connections", "400", "--threads", "1", "--duration-s", "0.4", "--warm-up-s", "0"];
    assert_eq!(report(&flags)["phases"][0]["steps"][0]["channels"], 400);
}

#[test]
fn sizes_come_from_a_histogram() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("sizes");
    fs::write(&path, "64 90\n1 KiB 9 # now and then\n100000 1\n").expect("written");
    let size = format!("@{}", path.display());
    let report = report(&["stream", "--rate", "5000", "--size", &size, "--duration-s", "0.4"]);
    let flow = &report["phases"][0]["steps"][0]["flows"][0];
    let number = |name: &str| flow[name].as_f64().expect("a number");
    let mean = number("payload_bytes_per_s") / number("messages_per_s");
    // 1150 are expected of many, and how many there are is the machine's affair: one in a hundred is of 100,000 bytes.
    assert!(mean > 64.0 && mean < 50_000.0, "{mean} bytes on average");
}

/// All messages that are due are sent, and each has a latency, however loaded the machine is.
#[test]
fn an_open_loop_sends_what_is_due() {
    let flags = ["stream", "rpc", "--rate", "4000", "--pairs", "3", "--duration-s", "0.5", "--warm-up-s", "0.25"];
    let report = report(&flags);
    for step in steps(&report) {
        let flow = &step["flows"][0];
        let (sent, measured) = (&step["verdict"]["sent"], &flow["latency"]["count"]);
        let unsent = flow["unsent"].as_u64().expect("a number");
        let each = if flow["round_trip"] == true { 2 } else { 1 };
        assert_eq!(sent.as_u64(), Some(each * (3000 - unsent)), "a message, and an answer to it: {flow}");
        assert_eq!(measured.as_u64(), Some(2000), "nothing is trimmed: {flow}");
        let ns = |name: &str| flow["latency"][name].as_u64().expect("a number");
        assert!(ns("p50_ns") > 0 && ns("p50_ns") <= ns("p99_999_ns") && ns("p99_999_ns") <= ns("max_ns"));
    }
}

#[test]
fn a_sweep_goes_up_to_the_capacity() {
    let report = report(&["rpc", "--sweep", "--duration-s", "0.25", "--warm-up-s", "0.02"]);
    let steps: Vec<&Value> = steps(&report).collect();
    assert_eq!(steps.len(), 11);
    let capacity = steps[0]["flows"][0]["messages_per_s"].as_f64().expect("a number");
    for (step, percent) in steps[1..].iter().zip([10, 20, 30, 40, 50, 60, 70, 80, 90, 95]) {
        assert_eq!(step["load_percent"], percent);
        let offered = step["offered_per_s"].as_f64().expect("a number");
        assert!((offered / capacity * 100.0 - f64::from(percent)).abs() < 0.01);
    }
}

#[test]
fn the_generator_can_be_tested_alone() {
    let output = run(&["self-test", "--duration-s", "0.1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("through a socket pair") && !stdout(&output).contains("NOT VERIFIED"));
    let output = run(&["self-test", "--duration-s", "0.1", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["verified"], true);
    for number in ["memory_per_s", "socket_per_s", "floor_per_s", "relay_per_s"] {
        assert!(found[number].as_f64() > Some(0.0), "{found}");
    }
}

#[test]
fn a_plan_says_what_would_be_done_and_does_nothing() {
    let output = run(&["plan", "mesh", "stalled", "--connections", "600", "--bus", "unix:/nonexistent/bus.sock"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for words in ["mesh: mesh", "channels: 359400", "beside 4", "at most 600 connections", "unix:/nonexistent/bus.sock"]
    {
        assert!(text.contains(words), "{text}lacks {words}");
    }
}
