//! The binary, as it is run by hand: through a relay of its own, through one that runs already, and interrupted.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn load(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minbus-load"));
    command.args(flags).stdin(Stdio::null());
    command
}

fn run(flags: &[&str]) -> Output {
    load(flags).output().expect("the binary runs")
}

/// Runs it; returns what it reports, which must be that all went well.
fn report(flags: &[&str]) -> Value {
    let output = run(flags);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{flags:?}: {}\n{stderr}", output.status);
    assert_eq!(stderr, "", "nothing to complain of, and no progress without a terminal");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["verified"], true);
    for phase in report["phases"].as_array().expect("a list") {
        assert!(phase["verdict"]["received"].as_u64() > Some(0), "{flags:?}: {phase}");
        assert_eq!(phase["verdict"]["sent"], phase["verdict"]["received"]);
    }
    report
}

fn is_running(pid: &Value) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn all_phases_through_a_relay_of_its_own() {
    for flags in [&[][..], &["--shards", "2"], &["--transport", "tcp"]] {
        let report = report(&[&["--duration-s", "0.2", "--json"], flags].concat());
        let phases = report["phases"].as_array().expect("a list");
        let said: Vec<_> = phases.iter().map(|phase| (&phase["name"], &phase["message_bytes"])).collect();
        let expected = [("flood", 64), ("flood", 65_536), ("ping-pong", 64)];
        assert!(said.iter().zip(expected).all(|(&(name, size), (n, s))| name == n && size == s), "{said:?}");
        assert_eq!(said.len(), expected.len());
        let round_trip = &phases[2]["round_trip"];
        assert!(
            round_trip["p50_ns"].as_u64() > Some(0) && round_trip["max_ns"].as_u64() >= round_trip["p50_ns"].as_u64()
        );
        assert!(phases[0]["relay_cpu_ns_per_message"].as_f64() > Some(0.0));
        assert!(report["relay"]["rss_peak_bytes"].as_u64() > Some(1 << 16));
        assert!(!is_running(&report["relay"]["pid"]), "the relay is gone when the report is there");
    }
}

#[test]
fn messages_of_odd_sizes_arrive_whole() {
    for size in ["16", "247", "4100", "1000001", "16777216"] {
        report(&["--duration-s", "0.1", "--size", size, "--json"]);
    }
}

#[test]
fn the_table_is_for_people() {
    let output = run(&["flood", "--size", "64", "--duration-s", "0.1"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("(1 shard, pid ") && text.contains("\nverified: "), "{text}");
}

#[test]
fn nobody_at_the_other_end_is_an_error() {
    let output = run(&["--bus", "unix:/nonexistent/bus.sock"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("cannot reach a relay at unix:/nonexistent/bus.sock"), "{stderr}");

    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("no-relay.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let address = format!("unix:{}", path.display());
    let running = load(&["--bus", &address]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it runs");
    drop(listener.accept().expect("accepted"));
    let output = running.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("the relay ended the connection of plugin"), "{stderr}");
}

/// A relay, killed when the test is over.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_relay_that_runs_already_serves_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = directory.path().join("bus.sock");
    // The daemon in this very binary, to which only its name leads.
    let mut command = load(&["--shards", "1", "--unix"]);
    command.arg(&socket).arg0("minbusd-embedded").env("RUST_LOG", "info").stderr(Stdio::piped());
    let mut relay = Relay(command.spawn().expect("it runs"));
    let log = BufReader::new(relay.0.stderr.take().expect("piped"));
    let listening = log.lines().map(|line| line.expect("text")).find(|line| line.contains("listening"));
    assert!(listening.is_some(), "the relay has ended");
    let report = report(&["--bus", &format!("unix:{}", socket.display()), "--duration-s", "0.1", "--json"]);
    assert_eq!(report["relay"], Value::Null);
    assert_eq!(report["phases"].as_array().map(Vec::len), Some(3));
}

/// Starts it with a phase that would take long, and waits until that is under way. Returns the process of its relay too.
fn start_long_phase() -> (Child, Pid) {
    let mut command = load(&["ping-pong", "--duration-s", "600", "--json"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let tasks = format!("/proc/{}/task", running.id());
    let begun = Instant::now();
    // The main thread and one for each plugin.
    while fs::read_dir(&tasks).expect("it still runs").count() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the phase does not begin");
        thread::sleep(Duration::from_millis(5));
    }
    let children = fs::read_to_string(format!("{tasks}/{}/children", running.id())).expect("it still runs");
    let relay = children.trim().parse().ok().and_then(Pid::from_raw).expect("one child, the relay");
    (running, relay)
}

#[test]
fn an_interrupt_ends_it_with_what_was_measured() {
    let (running, relay) = start_long_phase();
    kill_process(Pid::from_child(&running), Signal::INT).expect("it still runs");
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["verified"], true);
    assert!(report["phases"][0]["verdict"]["received"].as_u64() > Some(0));
    assert_eq!(report["relay"]["pid"], relay.as_raw_nonzero().get());
    assert!(!is_running(&report["relay"]["pid"]), "the relay is gone");
}

#[test]
fn a_relay_that_dies_is_an_error() {
    let (running, relay) = start_long_phase();
    kill_process(relay, Signal::KILL).expect("it still runs");
    let output = running.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("the embedded relay ended by itself (signal: 9"), "{stderr}");
}
