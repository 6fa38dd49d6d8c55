//! Running the binary, and what it reports.

use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::Value;
use testkit::proc;
use testkit::process::Process;

pub(crate) use tests::directory::directory;
pub(crate) use tests::places::Place;

/// Something to wait for comes within this, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary with flags.
pub(crate) fn load(flags: &[&str]) -> Command {
    tests::process::heed_signals();
    let mut command = Command::new(env!("CARGO_BIN_EXE_minbus-load"));
    // What relays log is for a test to say.
    command.args(flags).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(flags: &[&str]) -> Output {
    let _place = Place::take();
    load(flags).output().expect("the binary runs")
}

/// A relay that is no generator's: the daemon in this very binary, to which only its name leads. It is killed when the value is
/// dropped.
pub(crate) struct Relay {
    pub(crate) process: Process,
    _place: Place,
}

impl Relay {
    pub(crate) fn start(socket: &Path) -> Self {
        let place = Place::take();
        let mut command = load(&["--shards", "1", "--unix"]);
        command.arg(socket).arg0("minbusd-embedded").env("RUST_LOG", "error");
        let mut process = Process::start(&mut command).expect("it runs");
        process.await_ready(PATIENCE, || UnixStream::connect(socket).ok()).expect("the relay is reachable");
        Self { process, _place: place }
    }
}

/// Waits until it is so, or fails.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a report on stdout says.
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Runs it; returns what it reports, which must be that all went well.
pub(crate) fn report(flags: &[&str]) -> Value {
    let output = run(&[flags, &["--json"]].concat());
    assert!(output.status.success(), "{flags:?}: {}\n{}\n{}", output.status, stderr(&output), stdout(&output));
    assert_eq!(stderr(&output), "", "nothing to complain of, and no progress without a terminal");
    let report = json(&output);
    assert_eq!(report["verified"], true);
    for step in steps(&report) {
        assert!(step["verdict"]["received"].as_u64() > Some(0), "{flags:?}: {step}");
        assert_eq!(step["verdict"]["sent"], step["verdict"]["received"]);
    }
    report
}

/// All steps of a report.
pub(crate) fn steps(report: &Value) -> impl Iterator<Item = &Value> {
    let phases = report["phases"].as_array().expect("a list");
    phases.iter().flat_map(|phase| phase["steps"].as_array().expect("a list"))
}

pub(crate) fn is_running(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Starts it with a phase that would take long, and waits until that is under way. Returns the process of its relay and its
/// place, too.
pub(crate) fn start_long_phase(stderr: Stdio) -> (Child, Pid, Place) {
    let place = Place::take();
    let mut command = load(&["rpc", "--duration-s", "600", "--warm-up-s", "0", "--json"]);
    let running = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("it runs");
    // Its two plugins are connected to the relay. Links to what has just been closed cannot be read.
    let is_busy = |id: u32| {
        let open = fs::read_dir(format!("/proc/{id}/fd")).expect("it still runs");
        let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("socket:")).count() >= 2
    };
    wait_until("the phase does not begin", || is_busy(running.id()));
    let [_, pid] = proc::family(running.id())[..] else { panic!("it has one child, the relay") };
    let relay = Pid::from_raw(pid.cast_signed()).expect("a process");
    // Until messages have come and gone: the relay sleeps between them.
    let switches = || proc::switches(pid).expect("it still runs");
    let before = switches();
    wait_until("nothing comes to the relay", || switches() >= before + 1_000);
    (running, relay, place)
}
