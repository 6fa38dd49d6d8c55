//! How it ends when not all goes well: clear words, an exit code, and what was measured until then.

use std::os::unix::net::UnixListener;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::load::{Relay, directory, is_running, json, load, report, run, start_long_phase, stderr, steps};

#[test]
fn nobody_at_the_other_end_is_an_error() {
    let output = run(&["--bus", "unix:/nonexistent/bus.sock"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("cannot reach a relay at unix:/nonexistent/bus.sock"), "{said}");

    let directory = directory();
    let path = directory.path().join("no-relay.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let address = format!("unix:{}", path.display());
    let running = load(&["rpc", "--bus", &address, "--json"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let running = running.expect("it runs");
    // The first two only look whether somebody is there, and who.
    (0..3).for_each(|_| drop(listener.accept().expect("accepted")));
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("the relay ended the connection of plugin"), "{said}");
    assert_eq!(json(&output)["verified"], false, "there is a report nevertheless");
}

#[test]
fn a_relay_that_runs_already_serves_too() {
    let directory = directory();
    let socket = directory.path().join("bus.sock");
    let relay = Relay::start(&socket);
    let bus = format!("unix:{}", socket.display());
    let report = report(&["flood", "churn", "--bus", &bus, "--duration-s", "0.2"]);
    assert_eq!(report["relay"]["embedded"], false);
    assert_eq!(report["relay"]["pid"], relay.process.pid(), "the socket says whose it is");
    assert!(steps(&report).all(|step| step["relay_cpu_ns_per_message"].as_f64() > Some(0.0)));
}

#[test]
fn an_interrupt_ends_it_with_what_was_measured() {
    let (running, relay, _place) = start_long_phase(Stdio::piped());
    kill_process(Pid::from_child(&running), Signal::INT).expect("it still runs");
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let report = json(&output);
    assert_eq!((&report["interrupted"], &report["verified"]), (&Value::Bool(true), &Value::Bool(true)));
    let step = &report["phases"][0]["steps"][0];
    assert!(step["verdict"]["received"].as_u64() > Some(0));
    assert!(step["elapsed_s"].as_f64().is_some_and(|s| (0.01..500.0).contains(&s)), "{}", step["elapsed_s"]);
    assert_eq!(report["relay"]["pid"], relay.as_raw_nonzero().get());
    assert!(!is_running(&report["relay"]["pid"]), "the relay is gone");
}

#[test]
fn a_relay_that_dies_is_an_error_and_what_was_measured_is_kept() {
    let (running, relay, _place) = start_long_phase(Stdio::piped());
    kill_process(relay, Signal::KILL).expect("it still runs");
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("the embedded relay ended by itself (signal: 9"), "{said}");
    let report = json(&output);
    assert_eq!(report["verified"], false);
    assert!(report["phases"][0]["steps"][0]["verdict"]["received"].as_u64() > Some(0));
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    for flags in [&["splash"][..], &["--file", "/nonexistent"], &["flood", "--size", "3"], &["churn", "--sweep"]] {
        let output = run(flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(!stderr(&output).is_empty());
    }
}
